#include "tests/http/fixture.hpp"

#include <doctest/doctest.h>

using namespace aiops;
using namespace aiops::test;
using namespace std::literals;

namespace {

using clock = std::chrono::steady_clock;

const auto alive = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"s;

/// The counts of a cluster, megabytes when encoded.
snapshot_ptr<cluster_counts> large_counts() {
  breakdown_builder builder;
  for (auto i = 0; i < 150'000; ++i)
    builder.add("c", "n", "deployment-" + std::to_string(1'000'000 + i), i);
  return builder.finish()->clusters.at("c");
}

handler_factory handlers(gateway& gw, const http_config& config) {
  return route_handlers({&gw.system(), &gw.actors()}, config);
}

} // namespace

TEST_CASE("a connection serves one request after another") {
  gateway gw;
  auto client = gw.connect();
  for (auto i = 0; i < 100; ++i) {
    auto got = client.ask(alive);
    CHECK(got.status == 200);
    CHECK(got.header("keep-alive").starts_with("timeout="));
  }
}

TEST_CASE("pipelined requests are answered in order") {
  gateway gw;
  auto client = gw.connect();
  std::string requests;
  for (auto i = 0; i < 50; ++i)
    requests += "GET /livez HTTP/1.1\r\nX-Request-Id: r" + std::to_string(i)
                + "\r\nContent-Length: 3\r\n\r\nabc";
  client.send(requests);
  for (auto i = 0; i < 50; ++i)
    CHECK(client.receive().header("x-request-id") == "r" + std::to_string(i));
}

TEST_CASE("a request may arrive byte by byte") {
  gateway gw;
  auto client = gw.connect();
  for (auto c : "POST /ModelTraining/model/train HTTP/1.1\r\n"
                "Content-Length: 2\r\n\r\n{}"s)
    client.send({&c, 1});
  CHECK(client.receive().status == 200);
}

TEST_CASE("Connection: close is honoured") {
  gateway gw;
  for (auto request : {"GET /livez HTTP/1.1\r\nConnection: close\r\n\r\n",
                       "GET /livez HTTP/1.1\r\nConnection: Close\r\n\r\n",
                       "GET /livez HTTP/1.0\r\n\r\n"}) {
    auto client = gw.connect();
    client.send(request);
    auto got = client.receive();
    CHECK(got.status == 200);
    CHECK(got.header("connection") == "close");
    CHECK(client.closed_within(5s));
  }
}

TEST_CASE("idle and slow clients occupy no worker") {
  gateway gw{[](auto& config) { config.workers = 2; }};
  std::vector<raw_client> idle;
  for (auto i = 0; i < 200; ++i) {
    idle.push_back(gw.connect());
    if (i % 4 == 1)
      idle.back().send("GET /livez HT");
    if (i % 4 == 2)
      idle.back().send("POST /ModelTraining/model/train HTTP/1.1\r\n"
                       "Content-Length: 100\r\n\r\n{");
    if (i % 4 == 3)
      CHECK(idle.back().ask(alive).status == 200);
  }
  auto start = clock::now();
  for (auto i = 0; i < 20; ++i)
    CHECK(gw.get("/livez").status == 200);
  CHECK(clock::now() - start < 2s);
  // They are served when they continue.
  CHECK(idle[1].ask("TP/1.1\r\n\r\n").status == 200);
  CHECK(idle[3].ask(alive).status == 200);
}

TEST_CASE("a slow request is cut off although single bytes keep arriving") {
  gateway gw{[](auto& config) { config.client_timeout = 300ms; }};
  auto client = gw.connect();
  auto start = clock::now();
  while (client.send("x") && clock::now() - start < 10s)
    if (client.closed_within(20ms))
      break;
  auto took = clock::now() - start;
  CHECK(took > 200ms);
  CHECK(took < 5s);
}

TEST_CASE("an idle connection is closed after the keep-alive timeout") {
  gateway gw{[](auto& config) { config.keep_alive_timeout = 300ms; }};
  auto client = gw.connect();
  CHECK(client.ask(alive).status == 200);
  auto start = clock::now();
  CHECK(client.closed_within(5s));
  CHECK(clock::now() - start > 200ms);
}

TEST_CASE("a slow reader gets the complete answer and delays no other client") {
  gateway gw{[](auto& config) { config.workers = 2; }};
  gw.script([](auto& x) { x.counts = large_counts(); });
  std::vector<raw_client> readers;
  for (auto i = 0; i < 4; ++i) {
    readers.push_back(gw.connect(4096));
    readers.back().send(
      "GET /ModelTraining/workload_aggregation/c HTTP/1.1\r\n\r\n" + alive);
  }
  CHECK(eventually(
    [&] { return gw.script([](auto& x) { return x.asked; }) == 4; }));
  CHECK(gw.get("/livez").status == 200);
  for (auto& reader : readers) {
    auto got = reader.receive();
    CHECK(got.status == 200);
    CHECK(got.body.size() > 10'000'000);
    CHECK(got.body.ends_with(R"("logCount":"149999"}]})"));
    CHECK(reader.receive().status == 200);
  }
}

TEST_CASE("a client that does not read is cut off") {
  gateway gw{[](auto& config) { config.client_timeout = 300ms; }};
  gw.script([](auto& x) { x.counts = large_counts(); });
  auto client = gw.connect(4096);
  client.send("GET /ModelTraining/workload_aggregation/c HTTP/1.1\r\n\r\n");
  CHECK(eventually(
    [&] { return gw.script([](auto& x) { return x.asked; }) == 1; }));
  // Sending fails when the server has closed the connection.
  CHECK(eventually([&] { return !client.send("\r\n"); }));
}

TEST_CASE("connections above the limit get 503") {
  gateway gw{[](auto& config) { config.max_connections = 3; }};
  std::vector<raw_client> clients;
  for (auto i = 0; i < 3; ++i) {
    clients.push_back(gw.connect());
    CHECK(clients.back().ask(alive).status == 200);
  }
  {
    auto client = gw.connect();
    client.send(alive);
    auto got = client.receive();
    CHECK(got.status == 503);
    CHECK(got.header("retry-after") == "1");
    CHECK(got.header("connection") == "close");
  }
  CHECK(clients[0].ask(alive).status == 200);
  clients.pop_back();
  CHECK(eventually([&] { return gw.get("/livez").status == 200; }));
}

TEST_CASE("a client that disconnects during a request affects no other") {
  gateway gw;
  for (auto i = 0; i < 50; ++i) {
    gw.connect().send("POST /ModelTraining/model/train HTT");
    gw.connect().send("GET /ModelTraining/gpu_info HTTP/1.1\r\n\r\n");
  }
  CHECK(gw.get("/livez").status == 200);
}

TEST_CASE("a port in use is an error that names the port") {
  gateway gw;
  http_config config;
  config.port = gw.port();
  http_server second{config, handlers(gw, config)};
  auto got = second.bind();
  REQUIRE(!got);
  CHECK(text_of(got.error()).find(std::to_string(gw.port()))
        != std::string::npos);
}

TEST_CASE("host names and IPv6 addresses can be listened on") {
  gateway gw;
  for (auto host : {"localhost", "127.0.0.1", "::1"}) {
    http_config config;
    config.host = host;
    config.port = 0;
    http_server other{config, handlers(gw, config)};
    auto port = other.bind();
    if (!port && host == "::1"s)
      continue; // A machine without IPv6.
    REQUIRE(port);
    CHECK(*port != 0);
    auto literal = host == "::1"s ? "[::1]"s : std::string{host};
    CHECK(other.address() == literal + ":" + std::to_string(*port));
  }
  http_config config;
  config.host = "no such host";
  http_server other{config, handlers(gw, config)};
  CHECK(!other.bind());
}
