#pragma once

#include "actors/actors.hpp"

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>

namespace aiops::net {

class http_client;

} // namespace aiops::net

namespace aiops::nats {

struct webhook_config {
  /// `http[s]://HOST[:PORT][/PATH][?QUERY]`.
  std::string url;
  /// File with the key of the signature, read for each report; empty: unsigned.
  std::filesystem::path secret_file;
  /// Certificates (PEM) of authorities; empty: the system's.
  std::filesystem::path ca_file;
  /// Deadline of one attempt.
  std::chrono::milliseconds timeout{5'000};
};

/// Reports jobs that have ended by `POST`, with one attempt each. A report is
/// accepted when the answer is 2xx. For other answers the error contains the
/// status, but not path and query of the URL, which may contain a secret.
///
/// Blocks, so it must be detached.
class webhook_state {
public:
  static inline const char* name = "webhook";

  explicit webhook_state(job_hook_actor::pointer self);

  ~webhook_state();

  job_hook_actor::behavior_type make_behavior(webhook_config config);

private:
  caf::result<void> report(const training_job& x);

  caf::error post(const training_job& x);

  job_hook_actor::pointer self_;
  webhook_config config_;
  /// Path and query of the URL.
  std::string target_;
  std::unique_ptr<net::http_client> client_;
};

/// The value of `X-Hub-Signature-256` for a body: `sha256=` and the HMAC in
/// hexadecimal digits; empty when it cannot be made.
std::string hub_signature(const std::string& secret, const std::string& body);

job_hook_actor::behavior_type
webhook(job_hook_actor::stateful_pointer<webhook_state> self,
        webhook_config config);

} // namespace aiops::nats
