#pragma once

#include "actors/actors.hpp"

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>

namespace aiops {

/// Where threads outside of the actor system find the actors that are alive
/// now. @thread-safe
class directory {
public:
  /// Never null; handles are null until the supervisor has started them.
  std::shared_ptr<const gateway_actors> get() const {
    std::lock_guard guard{mutex_};
    return actors_;
  }

  void set(gateway_actors actors) {
    auto next = std::make_shared<const gateway_actors>(std::move(actors));
    {
      std::lock_guard guard{mutex_};
      actors_.swap(next);
      set_ = true;
    }
    changed_.notify_all();
  }

  /// Waits until the supervisor has set the actors for the first time, for at
  /// most `timeout`. Returns whether it has.
  bool wait(std::chrono::milliseconds timeout) const {
    std::unique_lock guard{mutex_};
    return changed_.wait_for(guard, timeout, [this] { return set_; });
  }

private:
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  bool set_ = false;
  std::shared_ptr<const gateway_actors> actors_
    = std::make_shared<const gateway_actors>();
};

} // namespace aiops
