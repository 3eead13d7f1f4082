#pragma once

#include "http/server/event_ring.hpp"

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace aiops::http {

/// The slot of one client that follows the events, out of a limited number, and
/// the parameters of its request. The destructor frees the slot.
class event_slot {
public:
  event_slot(std::shared_ptr<std::atomic<size_t>> taken, topic_set topics,
             std::string last_id);

  ~event_slot();

  event_slot(const event_slot&) = delete;

  event_slot& operator=(const event_slot&) = delete;

  const topic_set topics;
  /// `Last-Event-ID` as the client sent it, empty for none.
  const std::string last_id;

private:
  std::shared_ptr<std::atomic<size_t>> taken_;
};

/// One client that follows the events. It is a position in the ring that all
/// share, so its memory does not depend on how fast it reads. Never blocks.
/// Belongs to one thread.
class event_follower {
public:
  using clock = std::chrono::steady_clock;

  enum class outcome {
    /// Everything is sent.
    idle,
    /// The send buffer of the socket is full.
    blocked,
    /// There is more to send, but it is the turn of other clients.
    unfinished,
    /// The ring no longer has the next event.
    behind,
    /// The client has disconnected.
    disconnected,
  };

  /// Takes over a non-blocking socket.
  /// @param timeout How long sent bytes may remain unacknowledged.
  event_follower(int fd, std::shared_ptr<event_slot> slot,
                 const event_ring& ring, std::chrono::milliseconds timeout);

  ~event_follower();

  event_follower(const event_follower&) = delete;

  event_follower& operator=(const event_follower&) = delete;

  /// Sends as much as the socket accepts.
  outcome send();

  /// Sends a comment that keeps the connection alive. Call it only when
  /// everything else is sent.
  outcome ping();

  /// Reads and drops what the client sends. Returns false if it has
  /// disconnected or sent too much.
  bool drain_input();

  bool behind() const {
    return !ring_.holds(position_);
  }

  /// Whether the last attempt to send was blocked.
  bool blocked() const noexcept {
    return blocked_;
  }

  /// When bytes were sent last, or when sending was blocked.
  clock::time_point last_progress() const noexcept {
    return last_progress_;
  }

private:
  /// Collects the next frames in `batch_`. Returns false if the ring no longer
  /// has them.
  bool fill_batch();

  ssize_t send_batch() const;

  /// Records that this many more bytes of `batch_` are sent. Returns whether
  /// all of it is.
  bool advance(size_t bytes);

  outcome block();

  int fd_;
  std::shared_ptr<event_slot> slot_;
  const event_ring& ring_;
  /// Frames to send before the events of the ring: some at the start, later at
  /// most one ping.
  std::vector<event_frame_ptr> preamble_;
  /// All events up to this number are sent.
  uint64_t position_ = 0;
  /// Number of bytes of the next frame that are sent.
  size_t offset_ = 0;
  bool blocked_ = false;
  clock::time_point last_progress_ = clock::now();
  /// Number of bytes that the client sent.
  size_t input_ = 0;
  /// Frames that are being sent.
  std::vector<event_frame_ptr> batch_;
};

} // namespace aiops::http
