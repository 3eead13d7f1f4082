#pragma once

#include "net/http_client.hpp"

#include <chrono>
#include <filesystem>
#include <string>
#include <string_view>

namespace aiops::logs {

struct opensearch_request {
  std::string target;
  std::string body;
  /// Credentials; no user: none are sent.
  std::string user;
  std::string password;
  /// Largest body of the answer, in bytes.
  size_t max_body = 0;
  std::chrono::steady_clock::time_point deadline;
};

using opensearch_answer = net::outbound_answer;

/// A connection to one node.
class opensearch_client {
public:
  /// @param ca_file Certificates (PEM) of authorities; empty: those of the
  ///        system.
  opensearch_client(const std::string& url, std::filesystem::path ca_file);

  const std::string& url() const noexcept {
    return client_.url();
  }

  /// As `http_client::send`; the bytes that the page reader needs are readable
  /// after the body.
  caf::expected<opensearch_answer> post(const opensearch_request& request);

  /// Releases the memory of the last answer.
  void release() {
    client_.release();
  }

private:
  net::http_client client_;
};

} // namespace aiops::logs
