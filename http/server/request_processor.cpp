#include "http/server/request_processor.hpp"

#include "base/log.hpp"
#include "http/error_response.hpp"
#include "http/server/negotiation.hpp"

#include <cstring>
#include <utility>

namespace aiops::http {

class request_processor::memory_stream final : public httplib::Stream {
public:
  memory_stream(std::string_view in, const peer_address& peer, std::string& out)
    : in_(in), peer_(peer), out_(out) {
    // nop
  }

  bool is_readable() const override {
    return !in_.empty();
  }

  bool is_writable() const override {
    return true;
  }

  ssize_t read(char* ptr, size_t size) override {
    auto n = std::min(size, in_.size());
    std::memcpy(ptr, in_.data(), n);
    in_.remove_prefix(n);
    return static_cast<ssize_t>(n);
  }

  ssize_t write(const char* ptr, size_t size) override {
    out_.append(ptr, size);
    return static_cast<ssize_t>(size);
  }

  void get_remote_ip_and_port(std::string& ip, int& port) const override {
    ip = peer_.ip;
    port = peer_.port;
  }

  void get_local_ip_and_port(std::string&, int&) const override {
    // nop
  }

  socket_t socket() const override {
    return 0;
  }

private:
  std::string_view in_;
  const peer_address& peer_;
  std::string& out_;
};

request_processor::request_processor(const http_context& context,
                                     const http_config& config, admission& gate,
                                     dispatcher answer)
  : asker_(*context.system), env_{context, asker_}, gate_(gate),
    answer_(answer) {
  using std::chrono::duration_cast;
  using std::chrono::seconds;
  keep_alive_timeout_sec_
    = duration_cast<seconds>(config.keep_alive_timeout).count();
  keep_alive_max_count_ = 1000;
  set_pre_routing_handler(
    [this](auto&, httplib::Response& res) { return handle(res); });
  set_exception_handler(
    [this](auto&, httplib::Response& res, std::exception_ptr reason) {
      fail(res, reason);
    });
  set_post_routing_handler([](auto&, httplib::Response& res) {
    // Ranges are not served, whatever httplib says.
    res.headers.erase("Accept-Ranges");
    if (res.status == 204 || res.status == 304)
      res.headers.erase("Content-Length");
  });
}

std::shared_ptr<event_seat> request_processor::process(const request_head& head,
                                                       std::string_view body,
                                                       const peer_address& peer,
                                                       bool close,
                                                       std::string& out) {
  head_ = &head;
  body_ = body;
  detail_.clear();
  request_id_ = head.request_id.empty() ? next_request_id() : head.request_id;
  memory_stream stream{head.filtered, peer, out};
  auto closed = false;
  auto start = std::chrono::steady_clock::now();
  auto begin = out.size();
  process_request(stream, close, closed, nullptr);
  log_access(head.method, head.path(), peer, start);
  auto seat = std::exchange(seat_, nullptr);
  if (!seat)
    return nullptr;
  // httplib would tell a length.
  auto follows = head.method != "HEAD";
  out.resize(begin);
  out += stream_head_;
  if (close || follows)
    out += "Connection: close\r\n";
  out += "\r\n";
  return follows ? seat : nullptr;
}

void request_processor::refuse(const refusal& why, const peer_address& peer,
                               std::string& out) {
  request_id_ = next_request_id();
  detail_ = why.text;
  status_ = why.status;
  auto answer = error_response(dialect_of(why.target), why.status, why.grpc,
                               why.text);
  out += "HTTP/1.1 " + std::to_string(why.status) + " ";
  out += reason_phrase(why.status);
  out += "\r\nConnection: close\r\nContent-Type: ";
  out += answer.content_type;
  out += "\r\nContent-Length: " + std::to_string(answer.body.size());
  if (may_pass_later(why.status))
    out += "\r\nRetry-After: 1";
  out += "\r\nX-Request-Id: " + request_id_ + "\r\n\r\n" + answer.body;
  log_access("-", why.target, peer, std::chrono::steady_clock::now());
}

void request_processor::cancel() {
  asker_.cancel();
}

httplib::Server::HandlerResponse
request_processor::handle(httplib::Response& res) {
  http_request req;
  req.method = head_->method;
  req.path = head_->path();
  req.body = body_;
  req.query = head_->query();
  req.if_none_match = head_->if_none_match;
  req.last_event_id = head_->last_event_id;
  req.accepts_gzip = accepts_gzip(head_->accept_encoding);
  fill(res, answer_(std::move(req), env_, gate_));
  return HandlerResponse::Handled;
}

void request_processor::fail(httplib::Response& res,
                             const std::exception_ptr& reason) {
  std::string text = "unknown exception";
  try {
    std::rethrow_exception(reason);
  } catch (const std::exception& ex) {
    text = ex.what();
  } catch (...) {
    // The text says it.
  }
  res.headers.clear();
  fill(res, error_response(dialect_of(head_->path()),
                           make_error(ec::internal, std::move(text))));
}

void request_processor::fill(httplib::Response& res, http_response answer) {
  res.status = status_ = answer.status;
  if (answer.seat)
    stream_head_ = stream_head(answer);
  seat_ = std::move(answer.seat);
  res.body = std::move(answer.body);
  if (!res.body.empty())
    res.headers.emplace("Content-Type", answer.content_type);
  res.headers.emplace("X-Request-Id", request_id_);
  if (!answer.allow.empty())
    res.headers.emplace("Allow", std::move(answer.allow));
  if (may_pass_later(answer.status))
    res.headers.emplace("Retry-After", "1");
  for (auto& [key, value] : answer.headers)
    res.headers.emplace(key, std::move(value));
  detail_ = std::move(answer.detail);
}

std::string request_processor::stream_head(const http_response& answer) const {
  std::string result = "HTTP/1.1 200 OK\r\nContent-Type: ";
  result += answer.content_type;
  result += "\r\nX-Request-Id: " + request_id_ + "\r\n";
  for (auto& [key, value] : answer.headers) {
    result += key;
    result += ": " + value + "\r\n";
  }
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

void request_processor::log_access(
  std::string_view method, std::string_view path, const peer_address& peer,
  std::chrono::steady_clock::time_point start) const {
  auto changes = method == "POST" || method == "PUT" || method == "DELETE";
  // 501 and 505 are the client's fault. An outage has its own words: a line
  // for each 503 would drown them.
  auto fault = status_ == 500 || status_ == 502 || status_ == 504;
  auto lvl = fault     ? log::level::warning
             : changes ? log::level::info
                       : log::level::debug;
  if (!log::enabled(lvl))
    return;
  auto took = std::chrono::steady_clock::now() - start;
  log::fields more{{"method", method},       {"path", path},
                   {"status", status_},      {"ms", took / milliseconds{1}},
                   {"request", request_id_}, {"client", peer.ip}};
  if (!detail_.empty())
    more.emplace_back("reason", detail_);
  log::write(lvl, "http", "answered a request", more);
}

} // namespace aiops::http
