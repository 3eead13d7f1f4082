#pragma once

#include <compare>
#include <string>
#include <string_view>
#include <vector>

namespace aiops {

/// One deployment of one namespace of one Kubernetes cluster.
struct workload {
  std::string cluster_id;
  std::string namespace_name;
  std::string deployment;

  friend auto operator<=>(const workload&, const workload&) = default;
};

/// Sorted by cluster, namespace, deployment; no duplicates. `normalize` makes
/// any list one.
using workload_list = std::vector<workload>;

/// Sorts and removes duplicates.
workload_list normalize(workload_list xs);

/// The longest name we accept, in characters (Unicode code points).
inline constexpr size_t max_name_length = 253;

/// Whether `name` can name a cluster, namespace or deployment: 1 to
/// `max_name_length` characters of valid UTF-8, none of them a control
/// character.
bool valid_name(std::string_view name);

/// What a submission asks of the backend.
enum class training_action {
  /// Something new is in the list: a model has to be trained.
  train,
  /// Workloads were only removed: the watchlist changes, nothing is trained.
  update,
  /// The list is empty: the model is reset.
  reset,
  /// The same list again. The backend is still told, since it may have
  /// forgotten; nothing is trained anew by us.
  none,
};

std::string_view to_string(training_action action);

/// The difference between two watchlists. Both sides are sorted.
struct workload_diff {
  workload_list added;
  workload_list removed;

  friend bool operator==(const workload_diff&, const workload_diff&) = default;
};

workload_diff diff(const workload_list& before, const workload_list& after);

/// Decides by the difference to the last watchlist.
training_action action_for(const workload_list& before,
                           const workload_list& after);

} // namespace aiops
