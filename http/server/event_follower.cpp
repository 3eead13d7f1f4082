#include "http/server/event_follower.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace aiops::http {

namespace {

/// Size of a client's send buffer in the kernel, in bytes (its own overhead
/// included).
constexpr int send_buffer = 64 * 1024;

/// Number of events per system call.
constexpr size_t batch_size = 16;

/// Number of system calls for one client before it is the turn of others.
constexpr int max_sends = 64;

/// Number of bytes that a client may send, although none are expected.
constexpr size_t max_input = 64 * 1024;

event_frame_ptr make_frame(std::string bytes) {
  return std::make_shared<event_frame>(
    event_frame{0, event_topic::training, std::move(bytes)});
}

/// How long a client waits before it reconnects, in milliseconds.
const auto retry_frame = make_frame("retry: 2000\n\n");

/// Reports that events were missed.
const auto reset_frame = make_frame("event: reset\ndata: {}\n\n");

const auto ping_frame = make_frame(": ping\n\n");

bool is_temporary(int problem) {
  return problem == EAGAIN || problem == EWOULDBLOCK || problem == EINTR;
}

} // namespace

event_slot::event_slot(std::shared_ptr<std::atomic<size_t>> taken,
                       topic_set wanted, std::string id)
  : topics(wanted), last_id(std::move(id)), taken_(std::move(taken)) {
  // nop
}

event_slot::~event_slot() {
  taken_->fetch_sub(1);
}

event_follower::event_follower(int fd, std::shared_ptr<event_slot> slot,
                               const event_ring& ring,
                               std::chrono::milliseconds timeout)
  : fd_(fd), slot_(std::move(slot)), ring_(ring) {
  ::setsockopt(fd_, SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof(send_buffer));
  // A client that vanishes without closing the connection frees its slot after
  // this time.
  auto limit = static_cast<unsigned>(timeout.count());
  ::setsockopt(fd_, IPPROTO_TCP, TCP_USER_TIMEOUT, &limit, sizeof(limit));
  auto start = ring_.start_after(slot_->last_id, slot_->topics);
  position_ = start.position;
  preamble_.push_back(retry_frame);
  if (start.missed)
    preamble_.push_back(reset_frame);
  preamble_.insert(preamble_.end(), start.latest.begin(), start.latest.end());
}

event_follower::~event_follower() {
  ::close(fd_);
}

event_follower::outcome event_follower::send() {
  for (auto i = 0; i < max_sends; ++i) {
    if (!fill_batch())
      return outcome::behind;
    if (batch_.empty()) {
      blocked_ = false;
      return outcome::idle;
    }
    auto n = send_batch();
    if (n < 0 && !is_temporary(errno))
      return outcome::disconnected;
    auto all = n >= 0 && advance(static_cast<size_t>(n));
    batch_.clear();
    if (!all)
      return block();
  }
  blocked_ = false;
  return outcome::unfinished;
}

event_follower::outcome event_follower::ping() {
  preamble_.push_back(ping_frame);
  return send();
}

bool event_follower::drain_input() {
  char buf[4096];
  auto n = ::recv(fd_, buf, sizeof(buf), 0);
  if (n <= 0)
    return n < 0 && is_temporary(errno);
  input_ += static_cast<size_t>(n);
  return input_ <= max_input;
}

bool event_follower::fill_batch() {
  batch_.assign(preamble_.begin(), preamble_.end());
  return ring_.collect(position_, slot_->topics, batch_size, batch_);
}

ssize_t event_follower::send_batch() const {
  std::array<iovec, batch_size> parts;
  auto count = std::min(batch_.size(), parts.size());
  for (size_t i = 0; i < count; ++i) {
    auto& bytes = batch_[i]->bytes;
    auto skip = i == 0 ? offset_ : 0;
    parts[i] = {const_cast<char*>(bytes.data()) + skip, bytes.size() - skip};
  }
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = count;
  return ::sendmsg(fd_, &message, MSG_NOSIGNAL);
}

bool event_follower::advance(size_t bytes) {
  if (bytes > 0)
    last_progress_ = clock::now();
  offset_ += bytes;
  size_t whole = 0;
  for (; whole < batch_.size(); ++whole) {
    auto& frame = *batch_[whole];
    if (offset_ < frame.bytes.size())
      break;
    offset_ -= frame.bytes.size();
    position_ = std::max(position_, frame.number);
  }
  auto from_preamble = std::min(whole, preamble_.size());
  preamble_.erase(preamble_.begin(),
                  preamble_.begin() + static_cast<ptrdiff_t>(from_preamble));
  // The ring must keep an event that is sent in part.
  if (offset_ > 0 && preamble_.empty())
    position_ = batch_[whole]->number - 1;
  return whole == batch_.size();
}

event_follower::outcome event_follower::block() {
  if (!blocked_)
    last_progress_ = clock::now();
  blocked_ = true;
  return outcome::blocked;
}

} // namespace aiops::http
