#pragma once

#include "actors/actors.hpp"

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>

namespace aiops {

/// A handle to every actor. A restart replaces handles, so only children of the
/// supervisor may keep one: others get it from the `directory` each time.
struct gateway_actors {
  bus_actor bus;
  kv_store_actor kv_store;
  /// Checks that the embedded server stores; null without such a server.
  caf::actor storage_watch;
  /// Creates the buckets.
  bus_listener_actor buckets;
  events_actor events;
  event_listener_actor event_feed;
  job_store_actor job_store;
  lease_actor lease;
  /// Only for the counts, because reading and writing them takes long.
  kv_store_actor counts_kv_store;
  counts_store_actor counts_store;
  backend_actor backend;
  /// Publishes on NATS.
  job_hook_actor nats_hook;
  job_hook_actor webhook;
  lease_actor hooks_lease;
  training_hooks_actor training_hooks;
  log_source_actor log_source;
  gpu_probe_actor gpu_probe;
  training_jobs_actor training_jobs;
  training_actor training;
  training_status_actor training_status;
  /// Receives progress over NATS.
  bus_sink_actor progress_feed;
  watchlist_actor watchlist;
  gpu_info_actor gpu_info;
  runtime_classes_actor runtime_classes;
  ai_settings_actor ai_settings;
  log_aggregation_actor log_aggregation;
  log_history_actor log_history;
};

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
