#pragma once

#include "actors/actors.hpp"
#include "base/time.hpp"

#include <chrono>
#include <deque>
#include <functional>
#include <optional>
#include <string>

namespace aiops {

struct log_aggregation_config {
  /// From the start of one aggregation to the start of the next. A count gets
  /// three quarters of it, storing the result what remains, a fifth at least.
  /// While there are no counts yet, the next one comes after 1 s, 2 s, 4 s and
  /// so on up to the interval.
  milliseconds interval{30'000};
  /// The log source of this replica, as in `--log-source`.
  std::string source = "none";
  /// How long the store may take, and how long a caller waits for the counts
  /// to be loaded for the first time.
  milliseconds request_timeout{5'000};
  /// Callers that may wait for the counts to be loaded for the first time.
  size_t max_waiting = 1024;
  /// The wall clock.
  std::function<std::chrono::system_clock::time_point()> wall_clock
    = std::chrono::system_clock::now;
};

/// Counts are stale when nobody wrote new ones for so many intervals.
inline constexpr int stale_after_intervals = 3;

/// Counts the logs periodically while this replica holds the lease (without a
/// source: never) and serves the counts from memory, which follows the store.
class log_aggregation_state {
public:
  static inline const char* name = "log-aggregation";

  explicit log_aggregation_state(log_aggregation_actor::pointer self)
    : self_(self) {
    // nop
  }

  log_aggregation_actor::behavior_type
  make_behavior(log_source_actor source, counts_store_actor store,
                lease_actor lease, events_actor events,
                const log_aggregation_config& cfg);

private:
  using clock = caf::actor_clock;
  using counts_answer = snapshot_ptr<cluster_counts>;
  using overview_answer = snapshot_ptr<cluster_overview>;

  /// A caller that came before the counts were loaded.
  struct waiter {
    clock::time_point deadline;
    /// Asked for this cluster; without it for the overview.
    std::optional<std::string> cluster_id;
    caf::response_promise promise;
  };

  // -- serving -----------------------------------------------------------------

  caf::result<counts_answer> get(const std::string& cluster_id);

  caf::result<overview_answer> get_overview();

  /// Keeps a caller until the counts are loaded.
  template <class T>
  caf::result<T> wait(std::optional<std::string> cluster_id);

  void serve_waiting();

  void expire_waiting();

  counts_answer counts_of(const std::string& cluster_id) const;

  overview_answer overview();

  /// Why the counts are stale; empty when they are not.
  std::string stale_reason() const;

  /// Tells of the overview when it is another one, and sees to it that this
  /// is looked at again when the counts become stale.
  void tell();

  // -- following the store -----------------------------------------------------

  void subscribe();

  void update(stored_breakdown counts);

  /// Whether `counts` are not older than those in memory.
  bool supersedes(const stored_breakdown& counts) const;

  /// Whether `counts` are those in memory: ours come as an answer and as a
  /// change of the store.
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

  /// How long after the last aggregation the next one comes: the interval, and
  /// less while there are no counts yet.
  milliseconds next_pause();

  /// Sees to it that `tick` looks at the clock again then.
  void wake_at(clock::time_point when);

  log_aggregation_actor::pointer self_;
  log_source_actor source_;
  counts_store_actor store_;
  lease_actor lease_edge_;
  events_actor events_;
  log_aggregation_config cfg_;
  /// What the store has, as far as we know.
  stored_breakdown counts_;
  lease_status lease_;
  /// Made of `counts_`; null when it has to be made anew.
  overview_answer overview_;
  /// The last one that was told of.
  overview_answer told_;
  /// When the counts will be stale, or earlier.
  std::optional<clock::time_point> next_judgement_;
  /// Whether `counts_` says anything yet.
  bool loaded_ = false;
  std::deque<waiter> waiting_;
  /// When to subscribe again, after it failed.
  std::optional<clock::time_point> next_subscribe_;
  /// When to aggregate again; nothing while an aggregation runs.
  std::optional<clock::time_point> next_aggregation_;
  clock::time_point started_;
  /// The term in which it started.
  uint64_t term_ = 0;
  /// Whether the store ever had counts of a workload, whoever wrote them.
  bool any_counts_ = false;
  /// Pause between two aggregations while it had none.
  milliseconds first_pause_{0};
  /// Why the last aggregation of ours failed; empty when it did not.
  std::string failure_;
  /// The failure that the store was asked to share, if any.
  std::string shared_failure_;
  /// Aggregations in a row that failed.
  int failures_ = 0;
  /// Totals, for the overview.
  int64_t aggregations_ = 0;
  int64_t all_failures_ = 0;
  milliseconds took_{0};
};

/// @param source may be null: then others write the counts.
/// @param lease may be null when the source is.
/// @param events is told when the list of clusters changes; may be null.
log_aggregation_actor::behavior_type log_aggregation(
  log_aggregation_actor::stateful_pointer<log_aggregation_state> self,
  log_source_actor source, counts_store_actor store, lease_actor lease,
  events_actor events, const log_aggregation_config& cfg);

} // namespace aiops
