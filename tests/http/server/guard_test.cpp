#include "tests/http/fixture.hpp"

#include <doctest/doctest.h>

using namespace aiops;
using namespace aiops::test;
using namespace std::literals;

namespace {

const auto train = "/ModelTraining/model/train"s;

/// How often `part` occurs in a text.
size_t count(const std::string& text, std::string_view part) {
  size_t result = 0;
  for (auto i = text.find(part); i != std::string::npos;
       i = text.find(part, i + 1))
    ++result;
  return result;
}

/// Sends bytes that contain a smuggled request. There must be one answer with
/// this status, the connection must close, and the smuggled request must not
/// run.
void check_refused(const std::string& bytes, int status) {
  CAPTURE(bytes);
  gateway gw;
  auto client = gw.connect();
  client.send(bytes);
  auto got = client.receive_all();
  CHECK(got.starts_with("HTTP/1.1 " + std::to_string(status)));
  CHECK(count(got, "X-Request-Id") == 1);
  CHECK(count(got, "Connection: close") == 1);
  CHECK(gw.script([](auto& x) { return x.asked; }) == 0);
}

const auto smuggled
  = "GET /ModelTraining/model/status HTTP/1.1\r\nHost: x\r\n\r\n"s;

} // namespace

TEST_CASE("conflicting body lengths are refused") {
  auto head = "POST " + train + " HTTP/1.1\r\nHost: x\r\n";
  check_refused(head
                  + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
                    "0\r\n\r\n"
                  + smuggled,
                400);
  check_refused(head
                  + "Transfer-Encoding: gzip, chunked\r\n"
                    "Content-Length: 5\r\n\r\n0\r\n\r\n"
                  + smuggled,
                400);
  check_refused(
    head + "Content-Length: 2\r\nContent-Length: 60\r\n\r\n{}" + smuggled, 400);
  check_refused(head + "Content-Length : 2\r\n\r\n{}" + smuggled, 400);
  check_refused(head + "Content-Length: 2\n\r\n{}" + smuggled, 400);
}

TEST_CASE("chunked bodies are refused") {
  check_refused("POST " + train
                  + " HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
                    "2\r\n{}\r\n0\r\n\r\n"
                  + smuggled,
                411);
  check_refused("GET " + train
                  + " HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
                  + smuggled,
                411);
}

TEST_CASE("a body without a length is refused") {
  check_refused("POST " + train + " HTTP/1.1\r\nHost: x\r\n\r\n" + smuggled,
                411);
  check_refused("PUT /ModelTraining/model/statistics HTTP/1.1\r\n\r\n", 411);
}

TEST_CASE("encoded bodies are refused") {
  check_refused("POST " + train
                  + " HTTP/1.1\r\nContent-Encoding: gzip\r\n"
                    "Content-Length: 2\r\n\r\n{}"
                  + smuggled,
                415);
}

TEST_CASE("the late body of a GET is not taken for a request") {
  gateway gw;
  auto client = gw.connect();
  client.send("GET /livez HTTP/1.1\r\nContent-Length: "
              + std::to_string(smuggled.size()) + "\r\n\r\n");
  // The request is served after the body has arrived.
  client.send(smuggled);
  CHECK(client.receive().status == 200);
  auto got = client.ask("GET /ModelTraining/gpu_info HTTP/1.1\r\n\r\n");
  CHECK(got.body.find("nvidia") != std::string::npos);
  CHECK(gw.script([](auto& x) { return x.asked; }) == 1);
}

TEST_CASE("the body of a request that fails is not taken for a request") {
  gateway gw;
  auto client = gw.connect();
  auto got = client.ask("POST /nothing HTTP/1.1\r\nContent-Length: "
                        + std::to_string(smuggled.size()) + "\r\n\r\n"
                        + smuggled);
  CHECK(got.status == 404);
  CHECK(client.ask("GET /livez HTTP/1.1\r\n\r\n").status == 200);
  CHECK(gw.script([](auto& x) { return x.asked; }) == 0);
}

TEST_CASE("a body that is too large is refused before it is sent") {
  gateway gw{[](auto& config) { config.max_body = 1000; }};
  auto client = gw.connect();
  client.send("POST " + train + " HTTP/1.1\r\nContent-Length: 1001\r\n\r\n");
  auto got = client.receive();
  CHECK(got.status == 413);
  CHECK(got.header("connection") == "close");
  CHECK(got.body.find(R"("code":8)") != std::string::npos);
}

TEST_CASE("a client that sends a body that is too large gets the answer") {
  gateway gw;
  auto client = gw.connect();
  std::string body(3 * 1024 * 1024, ' ');
  client.send("POST " + train + " HTTP/1.1\r\nContent-Length: "
              + std::to_string(body.size()) + "\r\n\r\n" + body);
  CHECK(client.receive().status == 413);
}

TEST_CASE("a body of the maximum size is accepted") {
  gateway gw;
  std::string body = "{}";
  body.resize(1024 * 1024, ' ');
  CHECK(gw.ask("POST", train, body).status == 200);
  CHECK(gw.ask("POST", train, body + " ").status == 413);
}

TEST_CASE("100 Continue is sent only if the body will be accepted") {
  gateway gw;
  auto client = gw.connect();
  client.send("POST " + train
              + " HTTP/1.1\r\nContent-Length: 2\r\n"
                "Expect: 100-continue\r\n\r\n");
  CHECK(client.receive().status == 100);
  CHECK(client.ask("{}").status == 200);
  // It is not sent if the body has arrived already.
  client.send("POST " + train
              + " HTTP/1.1\r\nContent-Length: 2\r\n"
                "Expect: 100-continue\r\n\r\n{}");
  CHECK(client.receive().status == 200);
  client.send("POST " + train
              + " HTTP/1.1\r\nContent-Length: 9999999\r\n"
                "Expect: 100-continue\r\n\r\n");
  CHECK(client.receive().status == 413);
  check_refused("POST " + train
                  + " HTTP/1.1\r\nContent-Length: 2\r\nExpect: tea\r\n\r\n",
                417);
}

TEST_CASE("heads without an end are refused") {
  gateway gw;
  for (auto chunk : {"A: "s + std::string(4000, 'x') + "\r\n", "A: b\r\n"s}) {
    auto client = gw.connect();
    client.send("GET /livez HTTP/1.1\r\n");
    for (size_t sent = 0; sent < 40'000 && client.send(chunk);)
      sent += chunk.size();
    CHECK(client.receive().status == 431);
  }
  auto client = gw.connect();
  client.send(std::string(9000, 'x'));
  CHECK(client.receive().status == 414);
  CHECK(gw.get("/" + std::string(9000, 'x')).status == 414);
}

TEST_CASE("anything but HTTP/1 is refused") {
  check_refused("nonsense\r\n\r\n", 400);
  check_refused("GET /livez HTTP/1.1\n\n", 400);
  check_refused("GET /livez HTTP/3.0\r\n\r\n", 505);
  check_refused("BREW /livez HTTP/1.1\r\n\r\n", 501);
}

TEST_CASE("an empty line before a request is skipped") {
  gateway gw;
  auto client = gw.connect();
  CHECK(client.ask("\r\nGET /livez HTTP/1.1\r\n\r\n").status == 200);
}

TEST_CASE("headers named like CGI variables have no effect") {
  gateway gw;
  CHECK(gw.ask("GET", "/livez", {}, "REMOTE_ADDR: 6.6.6.6\r\n").status == 200);
}
