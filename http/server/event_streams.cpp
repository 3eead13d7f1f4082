#include "http/server/event_streams.hpp"

#include "base/log.hpp"
#include "http/v1/training_json.hpp"
#include "http/v1/v1_json.hpp"

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

static_assert(std::variant_size_v<event_value> == event_topic_count);

/// The data of an event at a time; empty when there is nothing to tell.
struct data_maker {
  json_time now;

  std::string operator()(const snapshot_ptr<training_overview>& x) const {
    return x ? to_json(x->value(), now) : "";
  }

  std::string operator()(const watchlist_change& x) const {
    return to_json(x);
  }

  std::string operator()(const backend_health& x) const {
    return to_json(x);
  }

  template <class T>
  std::string operator()(const snapshot_ptr<T>& x) const {
    return x ? summary_json(x->value()) : "";
  }
};

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
      bell_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    watch(EPOLL_CTL_ADD, bell_, EPOLLIN);
  }

  ~impl() {
    stop();
    ::close(bell_);
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
    ring_bell();
    if (thread_.joinable())
      thread_.join();
    for (auto& x : arrivals_)
      ::close(x.fd);
    arrivals_.clear();
  }

  std::shared_ptr<event_seat> admit(topic_set topics, std::string last_id) {
    {
      std::lock_guard guard{mutex_};
      if (stopped_)
        return nullptr;
    }
    auto before = taken_->fetch_add(1);
    auto seat = std::make_shared<event_seat>(taken_, topics,
                                             std::move(last_id));
    return before < config_.max_event_clients ? seat : nullptr;
  }

  void follow(int fd, std::shared_ptr<event_seat> seat) {
    {
      std::lock_guard guard{mutex_};
      if (!stopped_) {
        arrivals_.push_back({fd, std::move(seat)});
        fd = -1;
      }
    }
    if (fd >= 0)
      ::close(fd);
    else
      ring_bell();
  }

  void publish(const event_value& value) {
    auto data = std::visit(data_maker{std::chrono::system_clock::now()}, value);
    if (data.empty())
      return;
    // A value may differ in what its event does not show. Times that pass by
    // themselves are no difference.
    auto timeless = std::visit(data_maker{json_time{}}, value);
    {
      std::lock_guard guard{mutex_};
      if (std::exchange(shown_[value.index()], timeless) == timeless)
        return;
      ring_.append(static_cast<event_topic>(value.index()), data);
    }
    ring_bell();
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
    std::shared_ptr<event_seat> seat;
  };

  using outcome = event_follower::outcome;
  using follower_map = std::unordered_map<int, std::unique_ptr<event_follower>>;

  void watch(int operation, int fd, uint32_t what) const {
    epoll_event event{};
    event.events = what;
    event.data.fd = fd;
    ::epoll_ctl(epoll_, operation, fd, &event);
  }

  void ring_bell() const {
    uint64_t one = 1;
    [[maybe_unused]] auto n = ::write(bell_, &one, sizeof(one));
  }

  void run() {
    try {
      while (serve())
        continue;
    } catch (const std::exception& ex) {
      log::error("http", "no longer sends events", {{"reason", ex.what()}});
      std::lock_guard guard{mutex_};
      stopped_ = true;
    }
    followers_.clear();
  }

  /// Waits for something to do and does it. Answers false in the end.
  bool serve() {
    std::array<epoll_event, 64> events;
    auto n = ::epoll_wait(epoll_, events.data(), events.size(),
                          followers_.empty() ? -1 : patrol_pause());
    auto rang = false;
    for (auto i = 0; i < n; ++i) {
      auto& event = events[static_cast<size_t>(i)];
      if (event.data.fd == bell_)
        rang = true;
      else
        handle(event.data.fd, event.events);
    }
    if (rang && !answer_bell())
      return false;
    if (auto now = steady_clock::now(); now >= next_patrol_) {
      patrol(now);
      next_patrol_ = now + milliseconds{patrol_pause()};
    }
    return true;
  }

  /// How often clients are looked at who do nothing, in milliseconds.
  int patrol_pause() const {
    auto least = std::min(config_.event_heartbeat, config_.client_timeout) / 4;
    return static_cast<int>(std::clamp<int64_t>(least.count(), 5, 1000));
  }

  void handle(int fd, uint32_t what) {
    auto i = followers_.find(fd);
    if (i == followers_.end())
      return;
    // A client that is gone shows when it is listened to.
    if ((what & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 && !i->second->hear())
      followers_.erase(i);
    else if ((what & EPOLLOUT) != 0)
      act(i, [](event_follower& x) { return x.send(); });
  }

  /// Somebody came, something happened, or it is time to stop.
  bool answer_bell() {
    uint64_t count = 0;
    [[maybe_unused]] auto n = ::read(bell_, &count, sizeof(count));
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
      welcome(x);
    return true;
  }

  void welcome(arrival& x) {
    auto patience = config_.client_timeout + 2 * config_.event_heartbeat;
    auto made = std::make_unique<event_follower>(x.fd, std::move(x.seat), ring_,
                                                 patience);
    auto i = followers_.insert_or_assign(x.fd, std::move(made)).first;
    watch(EPOLL_CTL_ADD, x.fd, EPOLLIN);
    act(i, [](event_follower& y) { return y.send(); });
  }

  /// Does something with a client and sees to what comes of it. Answers the
  /// next client.
  template <class Action>
  follower_map::iterator act(follower_map::iterator i, Action action) {
    auto& x = *i->second;
    auto was_blocked = x.blocked();
    switch (action(x)) {
      case outcome::unfinished:
        ring_bell();
        break;
      case outcome::behind:
        // Who counts them finds the seat free.
        i = followers_.erase(i);
        ++cut_off_;
        return i;
      case outcome::gone:
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

  /// Looks after those who do nothing.
  void patrol(steady_clock::time_point now) {
    for (auto i = followers_.begin(); i != followers_.end();)
      i = act(i, [this, now](event_follower& x) {
        auto silent = now - x.moved();
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
  /// The data of the last event of each topic, as of one and the same time.
  std::array<std::string, event_topic_count> shown_;
  /// Clients that the thread has not seen yet.
  std::vector<arrival> arrivals_;
  bool stopped_ = false;

  int epoll_;
  /// Readable when the thread has to look.
  int bell_;
  std::thread thread_;

  // Of the thread.
  follower_map followers_;
  steady_clock::time_point next_patrol_{};
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

std::shared_ptr<event_seat> event_streams::admit(topic_set topics,
                                                 std::string last_id) {
  return impl_->admit(topics, std::move(last_id));
}

void event_streams::follow(int fd, std::shared_ptr<event_seat> seat) {
  impl_->follow(fd, std::move(seat));
}

void event_streams::publish(const event_value& value) {
  impl_->publish(value);
}

size_t event_streams::clients() const {
  return impl_->clients();
}

uint64_t event_streams::cut_off() const {
  return impl_->cut_off();
}

} // namespace aiops::http
