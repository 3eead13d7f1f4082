#pragma once

#include "actors/actors.hpp"
#include "http/server/event_streams.hpp"

namespace aiops::http {

/// Publishes a value as the JSON of its event, if a client would see a
/// difference to the last one. @thread-safe
void publish(event_streams& streams, const event_value& value);

/// Subscribes to the actor `events` and publishes what it sends.
class event_feed_state {
public:
  static inline const char* name = "event-feed";

  explicit event_feed_state(event_listener_actor::pointer self) : self_(self) {
    // nop
  }

  event_listener_actor::behavior_type make_behavior(const events_actor& events,
                                                    event_streams* streams);

private:
  event_listener_actor::pointer self_;
};

/// @param streams must outlive the actor.
event_listener_actor::behavior_type
event_feed(event_listener_actor::stateful_pointer<event_feed_state> self,
           const events_actor& events, event_streams* streams);

} // namespace aiops::http
