#include "http/server/request_processor.hpp"

#include "http/error_response.hpp"

#include <doctest/doctest.h>

#include <stdexcept>

using namespace aiops;
using namespace aiops::http;
using namespace std::literals;

namespace {

const peer_address peer{"127.0.0.1", 1};

/// Answers with the result of a function.
class fake_handler : public request_handler {
public:
  using function = http_response (*)();

  explicit fake_handler(function fun) : fun_(fun) {
    // nop
  }

  http_response answer(http_request) override {
    return fun_();
  }

  http_response error(std::string_view target, int status,
                      std::string_view text) override {
    return error_response(dialect_of(target), status, text);
  }

  void cancel() override {
    // nop
  }

private:
  function fun_;
};

http_response throw_exception() {
  throw std::runtime_error("secret");
}

http_response throw_integer() {
  throw 42;
}

request_processor processor_of(fake_handler::function answer) {
  return {http_config{}, std::make_unique<fake_handler>(answer)};
}

request_head head_of(const std::string& text) {
  return std::get<request_head>(parse_head(text, 0));
}

} // namespace

TEST_CASE("an exception is 500 and its text is not sent") {
  for (auto fun : {throw_exception, throw_integer}) {
    auto processor = processor_of(fun);
    for (auto& [target, type] :
         {std::pair{"/livez"s, json_type},
          std::pair{"/api/v1/clusters?x=1"s, problem_type}}) {
      CAPTURE(target);
      std::string out;
      processor.process(head_of("GET " + target + " HTTP/1.1\r\n\r\n"), {},
                        peer, false, out);
      CHECK(out.starts_with("HTTP/1.1 500 Internal Server Error\r\n"));
      CHECK(out.find("\r\nContent-Type: " + std::string{type} + "\r\n")
            != std::string::npos);
      CHECK(out.find("internal error") != std::string::npos);
      CHECK(out.find("secret") == std::string::npos);
      CHECK(out.find("EXCEPTION") == std::string::npos);
    }
  }
}

TEST_CASE("an answer is appended with its head") {
  auto processor = processor_of([] {
    http_response result;
    result.body = "{}";
    result.headers.emplace_back("ETag", "\"x\"");
    return result;
  });
  auto head = head_of("GET / HTTP/1.1\r\nX-Request-Id: id\r\n\r\n");
  std::string out = "before";
  CHECK(!processor.process(head, {}, peer, false, out));
  CHECK(out
        == "beforeHTTP/1.1 200 OK\r\nKeep-Alive: timeout=60\r\n"
           "Content-Type: application/json; charset=utf-8\r\n"
           "Content-Length: 2\r\nETag: \"x\"\r\nX-Request-Id: id\r\n\r\n{}");
  head.method = "HEAD";
  out.clear();
  processor.process(head, {}, peer, true, out);
  CHECK(out
        == "HTTP/1.1 200 OK\r\nConnection: close\r\n"
           "Content-Type: application/json; charset=utf-8\r\n"
           "Content-Length: 2\r\nETag: \"x\"\r\nX-Request-Id: id\r\n\r\n");
}

TEST_CASE("a refusal closes the connection") {
  auto processor = processor_of(throw_exception);
  std::string out;
  processor.refuse({413, "too large", "/ModelTraining/model/train"}, peer, out);
  CHECK(out.starts_with("HTTP/1.1 413 Content Too Large\r\n"
                        "Connection: close\r\n"));
  CHECK(out.ends_with(R"({"code":8,"message":"too large","details":[]})"));
}
