#include "actors/breakdown.hpp"

namespace aiops {

void breakdown_builder::add(const workload& id, int64_t log_count) {
  counts_[id] += log_count;
}

breakdown_ptr breakdown_builder::finish() {
  auto result = std::make_shared<breakdown>();
  cluster_counts current;
  auto flush = [&] {
    if (!current.deployments.empty()) {
      auto id = current.cluster_id;
      result->clusters.emplace(std::move(id),
                               make_snapshot(std::move(current)));
    }
    current = {};
  };
  for (auto& [id, count] : counts_) {
    if (id.cluster_id != current.cluster_id) {
      flush();
      current.cluster_id = id.cluster_id;
    }
    current.deployments.push_back({id.namespace_name, id.deployment, count});
  }
  flush();
  counts_.clear();
  return result;
}

std::vector<cluster_summary> summarize(const breakdown& counts) {
  std::vector<cluster_summary> result;
  result.reserve(counts.clusters.size());
  for (auto& [id, cluster] : counts.clusters) {
    cluster_summary summary{id, 0, 0, 0};
    const std::string* last_namespace = nullptr;
    for (auto& row : cluster->value().deployments) {
      if (last_namespace == nullptr || *last_namespace != row.namespace_name)
        ++summary.namespaces;
      last_namespace = &row.namespace_name;
      ++summary.deployments;
      summary.log_count += row.log_count;
    }
    result.push_back(std::move(summary));
  }
  return result;
}

} // namespace aiops
