#include "http/server/event_feed.hpp"

#include "base/error.hpp"
#include "base/log.hpp"

namespace aiops::http {

namespace {

/// The hub asks nobody; silence for so long means that it is broken.
constexpr std::chrono::seconds patience{30};

} // namespace

event_listener_actor::behavior_type
event_feed_state::make_behavior(const events_actor& events,
                                event_streams* streams) {
  // The supervisor starts us again, and so we try again.
  auto give_up = [this](caf::error& err) {
    log::warning(name, "cannot follow the events", {{"reason", text_of(err)}});
    self_->quit(std::move(err));
  };
  self_
    ->request(events, patience, subscribe_atom_v, event_listener_actor{self_})
    .then([] {}, give_up);
  return {
    [streams](update_atom, const event_value& x) { streams->publish(x); },
  };
}

event_listener_actor::behavior_type
event_feed(event_listener_actor::stateful_pointer<event_feed_state> self,
           const events_actor& events, event_streams* streams) {
  return self->state.make_behavior(events, streams);
}

} // namespace aiops::http
