#pragma once

#include "http/server/request_head.hpp"
#include "http/server/request_processor.hpp"

#include <atomic>
#include <chrono>
#include <optional>
#include <string>
#include <utility>

namespace aiops::http {

/// One client's connection: what was read and not served yet, what was
/// answered and not sent yet. Never blocks. One worker at a time owns it; only
/// the members that say so may be used by others.
class connection {
public:
  using clock = std::chrono::steady_clock;

  /// What has to happen before the connection can go on.
  enum class wish {
    read,
    write,
    close,
    /// Nothing: somebody else has to take over the socket, by `release`.
    hand_over,
  };

  /// A socket, and the seat of its client.
  using handover = std::pair<int, std::shared_ptr<event_seat>>;

  /// Takes over a non-blocking socket.
  connection(int fd, peer_address peer, const http_config& config);

  ~connection();

  connection(const connection&) = delete;

  connection& operator=(const connection&) = delete;

  int fd() const noexcept {
    return fd_;
  }

  /// Goes on as far as possible: sends, receives, serves whole requests.
  /// @param stopping Whether the server stops: answers are then the last ones.
  wish advance(request_processor& processor, const std::atomic<bool>& stopping);

  /// Lets go of the socket. Nothing but the destructor may follow.
  handover release();

  /// Answers that there are too many connections; to be advanced afterwards.
  void turn_away(request_processor& processor);

  /// Cuts the connection off; the worker that waits for it, or has it, will
  /// notice. @thread-safe
  void cut();

  /// Whether the time for what is going on has run out. @thread-safe
  bool expired(clock::time_point now) const;

  /// Whether no request is in hand. @thread-safe
  bool idle() const;

private:
  enum class phase { idle, receiving, processing, sending, lingering };

  enum class io { done, blocked, closed };

  wish proceed(request_processor& processor, const std::atomic<bool>& stopping);

  void enter(phase next, clock::duration limit);

  io flush();

  io receive();

  /// Serves or refuses the next request if it is whole. Answers whether there
  /// is something to send.
  bool serve(request_processor& processor, const std::atomic<bool>& stopping);

  /// Reads the next head if it is whole, into `head_`. Answers false, with
  /// an answer in `out_`, when it is refused.
  bool read_head(request_processor& processor);

  void refuse(request_processor& processor, const refusal& why);

  /// Nothing more to serve for now.
  wish park(const std::atomic<bool>& stopping);

  /// The last answer is sent; sees to it that the client gets to read it.
  wish finish();

  /// Reads what the client still sends until it closes too: closing with
  /// unread bytes would reset the connection and could destroy the answer on
  /// its way.
  wish linger();

  int fd_;
  peer_address peer_;
  const http_config& config_;

  std::string in_;
  /// Bytes of `in_` that hold no end of a head.
  size_t scanned_ = 0;
  std::optional<request_head> head_;
  /// Whether the last read filled its buffer.
  bool more_ = false;

  std::string out_;
  size_t sent_ = 0;
  /// Whether the connection ends after what is in `out_`.
  bool last_ = false;
  bool refused_ = false;
  /// Set when the client follows the events from now on.
  std::shared_ptr<event_seat> seat_;
  size_t drained_ = 0;

  /// Epoll hands the connection from worker to worker. The language does not
  /// know that as synchronization, so whoever lets go writes this, and whoever
  /// comes next reads it.
  std::atomic<bool> parked_{false};

  std::atomic<phase> phase_{phase::idle};
  std::atomic<clock::rep> deadline_;
};

} // namespace aiops::http
