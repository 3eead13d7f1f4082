#include "http/server/request_processor.hpp"

#include "base/log.hpp"
#include "http/server/negotiation.hpp"
#include "http/server/response_head.hpp"

namespace aiops::http {

using std::chrono::steady_clock;

struct request_processor::access {
  std::string_view method;
  std::string_view path;
  const peer_address& peer;
  std::string_view request_id;
  const http_response& answer;
  steady_clock::time_point start;
};

request_processor::request_processor(const http_config& config,
                                     std::unique_ptr<request_handler> handler)
  : keep_alive_(std::chrono::duration_cast<std::chrono::seconds>(
    config.keep_alive_timeout)),
    handler_(std::move(handler)) {
  // nop
}

std::shared_ptr<event_slot> request_processor::process(const request_head& head,
                                                       std::string_view body,
                                                       const peer_address& peer,
                                                       bool close,
                                                       std::string& out) {
  auto start = steady_clock::now();
  auto id = head.request_id.empty() ? next_request_id() : head.request_id;
  auto result = answer(head, body);
  auto without_body = head.method == "HEAD";
  auto streams = result.slot && !without_body;
  auto keep_alive = close || streams ? std::nullopt
                                     : std::optional{keep_alive_};
  append_head(out, result, id, keep_alive);
  if (!without_body)
    out += result.body;
  log_access({head.method, head.path(), peer, id, result, start});
  return streams ? std::move(result.slot) : nullptr;
}

void request_processor::refuse(const refusal& reason, const peer_address& peer,
                               std::string& out) {
  auto id = next_request_id();
  auto result = handler_->error(reason.target, reason.status, reason.text);
  result.detail = reason.text;
  append_head(out, result, id, std::nullopt);
  out += result.body;
  log_access({"-", reason.target, peer, id, result, steady_clock::now()});
}

void request_processor::cancel() {
  handler_->cancel();
}

http_response request_processor::answer(const request_head& head,
                                        std::string_view body) {
  http_request req;
  req.method = head.method;
  req.path = head.path();
  req.body = body;
  req.query = head.query();
  req.if_none_match = head.if_none_match;
  req.last_event_id = head.last_event_id;
  req.accepts_gzip = accepts_gzip(head.accept_encoding);
  std::string problem = "unknown exception";
  try {
    return handler_->answer(std::move(req));
  } catch (const std::exception& ex) {
    problem = ex.what();
  } catch (...) {
    // The text is set.
  }
  // The client must not see the text of an exception.
  auto result = handler_->error(head.target, 500, "internal error");
  result.detail = "internal: " + problem;
  return result;
}

std::string request_processor::next_request_id() {
  static constexpr std::string_view digits = "0123456789abcdef";
  std::string result(16, '0');
  auto bits = random_();
  for (auto& c : result) {
    c = digits[bits & 15];
    bits >>= 4;
  }
  return result;
}

void request_processor::log_access(const access& x) {
  auto status = x.answer.status;
  auto changes = x.method == "POST" || x.method == "PUT"
                 || x.method == "DELETE";
  // 501 and 505 are errors of the client. 503 is not a warning: an outage is
  // logged where it is found, and one line per refused request would hide that.
  auto fault = status == 500 || status == 502 || status == 504;
  auto level = fault     ? log::level::warning
               : changes ? log::level::info
                         : log::level::debug;
  if (!log::enabled(level))
    return;
  auto took = steady_clock::now() - x.start;
  log::fields more{{"method", x.method},      {"path", x.path},
                   {"status", status},        {"ms", took / milliseconds{1}},
                   {"request", x.request_id}, {"client", x.peer.ip}};
  if (!x.answer.detail.empty())
    more.emplace_back("reason", x.answer.detail);
  log::write(level, "http", "answered a request", more);
}

} // namespace aiops::http
