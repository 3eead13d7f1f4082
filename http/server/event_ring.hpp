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

/// What an event is about, in the order of the alternatives of `event_value`.
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

/// An event as it goes over the wire. Immutable: all who get it share it.
struct event_frame {
  /// Counts all events, from 1.
  uint64_t number = 0;
  event_topic topic = event_topic::training;
  std::string bytes;
};

using event_frame_ptr = std::shared_ptr<const event_frame>;

/// The last events, for those who follow: a position is the number of the last
/// event that somebody has got, 0 for none. @thread-safe
class event_ring {
public:
  /// @param epoch stands in every id and tells the events of one process from
  ///              those of another. No dash in it.
  /// @param max_events is how many are kept.
  /// @param max_bytes is how many bytes all of them may have. The last event
  ///                  is kept in any case.
  event_ring(std::string epoch, size_t max_events, size_t max_bytes);

  /// Adds an event with one line of data.
  void append(event_topic topic, std::string_view data);

  /// Where somebody begins.
  struct beginning {
    uint64_t position = 0;
    /// How everything stands, for somebody who does not know: the last event of
    /// each topic, in the order of their numbers.
    std::vector<event_frame_ptr> latest;
    /// Whether it got events once and missed others since.
    bool missed = false;
  };

  /// Where somebody begins who got the event with this id last; an empty one
  /// means that it got none.
  beginning begin(std::string_view last_id, const topic_set& topics) const;

  /// Whether everything that comes after the position is kept.
  bool holds(uint64_t position) const;

  /// Appends the next events of these topics to `out` until it has `limit`
  /// elements; when there is no such event the position becomes the last one.
  /// Answers false when something after the position is not kept any more.
  bool collect(uint64_t& position, const topic_set& topics, size_t limit,
               std::vector<event_frame_ptr>& out) const;

private:
  /// Number of the last event that is not kept any more, 0 for none.
  uint64_t dropped() const noexcept {
    return last_ - frames_.size();
  }

  /// The number in an id of ours; nothing when not all after it is kept.
  std::optional<uint64_t> position_of(std::string_view id) const;

  std::vector<event_frame_ptr> latest(const topic_set& topics) const;

  std::string epoch_;
  size_t max_events_;
  size_t max_bytes_;

  mutable std::mutex mutex_;
  uint64_t last_ = 0;
  /// Without a gap, up to `last_`.
  std::deque<event_frame_ptr> frames_;
  size_t bytes_ = 0;
  std::array<event_frame_ptr, event_topic_count> latest_;
};

} // namespace aiops::http
