#include "actors/counts/breakdown.hpp"

#include <algorithm>
#include <numeric>

namespace aiops {

// -- cluster_counts -----------------------------------------------------------

cluster_counts::cluster_counts(std::string cluster_id,
                               const std::vector<deployment_count>& rows)
  : cluster_id_(std::move(cluster_id)) {
  for (auto& row : rows)
    append(row);
  sort();
}

deployment_count cluster_counts::operator[](size_t index) const {
  auto& row = rows_[index];
  return {namespaces_[row.namespace_index], name_of(index), row.log_count};
}

std::string_view cluster_counts::name_of(size_t index) const {
  auto begin = index == 0 ? 0 : rows_[index - 1].name_end;
  return std::string_view{names_}.substr(begin, rows_[index].name_end - begin);
}

std::pair<size_t, size_t>
cluster_counts::range_of(std::string_view namespace_name) const {
  auto i = std::lower_bound(namespaces_.begin(), namespaces_.end(),
                            namespace_name);
  if (i == namespaces_.end() || *i != namespace_name)
    return {0, 0};
  auto wanted = static_cast<uint32_t>(i - namespaces_.begin());
  auto less = [](const packed_row& x, const packed_row& y) {
    return x.namespace_index < y.namespace_index;
  };
  auto [first, last] = std::equal_range(rows_.begin(), rows_.end(),
                                        packed_row{0, 0, wanted}, less);
  return {static_cast<size_t>(first - rows_.begin()),
          static_cast<size_t>(last - rows_.begin())};
}

bool operator==(const cluster_counts& lhs, const cluster_counts& rhs) {
  return lhs.cluster_id_ == rhs.cluster_id_
         && std::equal(lhs.begin(), lhs.end(), rhs.begin(), rhs.end());
}

void cluster_counts::append(const deployment_count& x) {
  // Before `sort`, the list may contain a namespace more than once.
  if (namespaces_.empty() || namespaces_.back() != x.namespace_name)
    namespaces_.emplace_back(x.namespace_name);
  names_ += x.deployment;
  rows_.push_back({x.log_count, static_cast<uint32_t>(names_.size()),
                   static_cast<uint32_t>(namespaces_.size() - 1)});
}

void cluster_counts::sort() {
  auto sorted_names = namespaces_;
  std::sort(sorted_names.begin(), sorted_names.end());
  sorted_names.erase(std::unique(sorted_names.begin(), sorted_names.end()),
                     sorted_names.end());
  std::vector<uint32_t> rank(namespaces_.size());
  for (size_t i = 0; i < rank.size(); ++i)
    rank[i] = static_cast<uint32_t>(
      std::lower_bound(sorted_names.begin(), sorted_names.end(), namespaces_[i])
      - sorted_names.begin());
  auto key = [&](uint32_t index) {
    return std::pair{rank[rows_[index].namespace_index], name_of(index)};
  };
  std::vector<uint32_t> order(rows_.size());
  std::iota(order.begin(), order.end(), 0);
  auto less = [&](uint32_t x, uint32_t y) { return key(x) < key(y); };
  if (!std::is_sorted(order.begin(), order.end(), less))
    std::sort(order.begin(), order.end(), less);
  // Copied into vectors of their exact size, because they are kept for long.
  std::string names;
  names.reserve(names_.size());
  std::vector<packed_row> rows;
  rows.reserve(rows_.size());
  log_count_ = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    auto count = rows_[order[i]].log_count;
    log_count_ += count;
    if (i > 0 && key(order[i - 1]) == key(order[i])) {
      rows.back().log_count += count;
      continue;
    }
    auto [namespace_rank, name] = key(order[i]);
    names += name;
    rows.push_back(
      {count, static_cast<uint32_t>(names.size()), namespace_rank});
  }
  namespaces_ = std::move(sorted_names);
  rows_ = std::move(rows);
  names_ = std::move(names);
}

// -- breakdown_builder --------------------------------------------------------

void breakdown_builder::add(std::string_view cluster_id,
                            std::string_view namespace_name,
                            std::string_view deployment, int64_t log_count) {
  if (last_ == clusters_.end() || last_->first != cluster_id) {
    last_ = clusters_.find(cluster_id);
    if (last_ == clusters_.end()) {
      last_ = clusters_.try_emplace(std::string{cluster_id}).first;
      last_->second.cluster_id_ = cluster_id;
    }
  }
  last_->second.append({namespace_name, deployment, log_count});
  ++size_;
}

breakdown_ptr breakdown_builder::finish() {
  auto result = std::make_shared<breakdown>();
  // Cluster by cluster, so that there are never two copies of all counts.
  while (!clusters_.empty()) {
    auto node = clusters_.extract(clusters_.begin());
    node.mapped().sort();
    result->clusters.emplace_hint(result->clusters.end(), node.key(),
                                  make_snapshot(std::move(node.mapped())));
  }
  last_ = clusters_.end();
  size_ = 0;
  return result;
}

std::vector<cluster_summary> summarize(const breakdown& counts) {
  std::vector<cluster_summary> result;
  result.reserve(counts.clusters.size());
  for (auto& [id, cluster] : counts.clusters) {
    auto& x = cluster->value();
    result.push_back({id, static_cast<int64_t>(x.namespaces().size()),
                      static_cast<int64_t>(x.size()), x.log_count()});
  }
  return result;
}

} // namespace aiops
