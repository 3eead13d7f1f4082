#include "http/v1/event_feed.hpp"

#include "base/error.hpp"
#include "base/log.hpp"
#include "http/v1/training_json.hpp"
#include "http/v1/v1_json.hpp"

namespace aiops::http {

namespace {

/// The actor answers without asking others, so silence for this long is a
/// fault.
constexpr std::chrono::seconds subscribe_timeout{30};

// The topics are in the order of the alternatives.
static_assert(std::variant_size_v<event_value> == event_topic_count);

/// Writes the data of an event as of a time; empty if there is no value.
struct data_writer {
  json_time now;

  std::string operator()(const snapshot_ptr<training_overview>& x) const {
    return x ? to_json(x->value(), now) : "";
  }

  std::string operator()(const watchlist_change& x) const {
    return to_json(x);
  }

  std::string operator()(const backend_health& x) const {
    return to_json(x);
  }

  template <class T>
  std::string operator()(const snapshot_ptr<T>& x) const {
    return x ? summary_json(x->value()) : "";
  }
};

} // namespace

void publish(event_streams& streams, const event_value& value) {
  auto data = std::visit(data_writer{std::chrono::system_clock::now()}, value);
  if (data.empty())
    return;
  // As of one fixed time, so that the passing of time makes no event.
  auto identity = std::visit(data_writer{json_time{}}, value);
  streams.publish(static_cast<event_topic>(value.index()), data,
                  std::move(identity));
}

event_listener_actor::behavior_type
event_feed_state::make_behavior(const events_actor& events,
                                event_streams* streams) {
  // The supervisor restarts the actor, which then subscribes again.
  auto fail = [this](caf::error& err) {
    log::warning(name, "cannot subscribe to events",
                 {{"reason", text_of(err)}});
    self_->quit(std::move(err));
  };
  self_
    ->request(events, subscribe_timeout, subscribe_atom_v,
              event_listener_actor{self_})
    .then([] {}, fail);
  return {
    [streams](update_atom, const event_value& x) { publish(*streams, x); },
  };
}

event_listener_actor::behavior_type
event_feed(event_listener_actor::stateful_pointer<event_feed_state> self,
           const events_actor& events, event_streams* streams) {
  return self->state.make_behavior(events, streams);
}

} // namespace aiops::http
