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
  /// Deadline of one look, all its pages included.
  caf::timespan deadline = std::chrono::seconds{20};
  /// Nodes, or pods, a page, and the largest page in bytes.
  size_t page_size = 500;
  size_t max_page = 64 * 1024 * 1024;
};

/// The probe of `--gpu-source kubernetes`: the GPUs of all nodes, and what pods
/// have of them where we may list pods; beside them the runtime classes.
/// Answers everything or an error, never a part.
class kubernetes_state {
public:
  static inline const char* name = "gpu-kubernetes";

  gpu_probe_actor::behavior_type make_behavior(kubernetes_probe_config config);

private:
  using clock = std::chrono::steady_clock;

  /// What is listed.
  enum class what { nodes, pods, runtime_classes };

  std::vector<file_stamp> stamps() const;

  /// Answers what `look` finds, and gives the memory of its pages back.
  template <class T>
  caf::result<T> get(caf::expected<T> (kubernetes_state::*look)());

  caf::expected<gpu_list> look_for_gpus();

  caf::expected<std::vector<std::string>> look_for_runtime_classes();

  static std::string_view name_of(what kind);

  /// Path and query of a list's first page.
  std::string first_page(what kind) const;

  void clear(what kind);

  /// Adds a page; answers the token of the next one.
  caf::expected<std::string> add(what kind, std::string_view page);

  /// Finds the server and our credentials, again when a file changed.
  caf::error prepare();

  /// Reads the token when its file changed, or when asked to.
  caf::error read_token(bool always);

  /// Lists everything, from the start again when the server forgot where we
  /// were.
  caf::error list(what kind);

  /// Asks for one page. A refusal is an answer.
  caf::expected<net::outbound_answer> ask(const std::string& target);

  /// Asks again when the connection was not what it seemed.
  caf::expected<net::outbound_answer> send(const std::string& target);

  caf::error refusal(what kind, const net::outbound_answer& answer) const;

  void report_pods(bool listed);

  void report_unreadable();

  kubernetes_probe_config config_;
  std::optional<kubernetes_access> access_;
  std::vector<file_stamp> stamps_;
  std::unique_ptr<net::http_client> client_;
  std::string token_;
  file_stamp token_stamp_;
  kubernetes_inventory inventory_;
  /// When the look that is under way has to be done.
  clock::time_point deadline_;
  /// Whether we were told not to list pods.
  bool pods_refused_ = false;
  /// Quantities that were complained about.
  std::set<std::string> reported_;
};

/// Spawn it detached: it blocks while it looks.
gpu_probe_actor::behavior_type
kubernetes(gpu_probe_actor::stateful_pointer<kubernetes_state> self,
           kubernetes_probe_config config);

} // namespace aiops::gpu
