#include "http/server/server.hpp"

#include "base/log.hpp"
#include "http/server/connection.hpp"
#include "http/server/event_streams.hpp"
#include "http/server/listener.hpp"
#include "http/server/request_processor.hpp"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <thread>
#include <unordered_map>

namespace aiops::http {

namespace {

using std::chrono::steady_clock;

/// Time between two checks of deadlines, and how long the listener pauses when
/// file descriptors have run out.
constexpr milliseconds deadline_check_interval{100};

/// Number of connections above the limit that are answered 503 at one time.
/// Further ones are closed without an answer.
constexpr size_t max_rejections = 64;

/// The last part of a stop, in which cancelled requests are answered.
constexpr milliseconds drain_margin{100};

} // namespace

class http_server::impl {
public:
  impl(http_config config, handler_factory make_handler)
    : config_(std::move(config)), make_handler_(std::move(make_handler)),
      streams_(config_), epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      wakeup_fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    // nop
  }

  ~impl() {
    stop(milliseconds{0});
    connections_.clear();
    ::close(wakeup_fd_);
    ::close(epoll_);
  }

  caf::expected<uint16_t> bind() {
    auto port = listener_.open(config_.host, config_.port);
    if (port)
      config_.port = *port;
    return port;
  }

  void start() {
    watch(EPOLL_CTL_ADD, listener_.fd(), EPOLLIN | EPOLLONESHOT, &listener_);
    watch(EPOLL_CTL_ADD, wakeup_fd_, EPOLLIN, &wakeup_fd_);
    for (size_t i = 0; i < config_.workers; ++i)
      processors_.push_back(
        std::make_unique<request_processor>(config_, make_handler_(streams_)));
    for (auto& processor : processors_)
      threads_.emplace_back([this, &own = *processor] { work(own); });
    threads_.emplace_back([this] { check_deadlines(); });
    streams_.start();
  }

  void stop(milliseconds deadline) {
    auto until = steady_clock::now() + deadline;
    stopping_ = true;
    listener_.shut_down();
    streams_.stop();
    if (threads_.empty())
      return;
    shut_down_if([](const connection& x) { return x.idle(); });
    wait_until_empty(until - drain_margin);
    for (auto& processor : processors_)
      processor->cancel();
    wait_until_empty(until);
    shut_down_if([](const connection&) { return true; });
    end_threads();
    for (auto& thread : threads_)
      thread.join();
    threads_.clear();
    processors_.clear();
  }

  event_streams& events() {
    return streams_;
  }

  std::string address() const {
    auto& host = config_.host;
    auto literal = host.find(':') != std::string::npos ? "[" + host + "]"
                                                       : host;
    return literal + ":" + std::to_string(config_.port);
  }

private:
  void watch(int operation, int fd, uint32_t events, void* tag) const {
    epoll_event event{};
    event.events = events;
    event.data.ptr = tag;
    ::epoll_ctl(epoll_, operation, fd, &event);
  }

  void end_threads() {
    {
      std::lock_guard guard{mutex_};
      done_ = true;
    }
    changed_.notify_all();
    uint64_t one = 1;
    [[maybe_unused]] auto n = ::write(wakeup_fd_, &one, sizeof(one));
  }

  /// Serves connections that are ready, one at a time.
  void work(request_processor& processor) {
    for (;;) {
      epoll_event event{};
      if (::epoll_wait(epoll_, &event, 1, -1) != 1)
        continue;
      if (event.data.ptr == &wakeup_fd_)
        return;
      if (event.data.ptr == &listener_)
        accept_all(processor);
      else
        advance(*static_cast<connection*>(event.data.ptr), processor,
                EPOLL_CTL_MOD);
    }
  }

  void advance(connection& x, request_processor& processor, int operation) {
    // Another worker may own `x` before `watch` returns, so `x` must not be
    // used after that call.
    auto fd = x.fd();
    auto next = connection::next_step::close;
    try {
      next = x.advance(processor, stopping_);
    } catch (const std::exception& ex) {
      log::error("http", "lost a connection", {{"reason", ex.what()}});
    }
    switch (next) {
      case connection::next_step::wait_to_read:
        return watch(operation, fd, EPOLLIN | EPOLLONESHOT, &x);
      case connection::next_step::wait_to_write:
        return watch(operation, fd, EPOLLOUT | EPOLLONESHOT, &x);
      case connection::next_step::close:
        remove(x);
        return;
      case connection::next_step::hand_over:
        return hand_over(x);
    }
  }

  void accept_all(request_processor& processor) {
    for (;;) {
      int fd = -1;
      peer_address peer;
      switch (listener_.accept(fd, peer)) {
        case listener::outcome::accepted:
          add(fd, std::move(peer), processor);
          break;
        case listener::outcome::none:
          return listen_again();
        case listener::outcome::exhausted:
          listener_paused_ = true;
          return;
      }
    }
  }

  void listen_again() {
    if (!stopping_)
      watch(EPOLL_CTL_MOD, listener_.fd(), EPOLLIN | EPOLLONESHOT, &listener_);
  }

  void add(int fd, peer_address peer, request_processor& processor) {
    auto made = std::make_unique<connection>(fd, std::move(peer), config_);
    auto& x = *made;
    size_t others = 0;
    {
      std::lock_guard guard{mutex_};
      others = connections_.size();
      if (others >= config_.max_connections + max_rejections || stopping_)
        return;
      connections_.emplace(&x, std::move(made));
    }
    // The worker that accepts does not serve, since more clients may wait.
    if (others < config_.max_connections)
      return watch(EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLONESHOT, &x);
    x.reject(processor);
    advance(x, processor, EPOLL_CTL_ADD);
  }

  std::unique_ptr<connection> remove(connection& x) {
    std::lock_guard guard{mutex_};
    auto i = connections_.find(&x);
    auto removed = std::move(i->second);
    connections_.erase(i);
    if (connections_.empty())
      changed_.notify_all();
    return removed;
  }

  /// Gives the connection to the streams of events.
  void hand_over(connection& x) {
    ::epoll_ctl(epoll_, EPOLL_CTL_DEL, x.fd(), nullptr);
    auto [fd, slot] = remove(x)->release();
    streams_.follow(fd, std::move(slot));
  }

  template <class Predicate>
  void shut_down_if(Predicate pred) {
    std::lock_guard guard{mutex_};
    for (auto& [key, x] : connections_)
      if (pred(*x))
        x->shut_down();
  }

  void wait_until_empty(steady_clock::time_point until) {
    std::unique_lock guard{mutex_};
    changed_.wait_until(guard, until, [this] { return connections_.empty(); });
  }

  /// Shuts down connections that take too long.
  void check_deadlines() {
    std::unique_lock guard{mutex_};
    auto done = [this] { return done_; };
    while (!changed_.wait_for(guard, deadline_check_interval, done)) {
      guard.unlock();
      auto now = steady_clock::now();
      shut_down_if([now](const connection& x) { return x.expired(now); });
      if (listener_paused_.exchange(false))
        listen_again();
      guard.lock();
    }
  }

  http_config config_;
  handler_factory make_handler_;
  event_streams streams_;
  listener listener_;
  int epoll_;
  /// Readable when the threads have to end.
  int wakeup_fd_;
  std::vector<std::unique_ptr<request_processor>> processors_;
  std::vector<std::thread> threads_;
  std::atomic<bool> stopping_{false};
  /// Whether the next check of deadlines has to listen again.
  std::atomic<bool> listener_paused_{false};

  std::mutex mutex_;
  std::condition_variable changed_;
  bool done_ = false;
  std::unordered_map<connection*, std::unique_ptr<connection>> connections_;
};

http_server::http_server(http_config config, handler_factory make_handler)
  : impl_(std::make_unique<impl>(std::move(config), std::move(make_handler))) {
  // nop
}

http_server::~http_server() = default;

caf::expected<uint16_t> http_server::bind() {
  return impl_->bind();
}

void http_server::start() {
  impl_->start();
}

void http_server::stop(std::chrono::milliseconds deadline) {
  impl_->stop(deadline);
}

event_streams& http_server::events() {
  return impl_->events();
}

std::string http_server::address() const {
  return impl_->address();
}

} // namespace aiops::http
