#pragma once

#include "actors/actors.hpp"
#include "base/subscribers.hpp"

#include <array>
#include <optional>
#include <vector>

namespace aiops {

struct events_config {
  /// Maximum number of listeners; a further one is refused as `overloaded`.
  size_t max_listeners = 16;
};

/// Whether an event with `x` would show nothing new after one with `last`: both
/// have the same topic, and equal values in all that an event shows.
bool same_event(const event_value& last, const event_value& x);

/// Keeps the last value of each topic and sends changes to the listeners. The
/// watchlist and the state of the backend are separate topics whose values come
/// from the training.
class events_state {
public:
  static inline const char* name = "events";

  explicit events_state(events_actor::pointer self) : self_(self) {
    // nop
  }

  events_actor::behavior_type make_behavior(const events_config& cfg);

private:
  caf::result<void> add_listener(const event_listener_actor& listener);

  void update(const event_value& x);

  /// Keeps and sends a value that differs from the last one.
  void publish(event_value x);

  /// Keeps and sends a watchlist that differs from the last one, with the
  /// difference.
  void publish_watchlist(const training_book& book);

  events_actor::pointer self_;
  events_config cfg_;
  subscribers<event_listener_actor> listeners_;
  /// The last value of each topic.
  std::array<std::optional<event_value>, std::variant_size_v<event_value>>
    latest_;
};

events_actor::behavior_type
events(events_actor::stateful_pointer<events_state> self,
       const events_config& cfg);

} // namespace aiops
