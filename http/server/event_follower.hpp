#pragma once

#include "http/server/event_ring.hpp"

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace aiops::http {

/// A place among the clients that follow the events, and what its client
/// wants; free again when this object goes.
class event_seat {
public:
  event_seat(std::shared_ptr<std::atomic<size_t>> taken, topic_set topics,
             std::string last_id);

  ~event_seat();

  event_seat(const event_seat&) = delete;

  event_seat& operator=(const event_seat&) = delete;

  const topic_set topics;
  /// `Last-Event-ID` as the client sent it, empty for none.
  const std::string last_id;

private:
  std::shared_ptr<std::atomic<size_t>> taken_;
};

/// One client that follows the events: a position in the ring that all share,
/// so that what it costs does not depend on how fast it reads. Never blocks.
/// Belongs to one thread.
class event_follower {
public:
  using clock = std::chrono::steady_clock;

  enum class outcome {
    /// It got everything.
    idle,
    /// It takes no more for now.
    blocked,
    /// There is more, but others want something too.
    unfinished,
    /// It did not keep up with the ring.
    behind,
    /// It is not there any more.
    gone,
  };

  /// Takes over a non-blocking socket.
  /// @param patience How long a client may be out of reach.
  event_follower(int fd, std::shared_ptr<event_seat> seat,
                 const event_ring& ring, std::chrono::milliseconds patience);

  ~event_follower();

  event_follower(const event_follower&) = delete;

  event_follower& operator=(const event_follower&) = delete;

  /// Sends as much as the client takes.
  outcome send();

  /// Sends a sign of life; only when everything else is sent.
  outcome ping();

  /// Throws away what the client says. Answers false when it is gone or does
  /// not stop.
  bool hear();

  bool behind() const {
    return !ring_.holds(position_);
  }

  /// Whether there is something to send that the client does not take.
  bool blocked() const noexcept {
    return blocked_;
  }

  /// When it took something last, or began to take nothing.
  clock::time_point moved() const noexcept {
    return moved_;
  }

private:
  /// Takes what comes next into `batch_`. Answers false when it is gone.
  bool fill_batch();

  ssize_t send_batch() const;

  /// Books that so many more bytes of `batch_` are sent. Answers whether that
  /// is all.
  bool advance(size_t bytes);

  outcome block();

  int fd_;
  std::shared_ptr<event_seat> seat_;
  const event_ring& ring_;
  /// What has to be sent before the events of the ring: a handful in the
  /// beginning, later a ping at most.
  std::vector<event_frame_ptr> first_;
  /// All events up to here are sent.
  uint64_t position_ = 0;
  /// Bytes that are sent of what comes next.
  size_t offset_ = 0;
  bool blocked_ = false;
  clock::time_point moved_ = clock::now();
  /// Bytes that the client sent.
  size_t heard_ = 0;
  /// What is being sent.
  std::vector<event_frame_ptr> batch_;
};

} // namespace aiops::http
