#include "http/server/request_head.hpp"

#include <doctest/doctest.h>

using namespace aiops;
using namespace aiops::http;
using namespace std::literals;

namespace {

constexpr size_t max_body = 1000;

request_head accepted(const std::string& head) {
  CAPTURE(head);
  auto got = parse_head(head, max_body);
  REQUIRE(std::holds_alternative<request_head>(got));
  return std::get<request_head>(got);
}

int refused(const std::string& head) {
  auto got = parse_head(head, max_body);
  auto why = std::get_if<refusal>(&got);
  return why ? why->status : 0;
}

std::string get_with(const std::string& fields) {
  return "GET / HTTP/1.1\r\nHost: x\r\n" + fields + "\r\n";
}

std::string post_with(const std::string& fields) {
  return "POST / HTTP/1.1\r\nHost: x\r\n" + fields + "\r\n";
}

} // namespace

TEST_CASE("the end of a head is found from any point before it") {
  auto text = "GET / HTTP/1.1\r\nA: b\r\n\r\nbody"s;
  auto end = text.find("body");
  CHECK(find_head_end(text, 0) == end);
  CHECK(find_head_end(text, end - 3) == end);
  for (size_t n = 0; n < end; ++n)
    CHECK(!find_head_end(std::string_view{text}.substr(0, n), 0));
}

TEST_CASE("an ordinary request is parsed") {
  auto head = accepted("GET /a%20b?c=d HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(head.method == "GET");
  CHECK(head.target == "/a%20b?c=d");
  CHECK(head.path() == "/a%20b");
  CHECK(head.query() == "c=d");
  CHECK(head.content_length == 0);
  CHECK(head.keep_alive);
  CHECK(!head.expects_continue);
}

TEST_CASE("a target may contain the host") {
  CHECK(accepted("GET http://h:1/a HTTP/1.1\r\n\r\n").target == "/a");
  CHECK(refused("GET http://h HTTP/1.1\r\n\r\n") == 400);
}

TEST_CASE("a GET may have a body") {
  CHECK(accepted(get_with("A: b\r\nContent-Length: 3\r\n")).content_length
        == 3);
}

TEST_CASE("a query begins after the first question mark") {
  auto query_of = [](const std::string& target) {
    auto head = accepted("GET " + target + " HTTP/1.1\r\n\r\n");
    return std::string{head.query()};
  };
  CHECK(query_of("/a") == "");
  CHECK(query_of("/a?") == "");
  CHECK(query_of("/a?b?c=%3f") == "b?c=%3f");
}

TEST_CASE("If-None-Match and Accept-Encoding are kept as they were sent") {
  auto head = accepted(get_with("If-None-Match: W/\"%41\"\r\n"
                                "Accept-Encoding: br\r\n"
                                "accept-encoding:  gzip;q=0.5 \r\n"
                                "if-none-match: \"b\"\r\n"));
  CHECK(head.if_none_match == R"(W/"%41", "b")");
  CHECK(head.accept_encoding == "br, gzip;q=0.5");
}

TEST_CASE("Last-Event-ID is kept as it was sent") {
  CHECK(accepted(get_with("")).last_event_id.empty());
  CHECK(accepted(get_with("last-event-id:  ab%41-7 \r\n")).last_event_id
        == "ab%41-7");
  CHECK(accepted(get_with("Last-Event-ID: a-1\r\nLast-Event-ID: a-2\r\n"))
          .last_event_id
        == "a-2");
}

TEST_CASE("Connection: close is recognized") {
  CHECK(!accepted(get_with("Connection: close\r\n")).keep_alive);
  CHECK(!accepted(get_with("connection: x, CLOSE\r\n")).keep_alive);
  CHECK(accepted(get_with("Connection: keep-alive\r\n")).keep_alive);
  CHECK(!accepted("GET / HTTP/1.0\r\n\r\n").keep_alive);
}

TEST_CASE("malformed heads are refused") {
  for (auto& head : {
         "\r\n\r\n"s,
         "GET\r\n\r\n"s,
         "GET /\r\n\r\n"s,
         "GET  / HTTP/1.1\r\n\r\n"s,
         "GET / x HTTP/1.1\r\n\r\n"s,
         "GET / HTTP/1.1 \r\n\r\n"s,
         " GET / HTTP/1.1\r\n\r\n"s,
         "G(T / HTTP/1.1\r\n\r\n"s,
         "GET x HTTP/1.1\r\n\r\n"s,
         "GET /a#b HTTP/1.1\r\n\r\n"s,
         "GET /\x01 HTTP/1.1\r\n\r\n"s,
         "GET / http/1.1\r\n\r\n"s,
         "GET / HTTP/1.1\n\n"s,
         "GET / HTTP/1.1\r\nA: b\n\r\n"s,
         get_with("no colon\r\n"),
         get_with(": no name\r\n"),
         get_with("A : b\r\n"),
         get_with("A: b\r\n folded\r\n"),
         get_with("A: \x01\r\n"),
         get_with("A: b\rc\r\n"),
         get_with("A: b"s + '\0' + "\r\n"),
       }) {
    CAPTURE(head);
    CHECK(refused(head) == 400);
  }
}

TEST_CASE("other versions and methods are refused with their own status") {
  CHECK(refused("GET / HTTP/2.0\r\n\r\n") == 505);
  CHECK(refused("PRI /x HTTP/2.0\r\n\r\n") == 505);
  CHECK(refused("BREW / HTTP/1.1\r\n\r\n") == 501);
}

TEST_CASE("conflicting or malformed body lengths are refused") {
  for (auto& fields : {
         "Content-Length: 3\r\nContent-Length: 3\r\n"s,
         "Content-Length: 3\r\nContent-Length: 4\r\n"s,
         "Content-Length: 3, 3\r\n"s,
         "Content-Length: +3\r\n"s,
         "Content-Length: -3\r\n"s,
         "Content-Length: 0x3\r\n"s,
         "Content-Length: 3 4\r\n"s,
         "Content-Length:\r\n"s,
         "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"s,
         "Transfer-Encoding: gzip, chunked\r\ncontent-length: 3\r\n"s,
       }) {
    CAPTURE(fields);
    CHECK(refused(post_with(fields)) == 400);
    CHECK(refused(get_with(fields)) == 400);
  }
}

TEST_CASE("a body needs a length") {
  for (auto method : {"POST", "PUT", "PATCH"})
    CHECK(refused(method + " / HTTP/1.1\r\n\r\n"s) == 411);
  CHECK(refused(post_with("Transfer-Encoding: chunked\r\n")) == 411);
  CHECK(refused(get_with("Transfer-Encoding: chunked\r\n")) == 411);
  CHECK(accepted(post_with("Content-Length: 0\r\n")).content_length == 0);
  CHECK(accepted("DELETE / HTTP/1.1\r\n\r\n").content_length == 0);
}

TEST_CASE("a body must not be encoded or too large") {
  CHECK(refused(post_with("Content-Length: 3\r\nContent-Encoding: gzip\r\n"))
        == 415);
  CHECK(accepted(post_with("Content-Length: 1000\r\n")).content_length
        == max_body);
  CHECK(refused(post_with("Content-Length: 1001\r\n")) == 413);
  CHECK(refused(get_with("Content-Length: 1001\r\n")) == 413);
  CHECK(refused(post_with("Content-Length: 18446744073709551617\r\n")) == 413);
  CHECK(refused(post_with("Content-Length: " + std::string(1000, '9') + "\r\n"))
        == 413);
}

TEST_CASE("only the expectation 100-continue is accepted") {
  auto fields = "Content-Length: 3\r\nExpect: 100-Continue\r\n"s;
  CHECK(accepted(post_with(fields)).expects_continue);
  CHECK(refused(post_with("Content-Length: 3\r\nExpect: tea\r\n")) == 417);
  CHECK(!accepted("POST / HTTP/1.0\r\n" + fields + "\r\n").expects_continue);
}

TEST_CASE("a request id is repeated only if it is safe") {
  auto id_of = [](const std::string& value) {
    return accepted(get_with("X-Request-Id: " + value + "\r\n")).request_id;
  };
  CHECK(id_of("aB3._-") == "aB3._-");
  CHECK(id_of(std::string(64, 'x')).size() == 64);
  CHECK(id_of(std::string(65, 'x')).empty());
  CHECK(id_of("a b").empty());
  CHECK(id_of("a%0d%0ab").empty());
  CHECK(id_of("").empty());
}

TEST_CASE("heads have a maximum size") {
  std::string long_line(max_line, 'x');
  CHECK(refused("GET /" + long_line + " HTTP/1.1\r\n\r\n") == 414);
  CHECK(refused(get_with("A: " + long_line + "\r\n")) == 431);
  std::string many;
  for (auto i = 0; i < 101; ++i)
    many += "A: b\r\n";
  CHECK(refused(get_with(many)) == 431);
  std::string large;
  for (auto i = 0; i < 5; ++i)
    large += "A: " + std::string(max_line - 100, 'x') + "\r\n";
  CHECK(refused(get_with(large)) == 431);
}

TEST_CASE("a head that is too large is refused before it is complete") {
  CHECK(!check_partial_head("GET / HT"));
  CHECK(check_partial_head(std::string(max_line, 'x'))->status == 414);
  CHECK(!check_partial_head(std::string(max_line - 1, 'x')));
  CHECK(check_partial_head("GET / HTTP/1.1\r\n" + std::string(max_head, 'x'))
          ->status
        == 431);
}
