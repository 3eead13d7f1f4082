#pragma once

#include "actors/messages.hpp"
#include "config/config.hpp"
#include "http/server/event_follower.hpp"

#include <cstdint>
#include <memory>
#include <string>

namespace aiops::http {

/// Sends events to all clients that follow them, by a thread of its own.
///
/// What a client costs does not depend on how fast it reads: it is a position
/// in the ring that all share. One that falls behind the ring, or takes nothing
/// for too long, is cut off; it may come back and go on where it was.
class event_streams {
public:
  /// What is kept for those who come back.
  static constexpr size_t max_events = 1024;
  static constexpr size_t max_bytes = 4 * 1024 * 1024;

  explicit event_streams(const http_config& config);

  /// Stops.
  ~event_streams();

  event_streams(const event_streams&) = delete;

  event_streams& operator=(const event_streams&) = delete;

  /// Call it once.
  void start();

  /// Closes all streams at once and ends the thread; waits for nobody else.
  void stop();

  /// Gives a client a place; null when there is none or after `stop`.
  /// @thread-safe
  std::shared_ptr<event_seat> admit(topic_set topics, std::string last_id);

  /// Takes over a non-blocking socket whose client has got the head of the
  /// answer. @thread-safe
  void follow(int fd, std::shared_ptr<event_seat> seat);

  /// Tells everybody; never blocks. @thread-safe
  void publish(const event_value& value);

  /// Places that are taken. @thread-safe
  size_t clients() const;

  /// Clients that did not keep up and were cut off. @thread-safe
  uint64_t cut_off() const;

private:
  class impl;
  std::unique_ptr<impl> impl_;
};

} // namespace aiops::http
