#include "http/server/response_head.hpp"

#include "http/server/event_follower.hpp"

#include <doctest/doctest.h>

using namespace aiops::http;
using namespace std::literals;

namespace {

std::string head_of(const http_response& answer,
                    std::optional<std::chrono::seconds> keep_alive = 60s) {
  std::string result;
  append_head(result, answer, "id", keep_alive);
  return result;
}

http_response status(int code) {
  http_response result;
  result.status = code;
  return result;
}

} // namespace

TEST_CASE("a head without a body has the length 0 and no type") {
  CHECK(head_of(status(200))
        == "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=60\r\n"
           "Content-Length: 0\r\nX-Request-Id: id\r\n\r\n");
}

TEST_CASE("204 and 304 have no length") {
  CHECK(head_of(status(204))
        == "HTTP/1.1 204 No Content\r\nKeep-Alive: timeout=60\r\n"
           "X-Request-Id: id\r\n\r\n");
  CHECK(head_of(status(304)).find("Content-Length") == std::string::npos);
}

TEST_CASE("a transient error names a time for the next try") {
  for (auto code : {503, 504})
    CHECK(head_of(status(code)).find("\r\nRetry-After: 1\r\n")
          != std::string::npos);
  for (auto code : {200, 404, 500, 502})
    CHECK(head_of(status(code)).find("Retry-After") == std::string::npos);
}

TEST_CASE("a head has Allow and the further headers") {
  auto answer = status(405);
  answer.allow = "GET, HEAD";
  answer.headers.emplace_back("Cache-Control", "no-store");
  CHECK(head_of(answer, std::nullopt)
        == "HTTP/1.1 405 Method Not Allowed\r\nConnection: close\r\n"
           "Content-Length: 0\r\nAllow: GET, HEAD\r\n"
           "Cache-Control: no-store\r\nX-Request-Id: id\r\n\r\n");
}

TEST_CASE("a stream of events has a type and no length") {
  auto answer = status(200);
  answer.content_type = event_stream_type;
  answer.slot = std::make_shared<event_slot>(
    std::make_shared<std::atomic<size_t>>(1), topic_set{}, "");
  CHECK(head_of(answer, std::nullopt)
        == "HTTP/1.1 200 OK\r\nConnection: close\r\n"
           "Content-Type: text/event-stream\r\nX-Request-Id: id\r\n\r\n");
}

TEST_CASE("every status that is sent has a phrase") {
  for (auto code : {204, 304, 400, 404, 405, 409, 411, 413, 414, 415, 417, 431,
                    500, 501, 502, 503, 504, 505}) {
    CAPTURE(code);
    CHECK(reason_phrase(code) != "Error");
    CHECK(reason_phrase(code) != "OK");
  }
}
