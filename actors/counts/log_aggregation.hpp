#pragma once

#include "actors/actors.hpp"
#include "base/backoff.hpp"
#include "base/time.hpp"
#include "base/waiting_room.hpp"

#include <chrono>
#include <deque>
#include <functional>
#include <optional>
#include <string>

namespace aiops {

struct log_aggregation_config {
  /// Time from the start of one aggregation to the start of the next. Counting
  /// may take three quarters of it, and storing the rest, but at least a fifth.
  /// While there are no counts yet, the next aggregation starts after 1 s, 2 s,
  /// 4 s and so on, up to the interval.
  milliseconds interval{30'000};
  /// The log source of this replica, as in `--log-source`.
  std::string source = "none";
  /// Deadline of the store, and of callers that wait until the counts have been
  /// loaded for the first time.
  milliseconds request_timeout{5'000};
  /// Maximum number of such callers.
  size_t max_waiting = 1024;
  /// The wall clock.
  std::function<std::chrono::system_clock::time_point()> wall_clock
    = std::chrono::system_clock::now;
};

/// Counts are stale when no replica has stored new ones for this many
/// intervals.
inline constexpr int stale_after_intervals = 3;

/// INTERNAL: also starts the next aggregation.
using internal_log_aggregation_actor
  = log_aggregation_actor::extend<caf::replies_to<tick_atom>::with<void>>;

/// Counts the logs periodically while this replica holds the lease (never
/// without a source), and serves the counts of the store from memory.
class log_aggregation_state {
public:
  static inline const char* name = "log-aggregation";

  explicit log_aggregation_state(internal_log_aggregation_actor::pointer self)
    : self_(self) {
    // nop
  }

  internal_log_aggregation_actor::behavior_type
  make_behavior(log_source_actor source, counts_store_actor store,
                lease_actor lease, events_actor events,
                const log_aggregation_config& cfg);

private:
  using clock = caf::actor_clock;
  using counts_answer = snapshot_ptr<cluster_counts>;
  using overview_answer = snapshot_ptr<cluster_overview>;

  /// A caller that waits until the counts are loaded.
  struct waiter {
    /// The requested cluster; nothing when the overview was requested.
    std::optional<std::string> cluster_id;
    caf::response_promise promise;
  };

  // -- serving -----------------------------------------------------------------

  caf::result<counts_answer> get(const std::string& cluster_id);

  caf::result<overview_answer> get_overview();

  /// Lets a caller wait until the counts are loaded.
  template <class T>
  caf::result<T> wait(std::optional<std::string> cluster_id);

  void serve_waiting();

  void expire_waiting();

  counts_answer counts_of(const std::string& cluster_id) const;

  overview_answer overview();

  /// Why the counts are stale; empty when they are not.
  std::string stale_reason() const;

  /// Publishes the overview if it has changed, and schedules the next check for
  /// the time at which the counts become stale.
  void publish_changes();

  // -- following the store -----------------------------------------------------

  void subscribe();

  void update(stored_breakdown counts);

  /// Whether `counts` are not older than those in memory.
  bool supersedes(const stored_breakdown& counts) const;

  /// Whether `counts` are those in memory. Our own counts arrive twice: as the
  /// answer of the store and as its update.
  bool same(const stored_breakdown& counts) const;

  // -- aggregating -------------------------------------------------------------

  void tick();

  void handle_lease(const lease_status& lease);

  /// Whether this replica is the one that counts.
  bool holds_lease() const;

  void aggregate();

  void store(const breakdown_ptr& counts);

  void succeeded(stored_breakdown counts);

  void failed(const caf::error& err);

  /// Pause between the starts of two aggregations: the interval, or less while
  /// there are no counts yet.
  milliseconds next_pause();

  /// Schedules a tick.
  void wake_at(clock::time_point when);

  internal_log_aggregation_actor::pointer self_;
  log_source_actor source_;
  counts_store_actor store_;
  lease_actor lease_edge_;
  events_actor events_;
  log_aggregation_config cfg_;
  /// The counts in the store, as last received.
  stored_breakdown counts_;
  lease_status lease_;
  /// Computed from `counts_`; null when it must be computed again.
  overview_answer overview_;
  /// The overview that was published last.
  overview_answer published_;
  /// When the counts become stale, or earlier.
  std::optional<clock::time_point> next_stale_check_;
  /// Whether the counts were received from the store.
  bool loaded_ = false;
  waiting_room<waiter, clock::time_point> waiting_;
  /// When to subscribe again after a failure.
  std::optional<clock::time_point> next_subscribe_;
  /// When to aggregate again; nothing while an aggregation runs.
  std::optional<clock::time_point> next_aggregation_;
  clock::time_point started_;
  /// The term in which the aggregation started.
  uint64_t term_ = 0;
  /// Whether the store ever had counts of a workload, of any replica.
  bool any_counts_ = false;
  /// Pause between two aggregations while there were none.
  backoff<milliseconds> first_pause_;
  /// Why the last aggregation of this replica failed; empty if it succeeded.
  std::string failure_;
  /// The failure that was stored for the other replicas; empty if none.
  std::string shared_failure_;
  /// Number of consecutive failed aggregations.
  int failures_ = 0;
  /// Totals, for the overview.
  int64_t aggregations_ = 0;
  int64_t all_failures_ = 0;
  milliseconds took_{0};
};

/// @param source may be null: then other replicas or programs write the counts.
/// @param lease may be null when the source is.
/// @param events receives changes of the list of clusters; may be null.
internal_log_aggregation_actor::behavior_type log_aggregation(
  internal_log_aggregation_actor::stateful_pointer<log_aggregation_state> self,
  log_source_actor source, counts_store_actor store, lease_actor lease,
  events_actor events, const log_aggregation_config& cfg);

} // namespace aiops
