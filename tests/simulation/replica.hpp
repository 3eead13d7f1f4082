#pragma once

#include "tests/simulation/network.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace aiops::simulation {

/// Observes the gateways; the checker implements it.
class gateway_observer {
public:
  virtual ~gateway_observer() = default;

  /// A replica sends a submission to its backend actor.
  virtual void on_submission(size_t replica, const backend_submission& what)
    = 0;

  /// A hook was notified of a job.
  virtual void on_hook(size_t replica, const training_job& job) = 0;

  /// The state of the lease of the hooks, as a replica knows it.
  virtual void on_lease(size_t replica, const lease_status& lease) = 0;

  /// A replica has received this book.
  virtual void on_book_shown(size_t replica, const stored_book& book) = 0;
};

/// One gateway: all actors of the training, spawned as in `wiring.cpp`.
class replica {
public:
  replica(timeline& time, faults& what, network& net, const setup& config,
          size_t index, gateway_observer& observer);

  void start();

  /// Ends the process at any point.
  void crash();

  /// Ends one of the actors. It and those after it restart after a pause, as
  /// with the supervisor.
  void kill_one(uint64_t which);

  bool alive() const {
    return alive_;
  }

  /// Number of crashes, deaths and pauses, which delay or lose answers.
  uint64_t disturbances() const {
    return disturbances_;
  }

  /// Number of crashes and deaths of actors.
  uint64_t deaths() const {
    return deaths_;
  }

  bool paused() const {
    return paused_;
  }

  void pause();

  void resume();

  void set_clock_offset(milliseconds offset) {
    clock_offset_ = offset;
  }

  milliseconds clock_offset() const {
    return clock_offset_;
  }

  std::chrono::system_clock::time_point wall_now() const;

  size_t index() const {
    return index_;
  }

  // -- actors that clients use; null while they are not running -------------------

  training_actor training;
  training_jobs_actor training_jobs;
  training_status_actor training_status;
  watchlist_actor watchlist;

private:
  struct child {
    std::string name;
    std::function<caf::actor()> start;
    caf::actor handle;
  };

  /// Fills `children_`.
  void list_children();

  void list_edges();

  void list_lifecycle();

  std::string fresh_id();

  void list_hooks();

  void add(std::string name, std::function<caf::actor()> start);

  void start_from(size_t first);

  void kill_from(size_t first);

  template <class F, class... Ts>
  auto spawn(F fun, Ts&&... xs) {
    return time_.spawn(index_, fun, std::forward<Ts>(xs)...);
  }

  timeline& time_;
  faults& faults_;
  network& net_;
  const setup& config_;
  size_t index_;
  gateway_observer& observer_;
  milliseconds clock_offset_{0};
  bool alive_ = false;
  bool paused_ = false;
  uint64_t disturbances_ = 0;
  uint64_t deaths_ = 0;
  /// Number of processes and of restarts within them.
  uint64_t generation_ = 0;
  /// The first child to restart; nothing when there is none.
  std::optional<size_t> missing_from_;
  uint64_t last_id_ = 0;
  std::vector<child> children_;

  events_actor events_;
  bus_actor bus_;
  kv_store_actor kv_store_;
  job_store_actor job_store_;
  backend_actor backend_;
  backend_actor observed_backend_;
  bus_sink_actor progress_feed_;
  job_hook_actor hook_;
  lease_actor lease_;
};

} // namespace aiops::simulation
