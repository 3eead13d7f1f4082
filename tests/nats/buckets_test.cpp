#include "nats/buckets.hpp"

#include "tests/nats/fake_kv_store.hpp"
#include "tests/support/deterministic.hpp"

#include <doctest/doctest.h>

using namespace aiops;
using namespace aiops::nats;
using namespace aiops::test;

namespace {

using names = std::vector<std::string>;

/// A bus that only accepts subscriptions.
bus_actor::behavior_type quiet_bus(bus_actor::pointer, int) {
  return {
    [](request_atom, const bus_request&) -> caf::result<bus_reply> {
      return make_error(ec::no_responders, "fake");
    },
    [](subscribe_atom, const std::string&, const bus_sink_actor&) { /* nop */ },
    [](subscribe_atom, const std::string&, const std::string&,
       const bus_sink_actor&) { /* nop */ },
    [](put_atom, const bus_message&) { /* nop */ },
    [](subscribe_atom, const bus_listener_actor&) { /* nop */ },
    [](status_atom) { return bus_status{}; },
  };
}

struct fixture : deterministic {
  kv_memory_ptr memory = std::make_shared<kv_memory>();
  buckets_actor aut;

  fixture() {
    buckets_config cfg;
    cfg.names = {"a", "b"};
    aut = spawn(buckets, bus_actor{spawn(quiet_bus, 0)},
                spawn(fake_kv_store, memory), cfg);
    run();
  }

  /// @param number of the connection; 0 for none.
  void connect(int64_t number) {
    bus_status status;
    status.connected = number > 0;
    status.connects = number;
    ask(aut, update_atom_v, status);
  }
};

} // namespace

TEST_CASE_FIXTURE(fixture, "buckets are created when there is a connection") {
  connect(0);
  CHECK(memory->checked.empty());
  connect(1);
  CHECK(memory->checked == names{"a", "b"});
  // The same status again changes nothing.
  connect(1);
  advance(1h);
  CHECK(memory->checked.size() == 2);
}

TEST_CASE_FIXTURE(fixture, "buckets are checked again on each connection") {
  connect(1);
  connect(0);
  connect(2);
  CHECK(memory->checked == names{"a", "b", "a", "b"});
}

TEST_CASE_FIXTURE(fixture, "failed checks are repeated with growing delays") {
  memory->down = make_error(ec::timeout, "slow");
  connect(1);
  CHECK(memory->checked == names{"a"});
  advance(1s);
  CHECK(memory->checked.size() == 2);
  advance(1s);
  CHECK(memory->checked.size() == 2);
  advance(1s);
  CHECK(memory->checked.size() == 3);
  SUBCASE("until it succeeds") {
    memory->down = caf::error{};
    advance(4s);
    CHECK(memory->checked == names{"a", "a", "a", "a", "b"});
    advance(1h);
    CHECK(memory->checked.size() == 5);
  }
  SUBCASE("but not without a connection") {
    connect(0);
    advance(1h);
    CHECK(memory->checked.size() == 3);
  }
  SUBCASE("at least every 30 s") {
    advance(10min);
    auto before = memory->checked.size();
    advance(30s);
    CHECK(memory->checked.size() == before + 1);
  }
}
