#include "http/server/event_streams.hpp"

#include "base/log.hpp"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <mutex>
#include <random>
#include <thread>
#include <unordered_map>
#include <utility>

namespace aiops::http {

namespace {

using std::chrono::steady_clock;

std::string random_epoch() {
  std::random_device random;
  std::string result;
  for (auto i = 0; i < 12; ++i)
    result += "0123456789abcdef"[random() & 15];
  return result;
}

} // namespace

class event_streams::impl {
public:
  explicit impl(const http_config& config)
    : config_(config), ring_(random_epoch(), max_events, max_bytes),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      wakeup_fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    watch(EPOLL_CTL_ADD, wakeup_fd_, EPOLLIN);
  }

  ~impl() {
    stop();
    ::close(wakeup_fd_);
    ::close(epoll_);
  }

  void start() {
    thread_ = std::thread{[this] { run(); }};
  }

  void stop() {
    {
      std::lock_guard guard{mutex_};
      stopped_ = true;
    }
    wake_up();
    if (thread_.joinable())
      thread_.join();
    for (auto& x : arrivals_)
      ::close(x.fd);
    arrivals_.clear();
  }

  std::shared_ptr<event_slot> admit(topic_set topics, std::string last_id) {
    {
      std::lock_guard guard{mutex_};
      if (stopped_)
        return nullptr;
    }
    auto before = taken_->fetch_add(1);
    auto slot = std::make_shared<event_slot>(taken_, topics,
                                             std::move(last_id));
    return before < config_.max_event_clients ? slot : nullptr;
  }

  void follow(int fd, std::shared_ptr<event_slot> slot) {
    {
      std::lock_guard guard{mutex_};
      if (!stopped_) {
        arrivals_.push_back({fd, std::move(slot)});
        fd = -1;
      }
    }
    if (fd >= 0)
      ::close(fd);
    else
      wake_up();
  }

  void publish(event_topic topic, std::string_view data, std::string identity) {
    {
      std::lock_guard guard{mutex_};
      auto& last = identities_[static_cast<size_t>(topic)];
      if (last == identity)
        return;
      last = std::move(identity);
      ring_.append(topic, data);
    }
    wake_up();
  }

  size_t clients() const {
    return *taken_;
  }

  uint64_t cut_off() const {
    return cut_off_;
  }

private:
  struct arrival {
    int fd;
    std::shared_ptr<event_slot> slot;
  };

  using outcome = event_follower::outcome;
  using follower_map = std::unordered_map<int, std::unique_ptr<event_follower>>;

  void watch(int operation, int fd, uint32_t what) const {
    epoll_event event{};
    event.events = what;
    event.data.fd = fd;
    ::epoll_ctl(epoll_, operation, fd, &event);
  }

  void wake_up() const {
    uint64_t one = 1;
    [[maybe_unused]] auto n = ::write(wakeup_fd_, &one, sizeof(one));
  }

  void run() {
    try {
      while (serve())
        continue;
    } catch (const std::exception& ex) {
      log::error("http", "stopped sending events", {{"reason", ex.what()}});
      std::lock_guard guard{mutex_};
      stopped_ = true;
    }
    followers_.clear();
  }

  /// Waits for work and does it. Returns false after `stop`.
  bool serve() {
    std::array<epoll_event, 64> events;
    auto n = ::epoll_wait(epoll_, events.data(), events.size(),
                          followers_.empty() ? -1 : check_interval());
    auto woken = false;
    for (auto i = 0; i < n; ++i) {
      auto& event = events[static_cast<size_t>(i)];
      if (event.data.fd == wakeup_fd_)
        woken = true;
      else
        handle(event.data.fd, event.events);
    }
    if (woken && !handle_wakeup())
      return false;
    if (auto now = steady_clock::now(); now >= next_check_) {
      check_deadlines(now);
      next_check_ = now + milliseconds{check_interval()};
    }
    return true;
  }

  /// Time between two checks of the deadlines, in milliseconds.
  int check_interval() const {
    auto shortest = std::min(config_.event_heartbeat, config_.client_timeout);
    return static_cast<int>(std::clamp<int64_t>(shortest.count() / 4, 5, 1000));
  }

  void handle(int fd, uint32_t what) {
    auto i = followers_.find(fd);
    if (i == followers_.end())
      return;
    // Reading detects that a client has disconnected.
    if ((what & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0
        && !i->second->drain_input())
      followers_.erase(i);
    else if ((what & EPOLLOUT) != 0)
      act(i, [](event_follower& x) { return x.send(); });
  }

  /// Takes new clients, sends new events. Returns false after `stop`.
  bool handle_wakeup() {
    uint64_t count = 0;
    [[maybe_unused]] auto n = ::read(wakeup_fd_, &count, sizeof(count));
    std::vector<arrival> arrivals;
    {
      std::lock_guard guard{mutex_};
      if (stopped_)
        return false;
      arrivals.swap(arrivals_);
    }
    for (auto i = followers_.begin(); i != followers_.end();)
      i = act(i, [](event_follower& x) {
        if (!x.blocked())
          return x.send();
        return x.behind() ? outcome::behind : outcome::blocked;
      });
    for (auto& x : arrivals)
      add_follower(x);
    return true;
  }

  void add_follower(arrival& x) {
    auto timeout = config_.client_timeout + 2 * config_.event_heartbeat;
    auto made = std::make_unique<event_follower>(x.fd, std::move(x.slot), ring_,
                                                 timeout);
    auto i = followers_.insert_or_assign(x.fd, std::move(made)).first;
    watch(EPOLL_CTL_ADD, x.fd, EPOLLIN);
    act(i, [](event_follower& y) { return y.send(); });
  }

  /// Calls `action` with a client and handles the outcome. Returns the next
  /// client.
  template <class Action>
  follower_map::iterator act(follower_map::iterator i, Action action) {
    auto& x = *i->second;
    auto was_blocked = x.blocked();
    switch (action(x)) {
      case outcome::unfinished:
        wake_up();
        break;
      case outcome::behind:
        // First, so that the slot is free when the counter has changed.
        i = followers_.erase(i);
        ++cut_off_;
        return i;
      case outcome::disconnected:
        return followers_.erase(i);
      case outcome::idle:
      case outcome::blocked:
        break;
    }
    if (x.blocked() && !was_blocked)
      watch(EPOLL_CTL_MOD, i->first, EPOLLIN | EPOLLOUT);
    else if (!x.blocked() && was_blocked)
      watch(EPOLL_CTL_MOD, i->first, EPOLLIN);
    return std::next(i);
  }

  /// Cuts off clients that are blocked for too long, sends pings to idle ones.
  void check_deadlines(steady_clock::time_point now) {
    for (auto i = followers_.begin(); i != followers_.end();)
      i = act(i, [this, now](event_follower& x) {
        auto silent = now - x.last_progress();
        if (x.blocked())
          return silent > config_.client_timeout ? outcome::behind
                                                 : outcome::blocked;
        return silent >= config_.event_heartbeat ? x.ping() : outcome::idle;
      });
  }

  const http_config config_;
  std::shared_ptr<std::atomic<size_t>> taken_
    = std::make_shared<std::atomic<size_t>>(0);
  std::atomic<uint64_t> cut_off_{0};

  event_ring ring_;

  std::mutex mutex_;
  /// Of the last event of each topic.
  std::array<std::string, event_topic_count> identities_;
  /// Clients that the thread has not taken over yet.
  std::vector<arrival> arrivals_;
  bool stopped_ = false;

  int epoll_;
  /// Readable when there are arrivals or events, or after `stop`.
  int wakeup_fd_;
  std::thread thread_;

  // Only for the thread.
  follower_map followers_;
  steady_clock::time_point next_check_{};
};

event_streams::event_streams(const http_config& config)
  : impl_(std::make_unique<impl>(config)) {
  // nop
}

event_streams::~event_streams() = default;

void event_streams::start() {
  impl_->start();
}

void event_streams::stop() {
  impl_->stop();
}

std::shared_ptr<event_slot> event_streams::admit(topic_set topics,
                                                 std::string last_id) {
  return impl_->admit(topics, std::move(last_id));
}

void event_streams::follow(int fd, std::shared_ptr<event_slot> slot) {
  impl_->follow(fd, std::move(slot));
}

void event_streams::publish(event_topic topic, std::string_view data,
                            std::string identity) {
  impl_->publish(topic, data, std::move(identity));
}

size_t event_streams::clients() const {
  return impl_->clients();
}

uint64_t event_streams::cut_off() const {
  return impl_->cut_off();
}

} // namespace aiops::http
