#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <utility>

namespace aiops {

/// Requests that wait for the same event, each up to a deadline. All wait
/// equally long, so the one that came first expires first.
template <class T, class TimePoint>
class waiting_room {
public:
  /// @returns false if `capacity` requests wait already.
  bool has_room(size_t capacity) const noexcept {
    return waiting_.size() < capacity;
  }

  void enter(TimePoint deadline, T x) {
    waiting_.emplace_back(deadline, std::move(x));
  }

  /// Removes the first request if its deadline is not later than `now`.
  std::optional<T> expired(TimePoint now) {
    if (waiting_.empty() || waiting_.front().first > now)
      return std::nullopt;
    std::optional<T> result{std::move(waiting_.front().second)};
    waiting_.pop_front();
    return result;
  }

  /// Calls `f` with each request, in the order in which they came. Requests
  /// that come meanwhile stay.
  template <class F>
  void serve_all(F f) {
    for (auto& [deadline, x] : std::exchange(waiting_, {}))
      f(x);
  }

  bool empty() const noexcept {
    return waiting_.empty();
  }

private:
  std::deque<std::pair<TimePoint, T>> waiting_;
};

} // namespace aiops
