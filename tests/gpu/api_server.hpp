#pragma once

#include <httplib.h>

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace aiops::test {

/// A directory that its owner removes.
class scratch_dir {
public:
  scratch_dir();

  ~scratch_dir();

  scratch_dir(const scratch_dir&) = delete;
  scratch_dir& operator=(const scratch_dir&) = delete;

  std::filesystem::path operator/(const std::string& file) const {
    return dir_ / file;
  }

  const std::filesystem::path& path() const {
    return dir_;
  }

  /// Puts a file there in one step, as the kubelet does.
  std::filesystem::path write(const std::string& file,
                              const std::string& text) const;

private:
  std::filesystem::path dir_;
};

std::string content_of(const std::filesystem::path& file);

/// Certificates: `ca.pem`, `server.pem` for 127.0.0.1 and ::1, `client.pem`,
/// with their keys (`….key`), and the unrelated `other.pem`. Made once.
const scratch_dir& certificates();

/// A node, as the API lists it.
std::string node_json(const std::string& name, const std::string& resources,
                      const std::string& labels = "",
                      const std::string& spec = "{}", bool ready = true);

/// A pod that runs on a node and requests GPUs.
std::string pod_json(const std::string& name, const std::string& node,
                     const std::string& resource, int64_t amount,
                     const std::string& phase = "Running");

/// A page of a list.
std::string list_json(const std::string& items, const std::string& next = "");

/// A fake API server, over TLS, on a free port. It serves what the test sets,
/// including faults.
class api_server {
public:
  using handler
    = std::function<void(const httplib::Request&, httplib::Response&)>;

  /// Serves lists of nodes and pods, each item as JSON.
  /// @param client_ca Requires a client certificate of this authority.
  explicit api_server(const std::filesystem::path& client_ca = {});

  ~api_server();

  std::string url() const;

  int port() const {
    return port_;
  }

  /// Lists this many nodes and pods, which are made on request.
  void serve(size_t nodes, std::function<std::string(size_t)> node,
             size_t pods = 0, std::function<std::string(size_t)> pod = {});

  /// Lists these runtime classes.
  void serve_runtime_classes(std::vector<std::string> names);

  /// Handles all further requests; the default is `list`.
  void on_request(handler how);

  /// Answers from the lists, page by page.
  void list(const httplib::Request& request, httplib::Response& response);

  /// Blocks for this long; false when the server is being destroyed.
  bool pause(std::chrono::milliseconds time);

  /// Path and parameters of all requests.
  std::vector<std::string> requests() const;

private:
  struct collection {
    size_t size = 0;
    std::function<std::string(size_t)> item;
  };

  std::unique_ptr<httplib::SSLServer> server_;
  int port_ = 0;
  collection nodes_;
  collection pods_;
  collection runtime_classes_;
  handler handler_;
  mutable std::mutex mutex_;
  std::condition_variable ended_;
  bool ending_ = false;
  std::vector<std::string> requests_;
  std::thread thread_;
};

} // namespace aiops::test
