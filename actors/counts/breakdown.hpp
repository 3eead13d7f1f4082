#pragma once

#include "actors/workload.hpp"
#include "base/snapshot.hpp"

#include <chrono>
#include <cstdint>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace aiops {

/// The log messages of one deployment.
struct deployment_count {
  std::string_view namespace_name;
  std::string_view deployment;
  /// Number of log messages, 0 or more.
  int64_t log_count = 0;

  friend bool operator==(const deployment_count&, const deployment_count&)
    = default;
};

/// The log messages of one cluster, by namespace and deployment (sorted so).
/// Compact, for a million rows: a row takes 16 bytes and the deployment's name.
class cluster_counts {
public:
  class const_iterator {
  public:
    using iterator_category = std::forward_iterator_tag;
    using value_type = deployment_count;
    using difference_type = std::ptrdiff_t;
    using pointer = const deployment_count*;
    using reference = deployment_count;

    const_iterator() = default;

    const_iterator(const cluster_counts* container, size_t index)
      : container_(container), index_(index) {
      // nop
    }

    deployment_count operator*() const {
      return (*container_)[index_];
    }

    const_iterator& operator++() {
      ++index_;
      return *this;
    }

    const_iterator operator++(int) {
      return {container_, index_++};
    }

    friend bool operator==(const const_iterator&, const const_iterator&)
      = default;

  private:
    const cluster_counts* container_ = nullptr;
    size_t index_ = 0;
  };

  cluster_counts() = default;

  /// Accepts rows in any order; counts of the same deployment are added.
  cluster_counts(std::string cluster_id,
                 const std::vector<deployment_count>& rows);

  const std::string& cluster_id() const noexcept {
    return cluster_id_;
  }

  size_t size() const noexcept {
    return rows_.size();
  }

  bool empty() const noexcept {
    return rows_.empty();
  }

  /// The result is valid as long as this object.
  deployment_count operator[](size_t index) const;

  const_iterator begin() const {
    return {this, 0};
  }

  const_iterator end() const {
    return {this, size()};
  }

  /// Sorted, without duplicates.
  const std::vector<std::string>& namespaces() const noexcept {
    return namespaces_;
  }

  /// Sum over all deployments.
  int64_t log_count() const noexcept {
    return log_count_;
  }

  /// The rows of one namespace, as a range of indices: from the first to one
  /// past the last.
  std::pair<size_t, size_t> range_of(std::string_view namespace_name) const;

  friend bool operator==(const cluster_counts& lhs, const cluster_counts& rhs);

private:
  friend class breakdown_builder;

  struct packed_row {
    int64_t log_count;
    /// End of the deployment's name in `names_`. It begins at the end of the
    /// name of the previous row.
    uint32_t name_end;
    /// Index in `namespaces_`.
    uint32_t namespace_index;
  };

  std::string_view name_of(size_t index) const;

  /// Appends a row without sorting. `sort` must follow.
  void append(const deployment_count& x);

  void sort();

  std::string cluster_id_;
  std::vector<std::string> namespaces_;
  std::vector<packed_row> rows_;
  /// The concatenated names of the deployments.
  std::string names_;
  int64_t log_count_ = 0;
};

/// The log messages of all clusters, as counted by one aggregation. Immutable
/// after it was built, and shared by all readers.
struct breakdown {
  std::map<std::string, snapshot_ptr<cluster_counts>, std::less<>> clusters;
};

using breakdown_ptr = std::shared_ptr<const breakdown>;

/// Collects counts in any order, but fastest when sorted. Counts of the same
/// workload are added.
class breakdown_builder {
public:
  void add(std::string_view cluster_id, std::string_view namespace_name,
           std::string_view deployment, int64_t log_count);

  void add(const workload& id, int64_t log_count) {
    add(id.cluster_id, id.namespace_name, id.deployment, log_count);
  }

  /// Number of workloads that were added, including duplicates.
  size_t size() const noexcept {
    return size_;
  }

  breakdown_ptr finish();

private:
  using cluster_map = std::map<std::string, cluster_counts, std::less<>>;

  cluster_map clusters_;
  /// The cluster to which the last count was added.
  cluster_map::iterator last_ = clusters_.end();
  size_t size_ = 0;
};

/// One entry of the list of clusters.
struct cluster_summary {
  std::string id;
  int64_t namespaces = 0;
  int64_t deployments = 0;
  int64_t log_count = 0;

  friend bool operator==(const cluster_summary&, const cluster_summary&)
    = default;
};

/// The clusters in the logs, and whether the counts are up to date.
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
  /// Whether this replica is the one that counts.
  bool aggregating = false;
  /// Aggregations of this replica since it started, and those of them that
  /// failed.
  int64_t aggregations = 0;
  int64_t failures = 0;
  /// Duration of the last successful aggregation of this replica; 0 when there
  /// was none.
  std::chrono::milliseconds took{0};

  friend bool operator==(const cluster_overview&, const cluster_overview&)
    = default;
};

/// The log messages of each cluster at one time.
struct history_point {
  /// Begin of the interval.
  std::chrono::system_clock::time_point at;
  /// By cluster.
  std::map<std::string, int64_t, std::less<>> log_counts;

  friend bool operator==(const history_point&, const history_point&) = default;
};

/// The log messages of one cluster over time. The number decreases when old
/// messages are removed.
struct cluster_history {
  struct point {
    /// Begin of the interval.
    std::chrono::system_clock::time_point at;
    /// Number of log messages at the end of the interval.
    int64_t log_count = 0;

    friend bool operator==(const point&, const point&) = default;
  };

  std::string cluster_id;
  /// Sorted by time. Intervals without a count are omitted.
  std::vector<point> points;

  friend bool operator==(const cluster_history&, const cluster_history&)
    = default;
};

/// Length of an interval of the history, and number of intervals kept: a day.
inline constexpr std::chrono::minutes history_interval{5};
inline constexpr size_t history_length = 288;

std::vector<cluster_summary> summarize(const breakdown& counts);

} // namespace aiops
