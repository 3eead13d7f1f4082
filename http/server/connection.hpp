#pragma once

#include "http/server/request_head.hpp"
#include "http/server/request_processor.hpp"

#include <atomic>
#include <chrono>
#include <optional>
#include <string>
#include <utility>

namespace aiops::http {

/// The connection of one client: the bytes that were read and not served yet,
/// and the bytes of answers that were not sent yet. Never blocks. One worker at
/// a time owns it; only members marked thread-safe may be used by others.
class connection {
public:
  using clock = std::chrono::steady_clock;

  /// What the server has to do next.
  enum class next_step {
    wait_to_read,
    wait_to_write,
    close,
    /// Give the socket, which `release` returns, to the streams of events.
    hand_over,
  };

  /// A socket, and the slot of its client.
  using handover = std::pair<int, std::shared_ptr<event_slot>>;

  /// Takes over a non-blocking socket.
  connection(int fd, peer_address peer, const http_config& config);

  ~connection();

  connection(const connection&) = delete;

  connection& operator=(const connection&) = delete;

  int fd() const noexcept {
    return fd_;
  }

  /// Sends, receives and serves complete requests until it would block.
  /// @param stopping Whether the server stops: the connection then closes after
  ///                 the next answer.
  next_step advance(request_processor& processor,
                    const std::atomic<bool>& stopping);

  /// Releases the ownership of the socket. Only the destructor may be called
  /// afterwards.
  handover release();

  /// Answers that there are too many connections. Call `advance` afterwards.
  void reject(request_processor& processor);

  /// Shuts the socket down. The worker that owns the connection, or the next
  /// one, then closes it. @thread-safe
  void shut_down();

  /// Whether the current phase has taken too long. @thread-safe
  bool expired(clock::time_point now) const;

  /// Whether no request is being received, processed or answered. @thread-safe
  bool idle() const;

private:
  enum class phase { idle, receiving, processing, sending, lingering };

  enum class io { done, blocked, closed };

  next_step proceed(request_processor& processor,
                    const std::atomic<bool>& stopping);

  void enter(phase next, clock::duration limit);

  io flush();

  io receive();

  /// Serves or refuses the next request if it is complete. Returns whether
  /// there is something to send.
  bool serve(request_processor& processor, const std::atomic<bool>& stopping);

  /// Parses the next head into `head_` if it is complete. Returns false, with
  /// an answer in `out_`, if it is refused.
  bool read_head(request_processor& processor);

  void refuse(request_processor& processor, const refusal& reason);

  /// Waits for more bytes of the client.
  next_step park(const std::atomic<bool>& stopping);

  /// Ends the connection after the last answer is sent.
  next_step finish();

  /// Reads and drops bytes until the client closes too. Closing with unread
  /// bytes would reset the connection, and the client could lose the answer.
  next_step linger();

  int fd_;
  peer_address peer_;
  const http_config& config_;

  std::string in_;
  /// Number of bytes of `in_` that were searched for the end of a head.
  size_t scanned_ = 0;
  std::optional<request_head> head_;
  /// Whether the last read filled its buffer.
  bool more_ = false;

  std::string out_;
  size_t sent_ = 0;
  /// Whether the connection ends when `out_` is sent.
  bool last_ = false;
  bool refused_ = false;
  /// Set when the client follows the events from now on.
  std::shared_ptr<event_slot> slot_;
  size_t drained_ = 0;

  /// Epoll passes the connection from worker to worker, which C++ does not
  /// define as synchronization. So the worker that releases the connection
  /// writes this flag, and the next worker reads it.
  std::atomic<bool> parked_{false};

  std::atomic<phase> phase_{phase::idle};
  std::atomic<clock::rep> deadline_;
};

} // namespace aiops::http
