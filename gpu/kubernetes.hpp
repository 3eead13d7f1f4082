#pragma once

#include "actors/actors.hpp"
#include "base/small_file.hpp"
#include "config/config.hpp"
#include "gpu/kubernetes_access.hpp"
#include "gpu/kubernetes_objects.hpp"
#include "net/http_client.hpp"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace aiops::gpu {

struct kubernetes_probe_config {
  kubernetes_config server;
  /// Deadline of one scan, including all its pages.
  caf::timespan deadline = std::chrono::seconds{20};
  /// Nodes or pods per page, and the largest page in bytes.
  size_t page_size = 500;
  size_t max_page = 64 * 1024 * 1024;
};

/// The probe of `--gpu-source kubernetes`: the GPUs of all nodes, their use by
/// pods if the gateway may list pods, and the runtime classes. An answer is
/// complete or an error.
class kubernetes_state {
public:
  static inline const char* name = "gpu-kubernetes";

  gpu_probe_actor::behavior_type make_behavior(kubernetes_probe_config config);

private:
  using clock = std::chrono::steady_clock;

  /// What is listed.
  enum class list_kind { nodes, pods, runtime_classes };

  std::vector<file_stamp> stamps() const;

  /// Returns the result of `scan`, and releases the memory of its pages.
  template <class T>
  caf::result<T> get(caf::expected<T> (kubernetes_state::*scan)());

  caf::expected<gpu_list> scan_gpus();

  caf::expected<std::vector<std::string>> scan_runtime_classes();

  static std::string_view name_of(list_kind kind);

  /// Path and query of a list's first page.
  std::string first_page(list_kind kind) const;

  void clear(list_kind kind);

  /// Adds a page; returns the token of the next one.
  caf::expected<std::string> add(list_kind kind, std::string_view page);

  /// Finds the server and our credentials, again when a file has changed.
  caf::error prepare();

  /// Reads the token when its file has changed, or if `always`.
  caf::error read_token(bool always);

  /// Lists everything; starts again when the continuation has expired.
  caf::error list(list_kind kind);

  /// Requests one page. A refusal is an answer, not an error.
  caf::expected<net::outbound_answer> ask(const std::string& target);

  /// Repeats the request when the server had closed the connection.
  caf::expected<net::outbound_answer> send(const std::string& target);

  caf::error refusal(list_kind kind, const net::outbound_answer& answer) const;

  void report_pods(bool listed);

  void report_unreadable();

  kubernetes_probe_config config_;
  std::optional<kubernetes_access> access_;
  std::vector<file_stamp> stamps_;
  std::unique_ptr<net::http_client> client_;
  std::string token_;
  file_stamp token_stamp_;
  kubernetes_inventory inventory_;
  /// Deadline of the current scan.
  clock::time_point deadline_;
  /// Whether the server refused to list pods.
  bool pods_refused_ = false;
  /// Unreadable quantities that were logged.
  std::set<std::string> reported_;
};

/// Blocks during a scan, so spawn it detached.
gpu_probe_actor::behavior_type
kubernetes(gpu_probe_actor::stateful_pointer<kubernetes_state> self,
           kubernetes_probe_config config);

} // namespace aiops::gpu
