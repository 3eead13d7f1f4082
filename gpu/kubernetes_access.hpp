#pragma once

#include "base/error.hpp"
#include "config/config.hpp"

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace aiops::gpu {

/// A file that is in memory only, and nobody's but ours.
class memory_file {
public:
  explicit memory_file(std::string_view content);

  ~memory_file();

  memory_file(const memory_file&) = delete;
  memory_file& operator=(const memory_file&) = delete;

  /// Where the file can be opened as long as this object lives; empty when it
  /// could not be made.
  std::filesystem::path path() const;

private:
  int fd_ = -1;
};

/// Which API server is asked, whom we trust, and who we are.
struct kubernetes_access {
  std::string url;
  /// Certificates of authorities; empty: the system's.
  std::filesystem::path ca_file;
  std::filesystem::path cert_file;
  std::filesystem::path key_file;
  std::filesystem::path token_file;
  /// In place of a file.
  std::string token;
  /// What an operator would change to trust other authorities.
  std::string ca_option;
  /// Files that exist in memory only.
  std::vector<std::shared_ptr<const memory_file>> held;

  /// The files that may change while we run.
  std::vector<std::filesystem::path> files;
};

/// Reads the current context of a kubeconfig.
/// @param folder what relative paths in it are relative to.
caf::expected<kubernetes_access>
parse_kubeconfig(const std::string& text, const std::filesystem::path& folder);

/// By kubeconfig, by URL, or as a pod, whichever the configuration says.
caf::expected<kubernetes_access>
find_kubernetes_access(const kubernetes_config& config);

/// Reads a token from a file, without the line break at its end.
caf::expected<std::string>
read_kubernetes_token(const std::filesystem::path& file);

} // namespace aiops::gpu
