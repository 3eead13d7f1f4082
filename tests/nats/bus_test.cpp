#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include "nats/bus.hpp"
#include "tests/support/deterministic.hpp"

#include <doctest/doctest.h>

using namespace aiops;
using namespace aiops::test;

namespace {

using statuses = std::shared_ptr<std::vector<bus_status>>;

bus_listener_actor::behavior_type bus_listener(bus_listener_actor::pointer,
                                               statuses seen) {
  return {
    [seen](update_atom, const bus_status& x) { seen->push_back(x); },
  };
}

/// The bus without a server: attempts to connect end as the test says.
struct fixture : deterministic {
  struct attempt {
    uint64_t number;
    std::shared_ptr<connection_bridge> bridge;
    caf::actor_clock::time_point at;
  };

  fixture() {
    bus_config cfg;
    cfg.nats.urls = {"nats://127.0.0.1:1"};
    cfg.open = [this](nats_config, uint64_t number,
                      std::shared_ptr<connection_bridge> bridge) {
      attempts.push_back({number, std::move(bridge), now()});
    };
    cfg.give_up = [this](std::string why) { reason = std::move(why); };
    handle = spawn(bus, std::move(cfg));
    run();
  }

  /// Lets the latest attempt end without a connection.
  void refuse(const std::string& why = "refused") {
    auto last = attempts.back();
    last.bridge->call(
      [&](auto& listener) { listener.on_connect(last.number, nullptr, why); });
    run();
  }

  std::vector<attempt> attempts;
  std::string reason;
  bus_actor handle;
};

} // namespace

TEST_CASE_FIXTURE(fixture, "the bus tries for ever, ever less often") {
  REQUIRE(attempts.size() == 1);
  std::vector<caf::timespan> waits;
  for (auto i = 0; i < 12; ++i) {
    auto before = now();
    refuse();
    advance(7s);
    REQUIRE(attempts.size() == static_cast<size_t>(i) + 2);
    waits.push_back(attempts.back().at - before);
  }
  // 50 ms first, at most 5 s, give or take a quarter.
  CHECK(waits.front() >= 37ms);
  CHECK(waits.front() <= 63ms);
  CHECK(waits.back() >= 3'750ms);
  CHECK(waits.back() <= 6'250ms);
}

TEST_CASE_FIXTURE(fixture, "requests without a connection fail at once") {
  auto answer = ask(handle, request_atom_v, bus_request{"subject", "", {}, 5s});
  CHECK(answer->code() == ec::disconnected);
  refuse("no route to host");
  auto status = ask(handle, status_atom_v);
  REQUIRE(status->value);
  CHECK(!status->value->connected);
  CHECK(status->value->reason == "no route to host");
}

TEST_CASE_FIXTURE(fixture, "an attempt that hangs is abandoned") {
  advance(15s);
  auto hanging = attempts.front();
  advance(1s);
  REQUIRE(attempts.size() == 2);
  SUBCASE("and may end late") {
    hanging.bridge->call([&](auto& listener) {
      listener.on_connect(hanging.number, nullptr, "at last");
    });
    refuse();
    advance(59s);
    CHECK(reason.empty());
  }
  SUBCASE("but not hang for ever") {
    refuse();
    advance(60s);
    CHECK(reason == "an attempt to connect to NATS hangs inside the library");
  }
}

TEST_CASE_FIXTURE(fixture, "messages without a connection are refused") {
  auto answer = ask(handle, put_atom_v, bus_message{"subject", "x", {}});
  CHECK(answer->code() == ec::disconnected);
}

TEST_CASE_FIXTURE(fixture, "listeners hear why there is no connection, once") {
  auto seen = std::make_shared<std::vector<bus_status>>();
  auto listener = bus_listener_actor{spawn(bus_listener, seen)};
  ask(handle, subscribe_atom_v, listener);
  REQUIRE(seen->size() == 1);
  CHECK(!seen->back().connected);
  CHECK(seen->back().reason == "not connected yet");
  refuse("no route to host");
  REQUIRE(seen->size() == 2);
  CHECK(seen->back().reason == "no route to host");
  advance(1s);
  refuse("no route to host");
  CHECK(seen->size() == 2);
  advance(1s);
  refuse("another reason");
  CHECK(seen->size() == 3);
  kill(listener);
  advance(10s);
  refuse("yet another");
  CHECK(seen->size() == 3);
}
