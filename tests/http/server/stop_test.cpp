#include "tests/http/fixture.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <thread>

using namespace aiops;
using namespace aiops::test;
using namespace std::literals;

namespace {

using clock = std::chrono::steady_clock;

const auto alive = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"s;

} // namespace

TEST_CASE("a stop closes idle connections at once") {
  gateway gw;
  std::vector<raw_client> idle;
  for (auto i = 0; i < 100; ++i) {
    idle.push_back(gw.connect());
    CHECK(idle.back().ask(alive).status == 200);
  }
  auto start = clock::now();
  gw.server().stop(5s);
  CHECK(clock::now() - start < 1s);
  for (auto& client : idle)
    CHECK(client.closed_within(1s));
  CHECK(gw.connect().ask(alive).status == 0);
}

TEST_CASE("a stop completes requests that are being processed") {
  gateway gw;
  gw.script([](auto& x) { x.counts = make_snapshot(cluster_counts{}); });
  auto client = gw.connect();
  client.send("POST /ModelTraining/model/train HTTP/1.1\r\n"
              "Content-Length: 2\r\n\r\n{");
  auto other = gw.connect();
  CHECK(other.ask(alive).status == 200);
  std::thread stopper{[&] { gw.server().stop(5s); }};
  CHECK(other.closed_within(4s));
  auto got = client.ask("}");
  CHECK(got.status == 200);
  CHECK(got.header("connection") == "close");
  stopper.join();
}

TEST_CASE("a stop cancels requests at its deadline") {
  gateway gw;
  gw.script([](auto& x) { x.mute = true; });
  std::vector<raw_client> waiting;
  for (auto i = 0; i < 4; ++i) {
    waiting.push_back(gw.connect());
    waiting.back().send("GET /ModelTraining/model/status HTTP/1.1\r\n\r\n");
  }
  CHECK(eventually(
    [&] { return gw.script([](auto& x) { return x.asked; }) == 4; }));
  auto slow = gw.connect();
  slow.send("GET /liv");
  auto start = clock::now();
  gw.server().stop(500ms);
  CHECK(clock::now() - start < 1500ms);
  // The cancelled requests are answered.
  for (auto& client : waiting)
    CHECK(client.receive().status == 503);
}

TEST_CASE("a stop under load ends in time") {
  gateway gw;
  std::vector<raw_client> idle;
  for (auto i = 0; i < 50; ++i)
    idle.push_back(gw.connect());
  std::atomic<bool> done{false};
  std::atomic<int> served{0};
  std::vector<std::thread> load;
  for (auto i = 0; i < 4; ++i)
    load.emplace_back([&] {
      auto client = gw.connect();
      while (
        !done
        && client.ask("GET /ModelTraining/gpu_info HTTP/1.1\r\n\r\n").status
             == 200)
        ++served;
    });
  CHECK(eventually([&] { return served > 100; }));
  auto start = clock::now();
  gw.server().stop(1500ms);
  CHECK(clock::now() - start < 2s);
  done = true;
  for (auto& thread : load)
    thread.join();
}

TEST_CASE("stop may be called at any time and repeatedly") {
  gateway gw;
  gw.server().stop(0ms);
  gw.server().stop(1s);
  http_config config;
  config.port = 0;
  auto handlers = route_handlers({&gw.system(), &gw.actors()}, config);
  http_server never_bound{config, handlers};
  never_bound.stop(1s);
  http_server never_started{config, handlers};
  CHECK(never_started.bind());
}
