#pragma once

#include <compare>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace aiops {

/// One deployment of one namespace of one Kubernetes cluster.
struct workload {
  std::string cluster_id;
  std::string namespace_name;
  std::string deployment;

  friend auto operator<=>(const workload&, const workload&) = default;
};

/// Sorted by cluster, namespace and deployment, without duplicates, as
/// `normalize` returns it.
using workload_list = std::vector<workload>;

/// An immutable list that copies share, because a book is copied for each
/// change and each reader, and a watchlist may have megabytes.
class shared_workloads {
public:
  shared_workloads() = default;

  // Not explicit, so that it can be used like a list.
  shared_workloads(workload_list xs)
    : list_(std::make_shared<const workload_list>(std::move(xs))) {
    // nop
  }

  shared_workloads(std::initializer_list<workload> xs)
    : shared_workloads(workload_list{xs}) {
    // nop
  }

  const workload_list& get() const noexcept;

  operator const workload_list&() const noexcept {
    return get();
  }

  size_t size() const noexcept {
    return get().size();
  }

  bool empty() const noexcept {
    return get().empty();
  }

  auto begin() const noexcept {
    return get().begin();
  }

  auto end() const noexcept {
    return get().end();
  }

  /// Compares elements only if the lists are not the same object.
  friend bool operator==(const shared_workloads& x, const shared_workloads& y) {
    return x.list_ == y.list_ || x.get() == y.get();
  }

private:
  /// Null for an empty list.
  std::shared_ptr<const workload_list> list_;
};

/// Sorts and removes duplicates.
workload_list normalize(workload_list xs);

/// Maximum length of a name in characters (Unicode code points).
inline constexpr size_t max_name_length = 253;

/// Whether `name` can name a cluster, namespace or deployment: 1 to
/// `max_name_length` characters of valid UTF-8, none of them a control
/// character.
bool valid_name(std::string_view name);

/// What a submission requires of the backend.
enum class training_action {
  /// The list has new workloads: a model has to be trained.
  train,
  /// Workloads were only removed: the watchlist changes, nothing is trained.
  update,
  /// The list is empty: the model is reset.
  reset,
  /// The list is unchanged. It is still sent, because the backend may have lost
  /// it, but nothing is trained.
  none,
};

std::string_view to_string(training_action action);

/// The difference between two watchlists. Both sides are sorted.
struct workload_diff {
  shared_workloads added;
  shared_workloads removed;

  friend bool operator==(const workload_diff&, const workload_diff&) = default;
};

workload_diff diff(const workload_list& before, const workload_list& after);

/// The action for the difference between two watchlists.
training_action action_for(const workload_list& before,
                           const workload_list& after);

} // namespace aiops
