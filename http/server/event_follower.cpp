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

/// What the kernel may keep for one client, in bytes (it counts its own needs
/// as well).
constexpr int send_buffer = 64 * 1024;

/// Events that one system call sends.
constexpr size_t batch_size = 16;

/// System calls for one client before it is the others' turn.
constexpr int turns_at_once = 64;

/// A client has nothing to say; more than that is too much.
constexpr size_t max_heard = 64 * 1024;

event_frame_ptr make_frame(std::string bytes) {
  return std::make_shared<event_frame>(
    event_frame{0, event_topic::training, std::move(bytes)});
}

/// How long a client waits before it comes back, in milliseconds.
const auto retry_frame = make_frame("retry: 2000\n\n");

/// Says that events were missed.
const auto reset_frame = make_frame("event: reset\ndata: {}\n\n");

const auto ping_frame = make_frame(": ping\n\n");

bool not_now(int problem) {
  return problem == EAGAIN || problem == EWOULDBLOCK || problem == EINTR;
}

} // namespace

event_seat::event_seat(std::shared_ptr<std::atomic<size_t>> taken,
                       topic_set wanted, std::string id)
  : topics(wanted), last_id(std::move(id)), taken_(std::move(taken)) {
  // nop
}

event_seat::~event_seat() {
  taken_->fetch_sub(1);
}

event_follower::event_follower(int fd, std::shared_ptr<event_seat> seat,
                               const event_ring& ring,
                               std::chrono::milliseconds patience)
  : fd_(fd), seat_(std::move(seat)), ring_(ring) {
  ::setsockopt(fd_, SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof(send_buffer));
  // One that vanished without a word holds its seat no longer than that.
  auto limit = static_cast<unsigned>(patience.count());
  ::setsockopt(fd_, IPPROTO_TCP, TCP_USER_TIMEOUT, &limit, sizeof(limit));
  auto start = ring_.begin(seat_->last_id, seat_->topics);
  position_ = start.position;
  first_.push_back(retry_frame);
  if (start.missed)
    first_.push_back(reset_frame);
  first_.insert(first_.end(), start.latest.begin(), start.latest.end());
}

event_follower::~event_follower() {
  ::close(fd_);
}

event_follower::outcome event_follower::send() {
  for (auto turn = 0; turn < turns_at_once; ++turn) {
    if (!fill_batch())
      return outcome::behind;
    if (batch_.empty()) {
      blocked_ = false;
      return outcome::idle;
    }
    auto n = send_batch();
    if (n < 0 && !not_now(errno))
      return outcome::gone;
    auto all = n >= 0 && advance(static_cast<size_t>(n));
    batch_.clear();
    if (!all)
      return block();
  }
  blocked_ = false;
  return outcome::unfinished;
}

event_follower::outcome event_follower::ping() {
  first_.push_back(ping_frame);
  return send();
}

bool event_follower::hear() {
  char buf[4096];
  auto n = ::recv(fd_, buf, sizeof(buf), 0);
  if (n <= 0)
    return n < 0 && not_now(errno);
  heard_ += static_cast<size_t>(n);
  return heard_ <= max_heard;
}

bool event_follower::fill_batch() {
  batch_.assign(first_.begin(), first_.end());
  return ring_.collect(position_, seat_->topics, batch_size, batch_);
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
    moved_ = clock::now();
  offset_ += bytes;
  size_t whole = 0;
  for (; whole < batch_.size(); ++whole) {
    auto& frame = *batch_[whole];
    if (offset_ < frame.bytes.size())
      break;
    offset_ -= frame.bytes.size();
    position_ = std::max(position_, frame.number);
  }
  auto greeted = std::min(whole, first_.size());
  first_.erase(first_.begin(),
               first_.begin() + static_cast<ptrdiff_t>(greeted));
  // Of an event that is sent in part, the rest must still be there.
  if (offset_ > 0 && first_.empty())
    position_ = batch_[whole]->number - 1;
  return whole == batch_.size();
}

event_follower::outcome event_follower::block() {
  if (!blocked_)
    moved_ = clock::now();
  blocked_ = true;
  return outcome::blocked;
}

} // namespace aiops::http
