#include "nats/training/webhook.hpp"

#include "base/secret_file.hpp"
#include "nats/training/job_json.hpp"
#include "net/http_client.hpp"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <string_view>

namespace aiops::nats {

namespace {

/// A URL in two parts: the server, and the target. The target may contain a
/// secret.
std::pair<std::string, std::string> split_target(const std::string& url) {
  auto host = url.find("://") + 3;
  auto end = url.find_first_of("/?#", host);
  if (end == std::string::npos)
    return {url, "/"};
  auto target = url.substr(end, url.find('#', end) - end);
  if (!target.starts_with('/'))
    target = "/" + target;
  return {url.substr(0, end), target};
}

/// The key of the signature.
caf::expected<std::string> read_key(const std::filesystem::path& file) {
  auto fail = [&](const std::string& what) {
    return make_error(ec::invalid_configuration,
                      "the webhook was not called: '" + file.string() + "' "
                        + what + "; correct --training-webhook-secret-file");
  };
  auto key = read_secret(file);
  if (!key)
    return fail("cannot be read: " + text_of(key.error()));
  if (key->empty())
    return fail("is empty");
  return key;
}

} // namespace

std::string hub_signature(const std::string& secret, const std::string& body) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  if (HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
           reinterpret_cast<const unsigned char*>(body.data()), body.size(),
           digest, &size)
      == nullptr)
    return {};
  constexpr std::string_view digits = "0123456789abcdef";
  std::string result = "sha256=";
  for (unsigned int i = 0; i < size; ++i) {
    result += digits[digest[i] >> 4];
    result += digits[digest[i] & 15];
  }
  return result;
}

webhook_state::webhook_state(job_hook_actor::pointer self) : self_(self) {
  // nop
}

webhook_state::~webhook_state() = default;

job_hook_actor::behavior_type
webhook_state::make_behavior(webhook_config config) {
  config_ = std::move(config);
  auto [server, target] = split_target(config_.url);
  target_ = std::move(target);
  client_ = std::make_unique<net::http_client>(net::http_client_config{
    std::move(server), config_.ca_file, "--training-webhook-ca"});
  return {
    [this](put_atom, const training_job& x) { return report(x); },
  };
}

caf::result<void> webhook_state::report(const training_job& x) {
  try {
    if (auto problem = post(x))
      return problem;
    return caf::unit;
  } catch (const std::exception& e) {
    return make_error(ec::internal,
                      std::string{"the webhook was not called: "} + e.what());
  }
}

caf::error webhook_state::post(const training_job& x) {
  net::outbound_request request{
    .method = "POST",
    .target = target_,
    .body = encode_job(x),
    .deadline = std::chrono::steady_clock::now() + config_.timeout,
    .headers = {{"User-Agent", "aiops-gateway/" AIOPS_GATEWAY_VERSION},
                {"X-Aiops-Event", "training.finished"},
                {"X-Aiops-Delivery", x.id}},
    .status_only = true};
  if (!config_.secret_file.empty()) {
    auto key = read_key(config_.secret_file);
    if (!key)
      return std::move(key.error());
    auto signature = hub_signature(*key, request.body);
    if (signature.empty())
      return make_error(ec::internal, "the webhook was not called: its body "
                                      "could not be signed");
    request.headers.emplace_back("X-Hub-Signature-256", std::move(signature));
  }
  auto answer = client_->send(request);
  if (!answer)
    return answer.error();
  if (answer->status < 200 || answer->status > 299)
    return make_error(ec::refused, client_->url() + " answered with status "
                                     + std::to_string(answer->status));
  return {};
}

job_hook_actor::behavior_type
webhook(job_hook_actor::stateful_pointer<webhook_state> self,
        webhook_config config) {
  return self->state.make_behavior(std::move(config));
}

} // namespace aiops::nats
