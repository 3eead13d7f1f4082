#include "http/server/connection.hpp"

#include "http/server/response_head.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

namespace aiops::http {

namespace {

/// How long a client may continue to send a request that was refused, and how
/// much of that is read.
constexpr std::chrono::seconds linger_time{1};
constexpr size_t linger_bytes = 4 * 1024 * 1024;

/// Buffers larger than this are freed when they are empty.
constexpr size_t max_idle_buffer = 64 * 1024;

void reset(std::string& buffer) {
  if (buffer.capacity() > max_idle_buffer)
    std::string{}.swap(buffer);
  else
    buffer.clear();
}

} // namespace

connection::connection(int fd, peer_address peer, const http_config& config)
  : fd_(fd), peer_(std::move(peer)), config_(config) {
  enter(phase::idle, config.keep_alive_timeout);
  parked_ = true;
}

connection::~connection() {
  if (fd_ >= 0)
    ::close(fd_);
}

connection::next_step connection::advance(request_processor& processor,
                                          const std::atomic<bool>& stopping) {
  parked_.exchange(false);
  auto result = proceed(processor, stopping);
  parked_ = true;
  return result;
}

connection::next_step connection::proceed(request_processor& processor,
                                          const std::atomic<bool>& stopping) {
  if (phase_ == phase::lingering)
    return linger();
  more_ = true;
  for (;;) {
    switch (flush()) {
      case io::done:
        break;
      case io::blocked:
        if (phase_ != phase::sending)
          enter(phase::sending, config_.client_timeout);
        return next_step::wait_to_write;
      case io::closed:
        return next_step::close;
    }
    if (slot_)
      return next_step::hand_over;
    if (last_)
      return finish();
    if (serve(processor, stopping))
      continue;
    // A read that did not fill its buffer most likely took everything.
    auto got = more_ ? receive() : io::blocked;
    if (got == io::closed)
      return next_step::close;
    if (got == io::blocked)
      return park(stopping);
  }
}

connection::handover connection::release() {
  return {std::exchange(fd_, -1), std::move(slot_)};
}

void connection::reject(request_processor& processor) {
  refuse(processor, {503, "too many connections, try again in a moment", {}});
}

void connection::shut_down() {
  ::shutdown(fd_, SHUT_RDWR);
}

bool connection::expired(clock::time_point now) const {
  return now.time_since_epoch().count() > deadline_;
}

bool connection::idle() const {
  auto now = phase_.load();
  return now == phase::idle || now == phase::lingering;
}

void connection::enter(phase next, clock::duration limit) {
  deadline_ = (clock::now() + limit).time_since_epoch().count();
  phase_ = next;
}

connection::io connection::flush() {
  while (sent_ < out_.size()) {
    auto n = ::send(fd_, out_.data() + sent_, out_.size() - sent_,
                    MSG_NOSIGNAL);
    if (n >= 0)
      sent_ += static_cast<size_t>(n);
    else if (errno == EAGAIN || errno == EWOULDBLOCK)
      return io::blocked;
    else if (errno != EINTR)
      return io::closed;
  }
  reset(out_);
  sent_ = 0;
  return io::done;
}

connection::io connection::receive() {
  char buf[16 * 1024];
  for (;;) {
    auto n = ::recv(fd_, buf, sizeof(buf), 0);
    if (n > 0) {
      in_.append(buf, static_cast<size_t>(n));
      more_ = static_cast<size_t>(n) == sizeof(buf);
      return io::done;
    }
    if (n == 0)
      return io::closed;
    if (errno == EAGAIN || errno == EWOULDBLOCK)
      return io::blocked;
    if (errno != EINTR)
      return io::closed;
  }
}

bool connection::serve(request_processor& processor,
                       const std::atomic<bool>& stopping) {
  if (!head_ && !read_head(processor))
    return true;
  if (!head_)
    return false;
  auto end = head_->size + head_->content_length;
  if (in_.size() < end) {
    if (!head_->expects_continue || in_.size() > head_->size)
      return false;
    head_->expects_continue = false;
    out_ += continue_head;
    return true;
  }
  // The handlers limit the time that an answer takes.
  enter(phase::processing, std::chrono::hours{1});
  last_ = !head_->keep_alive || stopping;
  auto body = std::string_view{in_}.substr(head_->size, head_->content_length);
  slot_ = processor.process(*head_, body, peer_, last_, out_);
  head_.reset();
  if (in_.size() == end)
    reset(in_);
  else
    in_.erase(0, end);
  scanned_ = 0;
  return true;
}

bool connection::read_head(request_processor& processor) {
  // Some clients send an empty line after the body of a request.
  if (in_.starts_with("\r\n"))
    in_.erase(0, 2);
  auto end = find_head_end(in_, scanned_);
  if (!end) {
    scanned_ = in_.size() < 3 ? 0 : in_.size() - 3;
    auto refused = check_partial_head(in_);
    if (refused)
      refuse(processor, *refused);
    return !refused;
  }
  auto parsed = parse_head(std::string_view{in_}.substr(0, *end),
                           config_.max_body);
  if (auto refused = std::get_if<refusal>(&parsed)) {
    refuse(processor, *refused);
    return false;
  }
  head_ = std::move(std::get<request_head>(parsed));
  return true;
}

void connection::refuse(request_processor& processor, const refusal& reason) {
  processor.refuse(reason, peer_, out_);
  refused_ = true;
  last_ = true;
}

connection::next_step connection::park(const std::atomic<bool>& stopping) {
  if (in_.empty()) {
    enter(phase::idle, config_.keep_alive_timeout);
    return stopping ? next_step::close : next_step::wait_to_read;
  }
  // One limit for the whole request: single bytes do not extend it.
  if (phase_ != phase::receiving)
    enter(phase::receiving, config_.client_timeout);
  return next_step::wait_to_read;
}

connection::next_step connection::finish() {
  if (!refused_ && in_.empty())
    return next_step::close;
  ::shutdown(fd_, SHUT_WR);
  enter(phase::lingering, linger_time);
  return linger();
}

connection::next_step connection::linger() {
  char buf[16 * 1024];
  while (drained_ < linger_bytes) {
    auto n = ::recv(fd_, buf, sizeof(buf), 0);
    if (n > 0)
      drained_ += static_cast<size_t>(n);
    else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
      return next_step::wait_to_read;
    else if (n == 0 || errno != EINTR)
      break;
  }
  return next_step::close;
}

} // namespace aiops::http
