#pragma once

#include "actors/actors.hpp"

#include <array>
#include <optional>
#include <vector>

namespace aiops {

struct events_config {
  /// Listeners at one time; a further one is told `overloaded`.
  size_t max_listeners = 16;
};

/// Whether `x` tells nothing new after `last`: the same topic, and values that
/// are equal in all that an event shows.
bool same_news(const event_value& last, const event_value& x);

/// Keeps how everything stands, and hands on what changes. Watchlist and health
/// of the backend are topics of their own, and are also taken from the training
/// that they are a part of.
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

  /// Keeps and hands on a value that differs from the last one.
  void tell(event_value x);

  /// Keeps and hands on another watchlist than the last one, and the difference
  /// to that.
  void tell_watchlist(const training_book& book);

  events_actor::pointer self_;
  events_config cfg_;
  std::vector<event_listener_actor> listeners_;
  /// The last value of each topic.
  std::array<std::optional<event_value>, std::variant_size_v<event_value>>
    latest_;
};

events_actor::behavior_type
events(events_actor::stateful_pointer<events_state> self,
       const events_config& cfg);

} // namespace aiops
