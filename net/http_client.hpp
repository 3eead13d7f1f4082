#pragma once

#include "base/error.hpp"

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace httplib {

class ClientImpl;

} // namespace httplib

namespace aiops::net {

/// The parts of the URL of a server.
struct http_url {
  bool tls = false;
  /// Name or address, an IPv6 address without brackets.
  std::string host;
  int port = 0;
  /// Precedes the path of each request; empty, or `/…` without a slash at its
  /// end.
  std::string prefix;
};

/// Splits `http[s]://HOST[:PORT][/PATH]`. The host is empty when it is missing
/// or the port is invalid.
http_url split_http_url(std::string_view url);

/// The server, and the certificates to trust and to present.
struct http_client_config {
  std::string url;
  /// Certificates (PEM) of authorities; empty: the system's.
  std::filesystem::path ca_file;
  /// The option that sets `ca_file`, for the remedy in an error.
  std::string ca_option;
  /// Our own certificate with its chain, and its key (PEM, without a
  /// passphrase); both empty: none.
  std::filesystem::path cert_file = {};
  std::filesystem::path key_file = {};
};

struct outbound_request {
  std::string method = "GET";
  std::string target;
  std::string body = {};
  /// Credentials; neither user nor token: none are sent.
  std::string user = {};
  std::string password = {};
  std::string bearer_token = {};
  /// Largest body of the answer, in bytes.
  size_t max_body = 0;
  /// Bytes that have to be readable after the body of the answer.
  size_t padding = 0;
  std::chrono::steady_clock::time_point deadline = {};
  /// Further headers.
  std::vector<std::pair<std::string, std::string>> headers = {};
  /// Whether only the status of the answer is wanted: its body is then not
  /// read, whatever it is, and the connection ends.
  bool status_only = false;
};

struct outbound_answer {
  /// Any HTTP status.
  int status = 0;
  /// The header `Retry-After`; empty when there is none.
  std::string retry_after;
  /// Followed by readable bytes, as many as the request asks for; valid until
  /// the next request.
  std::string_view body;
};

/// A connection to one server that speaks JSON, opened when it is needed and
/// kept open between requests. Verifies the server's certificate and name,
/// follows no redirect.
class http_client {
public:
  explicit http_client(http_client_config config);

  ~http_client();

  const std::string& url() const noexcept {
    return config_.url;
  }

  /// Sends a request and reads all of its answer, or fails by the deadline:
  /// `disconnected` without a connection, `timeout` after the deadline,
  /// `bad_reply` when the answer is incomplete, `too_large` above `max_body`.
  /// Only the resolution of the host name is not bounded by the deadline.
  caf::expected<outbound_answer> send(const outbound_request& request);

  /// Ends the connection. The next one reads the certificates again.
  void close();

  /// Releases the memory of the last answer.
  void release();

private:
  class socket_guard;

  caf::error open();

  caf::error failure(int library_error, const outbound_request& request,
                     bool late) const;

  http_client_config config_;
  http_url parts_;
  std::unique_ptr<httplib::ClientImpl> connection_;
  std::unique_ptr<socket_guard> guard_;
  std::string body_;
};

} // namespace aiops::net
