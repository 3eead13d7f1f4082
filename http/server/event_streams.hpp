#pragma once

#include "config/config.hpp"
#include "http/server/event_follower.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace aiops::http {

/// Sends events to all clients that follow them, in a thread of its own.
///
/// A client is a position in the ring that all share, so its memory does not
/// depend on how fast it reads. A client that falls behind the ring, or reads
/// nothing for too long, is cut off. It may reconnect and continue where it
/// was.
class event_streams {
public:
  /// Limits of the ring, from which clients that reconnect continue.
  static constexpr size_t max_events = 1024;
  static constexpr size_t max_bytes = 4 * 1024 * 1024;

  explicit event_streams(const http_config& config);

  /// Calls `stop`.
  ~event_streams();

  event_streams(const event_streams&) = delete;

  event_streams& operator=(const event_streams&) = delete;

  /// Starts the thread. Call it once.
  void start();

  /// Closes all streams at once and ends the thread. Does not wait for clients.
  void stop();

  /// Reserves the slot of a client; null if all are taken or after `stop`.
  /// @thread-safe
  std::shared_ptr<event_slot> admit(topic_set topics, std::string last_id);

  /// Takes over a non-blocking socket. The head of the answer must be sent.
  /// @thread-safe
  void follow(int fd, std::shared_ptr<event_slot> slot);

  /// Sends an event to all clients that follow its topic, unless `identity`
  /// equals that of the last event of the topic. Never blocks. @thread-safe
  /// @param data is one line.
  /// @param identity is the data without the parts that change with time alone.
  void publish(event_topic topic, std::string_view data, std::string identity);

  /// Number of slots that are taken. @thread-safe
  size_t clients() const;

  /// Number of clients that were too slow and were cut off. @thread-safe
  uint64_t cut_off() const;

private:
  class impl;
  std::unique_ptr<impl> impl_;
};

} // namespace aiops::http
