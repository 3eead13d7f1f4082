#include "tools/progress_channel.hpp"

#include <httplib.h>
#include <nlohmann/json.hpp>

#include <utility>

namespace aiops::tools {

namespace {

constexpr auto progress_subject = "aiops.training.progress";

constexpr int64_t reply_timeout = 10'000;

class http_channel : public progress_channel {
public:
  http_channel(const std::string& url, backend_protocol protocol)
    : gateway_(make_client(url)),
      path_(protocol == backend_protocol::kv
              ? "/ModelTraining/model/current_status"
              : "/ModelTraining/model/statistics") {
    // nop
  }

  report_result send(const std::string& body) override {
    auto response = gateway_->Put(path_, body, "application/json");
    if (!response)
      return {outcome::lost, "no answer"};
    if (response->status == 200)
      return {outcome::stored};
    auto refused = response->status >= 400 && response->status < 500;
    return {refused ? outcome::refused : outcome::lost,
            std::to_string(response->status) + ": " + response->body};
  }

private:
  std::unique_ptr<httplib::Client> gateway_;
  const char* path_;
};

class nats_channel : public progress_channel {
public:
  explicit nats_channel(nats_link_options options)
    : link_(std::move(options), "training_sim progress") {
    // nop
  }

  report_result send(const std::string& body) override {
    if (!link_.connect())
      return {outcome::lost, "no connection to NATS"};
    natsMsg* reply = nullptr;
    auto status = natsConnection_Request(
      &reply, link_.get(), progress_subject, body.data(),
      static_cast<int>(body.size()), reply_timeout);
    if (status != NATS_OK)
      return {outcome::lost, natsStatus_GetText(status)};
    std::string text{natsMsg_GetData(reply),
                     static_cast<size_t>(natsMsg_GetDataLength(reply))};
    natsMsg_Destroy(reply);
    auto value = nlohmann::json::parse(text, nullptr, false);
    if (value.is_object() && !value.contains("code"))
      return {outcome::stored};
    // The gRPC codes UNAVAILABLE and DEADLINE_EXCEEDED: a retry may succeed.
    auto temporary = value.is_object()
                     && (value["code"] == 14 || value["code"] == 4);
    return {temporary ? outcome::lost : outcome::refused, text};
  }

private:
  nats_link link_;
};

} // namespace

std::unique_ptr<httplib::Client> make_client(const std::string& gateway_url) {
  auto result = std::make_unique<httplib::Client>(gateway_url);
  result->set_connection_timeout(2);
  result->set_read_timeout(10);
  result->set_keep_alive(true);
  return result;
}

std::unique_ptr<progress_channel>
progress_by_http(const std::string& gateway_url, backend_protocol protocol) {
  return std::make_unique<http_channel>(gateway_url, protocol);
}

std::unique_ptr<progress_channel> progress_by_nats(nats_link_options options) {
  return std::make_unique<nats_channel>(std::move(options));
}

} // namespace aiops::tools
