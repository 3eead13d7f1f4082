#pragma once

#include "actors/snapshot.hpp"
#include "actors/workload.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace aiops {

/// The log messages of one deployment.
struct deployment_count {
  std::string namespace_name;
  std::string deployment;
  /// Number of log messages, 0 or more.
  int64_t log_count = 0;

  friend bool operator==(const deployment_count&, const deployment_count&)
    = default;
};

/// The log messages of one cluster, by namespace and deployment (sorted so).
struct cluster_counts {
  std::string cluster_id;
  std::vector<deployment_count> deployments;

  friend bool operator==(const cluster_counts&, const cluster_counts&)
    = default;
};

/// The log messages of all clusters, as one aggregation found them. Immutable
/// once built and shared by all who read it.
struct breakdown {
  std::map<std::string, snapshot_ptr<cluster_counts>, std::less<>> clusters;
};

using breakdown_ptr = std::shared_ptr<const breakdown>;

/// Collects counts in any order; counts of the same workload add up.
class breakdown_builder {
public:
  void add(const workload& id, int64_t log_count);

  breakdown_ptr finish();

private:
  std::map<workload, int64_t> counts_;
};

/// One line of the list of clusters.
struct cluster_summary {
  std::string id;
  int64_t namespaces = 0;
  int64_t deployments = 0;
  int64_t log_count = 0;

  friend bool operator==(const cluster_summary&, const cluster_summary&)
    = default;
};

/// The clusters seen in the logs, and how far the counts can be trusted.
struct cluster_overview {
  /// Sorted by id.
  std::vector<cluster_summary> clusters;
  /// When the counts were written; nothing before the first aggregation.
  std::optional<std::chrono::system_clock::time_point> aggregated_at;
  /// Whether the counts are older than they should be.
  bool stale = false;
  /// Why they are stale; empty when they are not.
  std::string reason;
  /// The log source of this replica, as in `--log-source`.
  std::string source;
};

std::vector<cluster_summary> summarize(const breakdown& counts);

} // namespace aiops
