#pragma once

#include "actors/workload.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace aiops::tools {

/// Where the name of a cluster, namespace or deployment comes from.
struct name_source {
  /// The name for every line; empty when the lines contain it.
  std::string fixed;
  /// Fields of a JSON line that may have the name, in order of preference. A
  /// dot selects a member of an object.
  std::vector<std::string> fields;
};

/// Where the names of a line come from. The fields fit `journalctl -o json`
/// and what log shippers write in Kubernetes.
struct name_sources {
  name_source cluster{
    "", {"cluster_id", "clusterId", "kubernetes.cluster_id", "_HOSTNAME"}};
  name_source namespace_name{
    "",
    {"namespace_name", "kubernetes.namespace_name", "namespace", "_TRANSPORT"}};
  name_source deployment{"",
                         {"deployment", "kubernetes.deployment",
                          "kubernetes.labels.app", "kubernetes.container_name",
                          "_SYSTEMD_UNIT", "SYSLOG_IDENTIFIER"}};
};

/// The workload of a line; nothing when a name is missing or invalid.
std::optional<workload> owner_of(std::string_view line,
                                 const name_sources& sources);

/// Cuts a stream of bytes into lines.
class line_splitter {
public:
  /// Lines are cut to this many bytes.
  static constexpr size_t max_line = 64 * 1024;

  /// Calls `f(line)` for each line that ends within `bytes`.
  template <class F>
  void feed(std::string_view bytes, F&& f) {
    for (auto end = bytes.find('\n'); end != std::string_view::npos;
         end = bytes.find('\n')) {
      append(bytes.substr(0, end));
      bytes.remove_prefix(end + 1);
      take(f);
    }
    append(bytes);
  }

  /// Calls `f(line)` for a last line without a line break.
  template <class F>
  void finish(F&& f) {
    if (!line_.empty())
      take(f);
  }

  /// Lines that were cut.
  size_t cut() const {
    return cut_;
  }

private:
  void append(std::string_view bytes);

  template <class F>
  void take(F&& f) {
    cut_ += overlong_ ? 1 : 0;
    overlong_ = false;
    f(std::exchange(line_, {}));
  }

  std::string line_;
  bool overlong_ = false;
  size_t cut_ = 0;
};

} // namespace aiops::tools
