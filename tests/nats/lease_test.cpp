#include "nats/lease.hpp"
#include "tests/nats/fake_kv_store.hpp"
#include "tests/support/deterministic.hpp"

#include <doctest/doctest.h>

using namespace aiops;
using namespace aiops::nats;
using namespace aiops::test;

namespace {

using statuses = std::shared_ptr<std::vector<lease_status>>;

lease_listener_actor::behavior_type listener(lease_listener_actor::pointer,
                                             statuses seen) {
  return {
    [seen](update_atom, const lease_status& x) { seen->push_back(x); },
  };
}

struct replica {
  kv_store_actor kv;
  lease_actor handle;
  statuses seen = std::make_shared<std::vector<lease_status>>();

  bool holds(caf::actor_clock::time_point now) const {
    return !seen->empty() && seen->back().held && now < seen->back().until;
  }
};

/// Leases of 10 s.
struct fixture : deterministic {
  ~fixture() {
    memory->listeners.clear();
  }

  replica start(std::string owner) {
    replica result;
    result.kv = spawn(fake_kv_store, memory);
    result.handle = spawn(lease, result.kv,
                          lease_config{"b", "k", std::move(owner), 10s});
    ask(result.handle, subscribe_atom_v,
        lease_listener_actor{spawn(listener, result.seen)});
    return result;
  }

  std::string stored() const {
    return memory->value("b", "k") ? *memory->value("b", "k") : "";
  }

  kv_memory_ptr memory = std::make_shared<kv_memory>();
};

} // namespace

TEST_CASE_FIXTURE(fixture, "a free lease is taken at once") {
  auto a = start("a");
  REQUIRE(a.holds(now()));
  CHECK(a.seen->back().term == 1);
  CHECK(a.seen->back().until == now() + 7500ms);
  CHECK(stored() == R"({"over":0,"owner":"a"})");
  // A later replica waits as long as the lease is renewed.
  auto b = start("b");
  advance(1min);
  CHECK(a.holds(now()));
  CHECK(a.seen->back().term == 1);
  CHECK_FALSE(b.holds(now()));
}

TEST_CASE_FIXTURE(fixture, "no two writes of a holder are equal") {
  auto a = start("a");
  auto first = stored();
  advance(2500ms);
  CHECK(a.holds(now()));
  CHECK(stored() != first);
}

TEST_CASE_FIXTURE(fixture, "one of two concurrent replicas gets the lease") {
  memory->refuse = [n = 0](const kv_write&) mutable -> caf::error {
    return n++ < 2 ? make_error(ec::timeout, "later") : caf::error{};
  };
  auto a = start("a");
  auto b = start("b");
  advance(30s);
  CHECK(a.holds(now()) != b.holds(now()));
}

TEST_CASE_FIXTURE(fixture,
                  "the lease of a dead holder is taken within two durations") {
  auto a = start("a");
  auto b = start("b");
  advance(9s);
  auto old_until = a.seen->back().until;
  kill(a.handle);
  auto died = now();
  while (!b.holds(now()) && now() < died + 1h)
    advance(10ms);
  CHECK(now() >= old_until);
  CHECK(now() <= died + 12500ms + 10ms);
  CHECK(b.seen->back().term > 1);
  CHECK(stored().ends_with(R"("owner":"b"})"));
}

TEST_CASE_FIXTURE(fixture, "a holder that cannot renew stops before another "
                           "starts") {
  auto a = start("a");
  auto b = start("b");
  advance(9s);
  // Only the holder has no connection.
  memory->refuse = [](const kv_write& x) -> caf::error {
    return x.value.find("\"a\"") != std::string::npos
             ? make_error(ec::disconnected, "cut")
             : caf::error{};
  };
  auto overlap = false;
  for (auto i = 0; i < 3000 && !b.holds(now()); ++i) {
    advance(10ms);
    overlap = overlap || (a.holds(now()) && b.holds(now()));
  }
  CHECK(b.holds(now()));
  CHECK_FALSE(overlap);
  CHECK_FALSE(a.seen->back().held);
  // It does not get the lease again while the other replica renews it.
  memory->refuse = nullptr;
  advance(1min);
  CHECK(b.holds(now()));
  CHECK_FALSE(a.holds(now()));
}

TEST_CASE_FIXTURE(fixture, "a renewal without an answer is found") {
  auto a = start("a");
  memory->lose_answer = [n = 0](const kv_write&) mutable -> caf::error {
    return n++ == 0 ? make_error(ec::timeout, "lost") : caf::error{};
  };
  for (auto i = 0; i < 3000; ++i) {
    advance(10ms);
    CHECK(a.holds(now()));
  }
  CHECK(a.seen->back().term == 1);
}

TEST_CASE_FIXTURE(fixture, "a lease that another replica has is lost at once") {
  auto a = start("a");
  memory->store({"b", "k", R"({"owner":"x"})", {}});
  advance(2500ms);
  CHECK_FALSE(a.seen->back().held);
  CHECK(a.seen->back().term == 0);
}

TEST_CASE_FIXTURE(
  fixture, "an outage ends the lease, and it is taken again afterwards") {
  auto a = start("a");
  auto term = a.seen->back().term;
  memory->down = make_error(ec::disconnected, "down");
  advance(7500ms);
  CHECK_FALSE(a.holds(now()));
  advance(1min);
  CHECK_FALSE(a.seen->back().held);
  memory->down = {};
  advance(2500ms);
  CHECK(a.holds(now()));
  CHECK(a.seen->back().term > term);
}

TEST_CASE_FIXTURE(fixture, "a holder that ends regularly frees the lease") {
  auto a = start("a");
  auto b = start("b");
  advance(3s);
  caf::anon_send_exit(a.handle, caf::exit_reason::user_shutdown);
  run();
  CHECK(stored().ends_with(R"("owner":"a","released":true})"));
  CHECK_FALSE(a.seen->back().held);
  advance(2500ms);
  CHECK(b.holds(now()));
}

TEST_CASE_FIXTURE(
  fixture, "a holder that ends regularly does not wait for a dead store") {
  auto a = start("a");
  kill(a.kv);
  caf::anon_send_exit(a.handle, caf::exit_reason::user_shutdown);
  advance(2500ms);
  auto still = ask(a.handle, subscribe_atom_v, lease_listener_actor{});
  CHECK(still->error);
}

TEST_CASE_FIXTURE(fixture,
                  "a lease of an earlier run of the same replica is renewed") {
  memory->store({"b", "k", R"({"owner":"a"})", {}});
  auto a = start("a");
  CHECK(a.holds(now()));
  CHECK(a.seen->back().term == 2);
}

TEST_CASE_FIXTURE(fixture, "an unreadable value counts as a lease") {
  memory->store({"b", "k", "rubbish", {}});
  auto a = start("a");
  advance(9900ms);
  CHECK_FALSE(a.holds(now()));
  advance(100ms);
  CHECK(a.holds(now()));
}

TEST_CASE("no two replicas have the same name") {
  CHECK(replica_id() != replica_id());
}
