#pragma once

#include "actors/messages.hpp"
#include "base/error.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

/// @file
/// Reads the GPUs of nodes and their use by pods from lists of the Kubernetes
/// API. Has no connection.

namespace simdjson::dom {

class element;
class object;
class parser;

} // namespace simdjson::dom

namespace aiops::gpu {

/// Reads a quantity such as `2`, `1k`, `2e0`, `1Ki` or `1500m`. A fraction is
/// rounded up, and a number that is too large becomes the largest one. Nothing
/// when it is negative or not a quantity.
std::optional<int64_t> read_quantity(std::string_view text);

/// The GPUs that a resource of a node counts.
struct kubernetes_resource_kind {
  std::string_view vendor;
  gpu_kind kind = gpu_kind::full;

  friend bool operator==(const kubernetes_resource_kind&,
                         const kubernetes_resource_kind&)
    = default;
};

/// Classifies a resource by its name; nothing when it does not count GPUs.
std::optional<kubernetes_resource_kind>
classify_kubernetes_resource(std::string_view resource);

/// Collects the GPUs of a cluster from pages of nodes and of pods. Keeps only
/// what the result needs, and memory for the largest page.
class kubernetes_inventory {
public:
  /// Bytes that have to be readable after a page.
  static const size_t padding;

  kubernetes_inventory();

  ~kubernetes_inventory();

  /// Forgets all nodes.
  void clear_nodes();

  /// Forgets the use by pods, which is unknown until the next page of pods.
  void clear_pods();

  /// Adds a page of nodes; returns the token of the next page, empty after the
  /// last one. After an error a part of the page may have been added.
  caf::expected<std::string> add_nodes(std::string_view page);

  /// The same for a page of pods. Pods that have ended or are not scheduled do
  /// not count.
  caf::expected<std::string> add_pods(std::string_view page);

  /// Forgets all runtime classes.
  void clear_runtime_classes();

  /// Adds a page of runtime classes in the same way.
  caf::expected<std::string> add_runtime_classes(std::string_view page);

  /// Names of the runtime classes.
  const std::set<std::string>& runtime_classes() const noexcept {
    return runtime_classes_;
  }

  /// Whether there are any GPUs.
  bool empty() const noexcept {
    return gpus_.empty();
  }

  /// Quantities that could not be read and count as 0.
  const std::set<std::string>& unreadable() const noexcept {
    return unreadable_;
  }

  /// By node, then by resource.
  gpu_list result() const;

  /// Releases the memory of pages.
  void release();

private:
  /// Node and resource.
  using key = std::pair<std::string, std::string>;

  /// Units by resource.
  using units = std::map<std::string, int64_t, std::less<>>;

  void add_node(const simdjson::dom::element& node);

  void add_pod(const simdjson::dom::element& pod);

  int64_t quantity(const simdjson::dom::element& x);

  /// The GPUs that a container requests.
  units requests_of(const simdjson::dom::element& container);

  std::unique_ptr<simdjson::dom::parser> parser_;
  std::map<key, gpu_resource> gpus_;
  std::map<std::string, units, std::less<>> allocated_;
  bool pods_known_ = false;
  std::set<std::string> unreadable_;
  std::set<std::string> runtime_classes_;
};

} // namespace aiops::gpu
