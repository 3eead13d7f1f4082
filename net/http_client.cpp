#include "net/http_client.hpp"

#include "config/config_values.hpp"

#include <httplib.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace aiops::net {

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds connect_timeout{3'000};

/// Makes OpenSSL check the name: the check of httplib accepts the common name
/// even when the certificate has alternative names.
void require_name(SSL_CTX* context, const std::string& host) {
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  auto parameters = SSL_CTX_get0_param(context);
  if (X509_VERIFY_PARAM_set1_ip_asc(parameters, host.c_str()) != 1)
    X509_VERIFY_PARAM_set1_host(parameters, host.c_str(), host.size());
}

/// Sets the client certificate; false when the files do not contain one.
bool present_certificate(SSL_CTX* context, const std::filesystem::path& cert,
                         const std::filesystem::path& key) {
  // A passphrase could not be typed.
  auto no_passphrase = [](char*, int, int, void*) { return 0; };
  SSL_CTX_set_default_passwd_cb(context, no_passphrase);
  auto good = SSL_CTX_use_certificate_chain_file(context, cert.c_str()) == 1
              && SSL_CTX_use_PrivateKey_file(context, key.c_str(),
                                             SSL_FILETYPE_PEM)
                   == 1;
  ERR_clear_error();
  return good;
}

template <class Client>
std::unique_ptr<Client> make_connection(const http_url& url) {
  auto result = std::make_unique<Client>(url.host, url.port);
  result->set_keep_alive(true);
  result->set_follow_location(false);
  // Request head and body are two writes. The second one would wait for the
  // acknowledgement of the first.
  result->set_tcp_nodelay(true);
  // The target is already encoded.
  result->set_url_encode(false);
  result->set_decompress(false);
  return result;
}

} // namespace

http_url split_http_url(std::string_view url) {
  http_url result;
  result.tls = url.starts_with("https://");
  url.remove_prefix(url.find("://") + 3);
  auto authority = url.substr(0, url.find('/'));
  result.prefix = url.substr(authority.size());
  while (result.prefix.ends_with('/'))
    result.prefix.pop_back();
  auto has_port = authority.rfind(':') != std::string_view::npos
                  && !authority.ends_with(']');
  auto address = read_endpoint(std::string{authority}
                               + (has_port     ? ""
                                  : result.tls ? ":443"
                                               : ":80"));
  if (address) {
    result.host = address->host;
    result.port = address->port;
  }
  return result;
}

// -- socket_guard -------------------------------------------------------------

/// Shuts a connection down at the deadline of a request. The library has only
/// timeouts of single reads, which a peer that sends a byte now and then never
/// exceeds.
class http_client::socket_guard {
public:
  socket_guard() = default;

  ~socket_guard() {
    stop();
    forget();
  }

  socket_guard(const socket_guard&) = delete;
  socket_guard& operator=(const socket_guard&) = delete;

  /// Guards a connection that is about to be opened.
  void watch(int fd) {
    std::lock_guard hold{mutex_};
    if (fd_ >= 0)
      ::close(fd_);
    // A duplicate: the library may close its descriptor at any time, and its
    // number could then refer to another file.
    fd_ = ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (late_)
      ::shutdown(fd_, SHUT_RDWR);
  }

  void start(steady_clock::time_point deadline) {
    done_ = false;
    late_ = false;
    thread_ = std::thread{[this, deadline] { run(deadline); }};
  }

  /// Returns whether the deadline has passed.
  bool stop() {
    if (thread_.joinable()) {
      {
        std::lock_guard hold{mutex_};
        done_ = true;
      }
      changed_.notify_one();
      thread_.join();
    }
    return late_;
  }

  void forget() {
    if (fd_ >= 0)
      ::close(fd_);
    fd_ = -1;
  }

private:
  void run(steady_clock::time_point deadline) {
    std::unique_lock hold{mutex_};
    if (changed_.wait_until(hold, deadline, [this] { return done_; }))
      return;
    late_ = true;
    if (fd_ >= 0)
      ::shutdown(fd_, SHUT_RDWR);
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::thread thread_;
  int fd_ = -1;
  bool done_ = false;
  bool late_ = false;
};

// -- http_client --------------------------------------------------------------

http_client::http_client(http_client_config config)
  : config_(std::move(config)), parts_(split_http_url(config_.url)),
    guard_(std::make_unique<socket_guard>()) {
  // nop
}

http_client::~http_client() {
  close();
}

caf::error http_client::open() {
  if (parts_.tls) {
    auto client = make_connection<httplib::SSLClient>(parts_);
    if (!config_.ca_file.empty())
      client->set_ca_cert_path(config_.ca_file.string());
    require_name(client->ssl_context(), parts_.host);
    if (!config_.cert_file.empty()
        && !present_certificate(client->ssl_context(), config_.cert_file,
                                config_.key_file))
      return make_error(ec::invalid_configuration,
                        config_.url + " was not called: '"
                          + config_.cert_file.string() + "' and '"
                          + config_.key_file.string()
                          + "' are not a certificate and its key in PEM "
                            "without a passphrase");
    connection_ = std::move(client);
  } else {
    connection_ = make_connection<httplib::ClientImpl>(parts_);
  }
  connection_->set_socket_options([this](socket_t fd) { guard_->watch(fd); });
  return {};
}

void http_client::close() {
  connection_.reset();
  guard_->forget();
}

void http_client::release() {
  std::string{}.swap(body_);
}

caf::expected<outbound_answer>
http_client::send(const outbound_request& request) {
  auto remaining = std::chrono::ceil<milliseconds>(request.deadline
                                                   - steady_clock::now());
  if (remaining.count() <= 0)
    return make_error(ec::timeout,
                      config_.url + " was not called: the deadline has passed");
  if (!connection_)
    if (auto problem = open())
      return problem;
  connection_->set_connection_timeout(std::min(connect_timeout, remaining));
  connection_->set_read_timeout(remaining);
  connection_->set_write_timeout(remaining);
  httplib::Request message;
  message.method = request.method;
  message.path = parts_.prefix + request.target;
  message.body = request.body;
  if (!message.body.empty())
    message.set_header("Content-Type", "application/json");
  message.set_header("Accept", "application/json");
  // A small compressed body may be large in memory.
  message.set_header("Accept-Encoding", "identity");
  if (!request.user.empty())
    message.headers.insert(httplib::make_basic_authentication_header(
      request.user, request.password));
  if (!request.bearer_token.empty())
    message.headers.emplace("Authorization", "Bearer " + request.bearer_token);
  for (auto& [key, value] : request.headers)
    message.set_header(key, value);
  auto too_large = false;
  auto encoded = false;
  auto status = 0;
  body_.clear();
  message.response_handler = [&](const httplib::Response& head) {
    status = head.status;
    if (request.status_only)
      return false;
    auto length = head.get_header_value<uint64_t>("Content-Length");
    encoded = head.has_header("Content-Encoding")
              && head.get_header_value("Content-Encoding") != "identity";
    too_large = length > request.max_body;
    if (encoded || too_large)
      return false;
    body_.reserve(length + request.padding);
    return true;
  };
  message.content_receiver = [&](const char* data, size_t size, uint64_t,
                                 uint64_t) {
    too_large = size > request.max_body - body_.size();
    if (!too_large)
      body_.append(data, size);
    return !too_large;
  };
  httplib::Response head;
  auto problem = httplib::Error::Success;
  auto sent = false;
  guard_->start(request.deadline);
  try {
    sent = connection_->send(message, head, problem);
  } catch (...) {
    guard_->stop();
    close();
    throw;
  }
  auto late = guard_->stop();
  if (request.status_only && sent)
    status = head.status; // of an answer that cannot have a body
  if (request.status_only && status != 0) {
    close();
    return outbound_answer{status, {}, {}};
  }
  // A body without a length ends with the connection, so a body that we cut
  // looks complete.
  if (!sent || late || encoded || too_large) {
    caf::error result;
    if (encoded)
      result = make_error(ec::bad_reply, config_.url
                                           + " compressed its answer without "
                                             "being asked to");
    else if (too_large)
      result = make_error(ec::too_large,
                          config_.url + " answered more than "
                            + write_size(static_cast<int64_t>(request.max_body))
                            + " bytes");
    else
      result = failure(static_cast<int>(problem), request, late);
    // Also makes the next attempt read the certificates again.
    close();
    return result;
  }
  auto size = body_.size();
  body_.append(request.padding, '\0');
  return outbound_answer{head.status, head.get_header_value("Retry-After"),
                         std::string_view{body_}.substr(0, size)};
}

caf::error http_client::failure(int library_error,
                                const outbound_request& request,
                                bool late) const {
  using httplib::Error;
  auto fail = [&](ec code, const std::string& what) {
    return make_error(code, config_.url + " " + what);
  };
  if (late || steady_clock::now() >= request.deadline)
    return fail(ec::timeout, "did not answer in time");
  switch (static_cast<Error>(library_error)) {
    case Error::SSLLoadingCerts:
      return fail(ec::invalid_configuration,
                  "cannot be verified: '" + config_.ca_file.string()
                    + "' holds no certificates; correct " + config_.ca_option);
    case Error::SSLServerVerification: {
      auto& client = dynamic_cast<const httplib::SSLClient&>(*connection_);
      auto why = client.get_openssl_verify_result();
      return fail(ec::disconnected,
                  std::string{"has a certificate that does not verify ("}
                    + (why == X509_V_OK ? "another name"
                                        : X509_verify_cert_error_string(why))
                    + "); set its authority with " + config_.ca_option);
    }
    case Error::SSLConnection:
      return fail(ec::disconnected, "does not accept TLS 1.2 or later");
    case Error::Connection:
    case Error::ConnectionTimeout:
      return fail(ec::disconnected, "cannot be connected to");
    case Error::Read:
    case Error::Write:
      return fail(ec::bad_reply, "ended the connection before its answer");
    default:
      return fail(ec::bad_reply, "answered with something other than HTTP");
  }
}

} // namespace aiops::net
