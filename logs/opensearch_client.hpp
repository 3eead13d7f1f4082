#pragma once

#include "actors/error.hpp"

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace httplib {

class ClientImpl;

} // namespace httplib

namespace aiops {

/// The URL of a node in its parts.
struct opensearch_url {
  bool tls = false;
  /// Name or address, an IPv6 address without brackets.
  std::string host;
  int port = 0;
  /// What stands before the path of a request; empty or `/…` without a slash
  /// at its end.
  std::string prefix;
};

/// Splits a URL that `valid_opensearch_url` takes.
opensearch_url split_opensearch_url(std::string_view url);

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

struct opensearch_answer {
  /// HTTP status, whichever it is.
  int status = 0;
  /// The header `Retry-After`; empty when there is none.
  std::string retry_after;
  /// Followed by readable bytes, as many as the page reader needs; valid until
  /// the next request.
  std::string_view body;
};

/// A connection to one node, opened when it is needed and kept open between
/// requests. Verifies the node's certificate and name, follows no redirect.
class opensearch_client {
public:
  /// @param ca_file Certificates (PEM) of authorities; empty: the system's.
  opensearch_client(const std::string& url, std::filesystem::path ca_file);

  ~opensearch_client();

  const std::string& url() const noexcept {
    return url_;
  }

  /// Sends a request and reads all of its answer, or fails by the deadline:
  /// `disconnected` without a connection, `timeout` when the time is over,
  /// `bad_reply` when the answer breaks off, `too_large` above the cap. The
  /// one thing not bounded by the deadline is the look-up of the node's name.
  caf::expected<opensearch_answer> post(const opensearch_request& request);

  /// Gives the memory of the last answer back.
  void release();

private:
  class socket_guard;

  void open();

  void close();

  caf::error failure(int library_error, const opensearch_request& request,
                     bool late) const;

  std::string url_;
  opensearch_url parts_;
  std::filesystem::path ca_file_;
  std::unique_ptr<httplib::ClientImpl> connection_;
  std::unique_ptr<socket_guard> guard_;
  std::string body_;
};

} // namespace aiops
