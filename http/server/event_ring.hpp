#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace aiops::http {

/// The kind of an event.
enum class event_topic : uint8_t {
  training,
  watchlist,
  aggregation,
  gpu,
  backend,
};

inline constexpr size_t event_topic_count = 5;

using topic_set = std::bitset<event_topic_count>;

std::string_view to_string(event_topic topic);

std::optional<event_topic> event_topic_of(std::string_view text);

/// The bytes of an event as they are sent. Immutable, shared by all clients.
struct event_frame {
  /// Number of the event, from 1; 0 for bytes that are no event.
  uint64_t number = 0;
  event_topic topic = event_topic::training;
  std::string bytes;
};

using event_frame_ptr = std::shared_ptr<const event_frame>;

/// The last events. A position in it is the number of the last event that a
/// client has received, 0 for none. @thread-safe
class event_ring {
public:
  /// @param epoch is part of every id and distinguishes the events of one
  ///              process from those of another. It contains no dash.
  /// @param max_events is the maximum number of events that are kept.
  /// @param max_bytes is the maximum of their total size. The last event is
  ///                  always kept.
  event_ring(std::string epoch, size_t max_events, size_t max_bytes);

  /// Adds an event with one line of data.
  void append(event_topic topic, std::string_view data);

  /// Where a client starts.
  struct start {
    uint64_t position = 0;
    /// The current state, for a client that does not know it: the last event of
    /// each topic, in the order of their numbers.
    std::vector<event_frame_ptr> latest;
    /// Whether the client received events before and has missed others since.
    bool missed = false;
  };

  /// Where a client starts.
  /// @param last_id is the id of the last event that it received, empty for
  ///                none.
  start start_after(std::string_view last_id, const topic_set& topics) const;

  /// Whether all events after the position are kept.
  bool holds(uint64_t position) const;

  /// Appends the next events of these topics to `out` until it has `limit`
  /// elements. If there is no such event, `position` becomes that of the last
  /// event. Returns false if an event after the position is no longer kept.
  bool collect(uint64_t& position, const topic_set& topics, size_t limit,
               std::vector<event_frame_ptr>& out) const;

private:
  /// Number of the last event that is no longer kept, 0 for none.
  uint64_t dropped() const noexcept {
    return last_ - frames_.size();
  }

  /// The number in an id of this process; nothing if an event after it is no
  /// longer kept.
  std::optional<uint64_t> position_of(std::string_view id) const;

  std::vector<event_frame_ptr> latest(const topic_set& topics) const;

  std::string epoch_;
  size_t max_events_;
  size_t max_bytes_;

  mutable std::mutex mutex_;
  uint64_t last_ = 0;
  /// Consecutive numbers up to `last_`.
  std::deque<event_frame_ptr> frames_;
  size_t bytes_ = 0;
  std::array<event_frame_ptr, event_topic_count> latest_;
};

} // namespace aiops::http
