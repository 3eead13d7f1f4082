#pragma once

#include "base/error.hpp"
#include "config/config.hpp"

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace aiops::gpu {

/// A file in memory that only this process has.
class memory_file {
public:
  explicit memory_file(std::string_view content);

  ~memory_file();

  memory_file(const memory_file&) = delete;
  memory_file& operator=(const memory_file&) = delete;

  /// Where the file can be opened as long as this object exists; empty when it
  /// could not be created.
  std::filesystem::path path() const;

private:
  int fd_ = -1;
};

/// The API server, the certificates to trust, and our credentials.
struct kubernetes_access {
  std::string url;
  /// Certificates of authorities; empty: the system's.
  std::filesystem::path ca_file;
  std::filesystem::path cert_file;
  std::filesystem::path key_file;
  std::filesystem::path token_file;
  /// The token, if it is not in a file.
  std::string token;
  /// The option or field that sets `ca_file`, for errors.
  std::string ca_option;
  /// Files that exist in memory only.
  std::vector<std::shared_ptr<const memory_file>> held;

  /// The files that may change while we run.
  std::vector<std::filesystem::path> files;
};

/// Reads the current context of a kubeconfig.
/// @param folder The folder of its relative paths.
caf::expected<kubernetes_access>
parse_kubeconfig(const std::string& text, const std::filesystem::path& folder);

/// From the kubeconfig, the URL or the service account of the pod, as
/// configured.
caf::expected<kubernetes_access>
find_kubernetes_access(const kubernetes_config& config);

/// Reads a token from a file, without the line break at its end.
caf::expected<std::string>
read_kubernetes_token(const std::filesystem::path& file);

} // namespace aiops::gpu
