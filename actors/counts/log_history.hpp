#pragma once

#include "actors/actors.hpp"
#include "base/backoff.hpp"
#include "base/time.hpp"
#include "base/waiting_room.hpp"

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace aiops {

struct log_history_config {
  /// Deadline of the store, and of callers that wait until the history has been
  /// loaded for the first time.
  milliseconds request_timeout{5'000};
  /// Interval at which the stored history is read again: another replica may
  /// have written points that this one did not receive.
  milliseconds reread_interval = history_interval;
  /// Maximum number of such callers.
  size_t max_waiting = 1024;
  /// Memory for the points in bytes. When it is not enough for a day, the
  /// oldest points are removed. 1,000 clusters need 2.3 MB for a day.
  size_t max_bytes = 64 * 1024 * 1024;
  /// The wall clock.
  std::function<std::chrono::system_clock::time_point()> wall_clock
    = std::chrono::system_clock::now;
};

/// The log messages of all clusters by interval, for at most a day.
class log_history_points {
public:
  using time_point = std::chrono::system_clock::time_point;

  /// Number of the interval that contains a time.
  static int64_t interval_of(time_point when);

  /// Sets a point.
  /// @returns whether that changed anything.
  bool set(int64_t interval, const history_point& x);

  bool set(int64_t interval, const breakdown& counts);

  /// Removes the points outside of the day that ends at `now`, and the oldest
  /// points above the memory limit. Points may be one interval ahead of `now`,
  /// because the clocks of replicas differ.
  /// @returns whether that changed anything.
  bool trim(time_point now, size_t max_bytes);

  cluster_history of(const std::string& cluster_id) const;

  bool empty() const noexcept {
    return columns_.empty();
  }

  size_t size() const noexcept {
    return columns_.size();
  }

  /// Memory in use, in bytes.
  size_t bytes() const;

private:
  using id_list = std::shared_ptr<const std::vector<std::string>>;

  /// One interval.
  struct column {
    /// Sorted. Columns with the same clusters share one list.
    id_list ids;
    /// In the order of `ids`.
    std::vector<int64_t> counts;
  };

  bool set(int64_t interval, std::vector<std::string> ids,
           std::vector<int64_t> counts);

  /// The list of a neighbouring interval if it is equal, or a new one.
  id_list share(int64_t interval, std::vector<std::string> ids) const;

  std::map<int64_t, column> columns_;
};

/// INTERNAL: also reads the stored history again.
using internal_log_history_actor
  = log_history_actor::extend<caf::replies_to<tick_atom>::with<void>>;

/// Follows the counts in the store and serves their history from memory. It
/// only reads: the store adds a point when counts are stored.
class log_history_state {
public:
  static inline const char* name = "log-history";

  explicit log_history_state(internal_log_history_actor::pointer self)
    : self_(self) {
    // nop
  }

  internal_log_history_actor::behavior_type
  make_behavior(counts_store_actor store, const log_history_config& cfg);

private:
  using clock = caf::actor_clock;
  using history_answer = snapshot_ptr<cluster_history>;

  /// A caller that waits until the history is loaded.
  struct waiter {
    std::string cluster_id;
    caf::typed_response_promise<history_answer> promise;
  };

  /// The time of the next attempt, and its back-off.
  struct attempt {
    /// Nothing while a request is in flight.
    std::optional<clock::time_point> next;
    aiops::backoff<milliseconds> backoff = {};
  };

  // -- serving -----------------------------------------------------------------

  caf::result<history_answer> get(const std::string& cluster_id);

  history_answer history_of(const std::string& cluster_id);

  void serve_waiting();

  void expire_waiting();

  // -- following the store -----------------------------------------------------

  void tick();

  void subscribe();

  void read();

  void merge(const std::vector<history_point>& points);

  void update(const stored_breakdown& counts);

  /// Removes old points and, if the points have changed, the answers that were
  /// computed from them.
  void remove_outdated(bool changed);

  void retry(attempt& what);

  /// Schedules a tick.
  void wake_at(clock::time_point when);

  internal_log_history_actor::pointer self_;
  counts_store_actor store_;
  log_history_config cfg_;
  log_history_points points_;
  /// The last interval whose counts arrived as an update. Its point in the
  /// stored history may be older.
  int64_t updated_ = INT64_MIN;
  /// Computed from `points_`.
  std::map<std::string, history_answer> answers_;
  /// Whether the stored history was read.
  bool loaded_ = false;
  waiting_room<waiter, clock::time_point> waiting_;
  attempt subscription_;
  attempt reading_;
};

internal_log_history_actor::behavior_type log_history(
  internal_log_history_actor::stateful_pointer<log_history_state> self,
  counts_store_actor store, const log_history_config& cfg);

} // namespace aiops
