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

/// How often deadlines are looked at, and how long a listener rests that ran
/// out of file descriptors.
constexpr milliseconds patrol_interval{100};

/// Connections beyond the limit that are being told so; further ones are
/// closed without a word.
constexpr size_t turned_away_at_once = 64;

/// The part of a stop that is left for sending answers to requests whose wait
/// was ended.
constexpr milliseconds farewell{100};

/// A fifth of the workers is kept for requests that wait for nobody.
size_t seats(size_t workers) {
  return workers - workers / 5;
}

} // namespace

class http_server::impl {
public:
  impl(http_config config, http_context context)
    : config_(std::move(config)), context_(context), streams_(config_),
      gate_(seats(config_.workers)), epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      bell_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    context_.events = &streams_;
  }

  ~impl() {
    stop(milliseconds{0});
    connections_.clear();
    ::close(bell_);
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
    watch(EPOLL_CTL_ADD, bell_, EPOLLIN, &bell_);
    for (size_t i = 0; i < config_.workers; ++i)
      processors_.push_back(
        std::make_unique<request_processor>(context_, config_, gate_));
    for (auto& processor : processors_)
      threads_.emplace_back([this, &own = *processor] { work(own); });
    threads_.emplace_back([this] { patrol(); });
    streams_.start();
  }

  void stop(milliseconds deadline) {
    auto until = steady_clock::now() + deadline;
    stopping_ = true;
    listener_.shut();
    streams_.stop();
    if (threads_.empty())
      return;
    cut_if([](const connection& x) { return x.idle(); });
    wait_until_empty(until - farewell);
    for (auto& processor : processors_)
      processor->cancel();
    wait_until_empty(until);
    cut_if([](const connection&) { return true; });
    ring();
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

  /// Ends all threads.
  void ring() {
    {
      std::lock_guard guard{mutex_};
      done_ = true;
    }
    changed_.notify_all();
    uint64_t one = 1;
    [[maybe_unused]] auto n = ::write(bell_, &one, sizeof(one));
  }

  /// Serves whichever connection has something to do, one at a time.
  void work(request_processor& processor) {
    for (;;) {
      epoll_event event{};
      if (::epoll_wait(epoll_, &event, 1, -1) != 1)
        continue;
      if (event.data.ptr == &bell_)
        return;
      if (event.data.ptr == &listener_)
        accept_all(processor);
      else
        advance(*static_cast<connection*>(event.data.ptr), processor,
                EPOLL_CTL_MOD);
    }
  }

  void advance(connection& x, request_processor& processor, int operation) {
    // Another worker may have it before `watch` returns: look at it no more.
    auto fd = x.fd();
    auto wish = connection::wish::close;
    try {
      wish = x.advance(processor, stopping_);
    } catch (const std::exception& ex) {
      log::error("http", "lost a connection", {{"reason", ex.what()}});
    }
    switch (wish) {
      case connection::wish::read:
        return watch(operation, fd, EPOLLIN | EPOLLONESHOT, &x);
      case connection::wish::write:
        return watch(operation, fd, EPOLLOUT | EPOLLONESHOT, &x);
      case connection::wish::close:
        remove(x);
        return;
      case connection::wish::hand_over:
        return hand_over(x);
    }
  }

  void accept_all(request_processor& processor) {
    for (;;) {
      int fd = -1;
      peer_address peer;
      switch (listener_.accept(fd, peer)) {
        case listener::outcome::taken:
          add(fd, std::move(peer), processor);
          break;
        case listener::outcome::none:
          return listen_again();
        case listener::outcome::exhausted:
          resting_ = true;
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
      if (others >= config_.max_connections + turned_away_at_once || stopping_)
        return;
      connections_.emplace(&x, std::move(made));
    }
    // Whoever accepts does not serve: others may queue up behind.
    if (others < config_.max_connections)
      return watch(EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLONESHOT, &x);
    x.turn_away(processor);
    advance(x, processor, EPOLL_CTL_ADD);
  }

  std::unique_ptr<connection> remove(connection& x) {
    std::lock_guard guard{mutex_};
    auto i = connections_.find(&x);
    auto gone = std::move(i->second);
    connections_.erase(i);
    if (connections_.empty())
      changed_.notify_all();
    return gone;
  }

  /// From now on the client is the streams' affair.
  void hand_over(connection& x) {
    ::epoll_ctl(epoll_, EPOLL_CTL_DEL, x.fd(), nullptr);
    auto [fd, seat] = remove(x)->release();
    streams_.follow(fd, std::move(seat));
  }

  template <class Predicate>
  void cut_if(Predicate pred) {
    std::lock_guard guard{mutex_};
    for (auto& [key, x] : connections_)
      if (pred(*x))
        x->cut();
  }

  void wait_until_empty(steady_clock::time_point until) {
    std::unique_lock guard{mutex_};
    changed_.wait_until(guard, until, [this] { return connections_.empty(); });
  }

  /// Cuts off those who take too long.
  void patrol() {
    std::unique_lock guard{mutex_};
    auto done = [this] { return done_; };
    while (!changed_.wait_for(guard, patrol_interval, done)) {
      guard.unlock();
      auto now = steady_clock::now();
      cut_if([now](const connection& x) { return x.expired(now); });
      if (resting_.exchange(false))
        listen_again();
      guard.lock();
    }
  }

  http_config config_;
  http_context context_;
  event_streams streams_;
  admission gate_;
  listener listener_;
  int epoll_;
  /// Readable once the threads have to end.
  int bell_;
  std::vector<std::unique_ptr<request_processor>> processors_;
  std::vector<std::thread> threads_;
  std::atomic<bool> stopping_{false};
  /// Whether the listener waits for the patrol.
  std::atomic<bool> resting_{false};

  std::mutex mutex_;
  std::condition_variable changed_;
  bool done_ = false;
  std::unordered_map<connection*, std::unique_ptr<connection>> connections_;
};

http_server::http_server(http_config config, http_context context)
  : impl_(std::make_unique<impl>(std::move(config), context)) {
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
