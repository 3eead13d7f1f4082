#include "http/ask.hpp"

#include "actors/actors.hpp"
#include "tests/http/fixture.hpp"

#include <doctest/doctest.h>

#include <thread>

using namespace aiops;
using namespace aiops::http;
using namespace aiops::test;
using namespace std::literals;

namespace {

/// Answers a request for a cluster's counts only once the next one came.
struct tardy_state {
  caf::typed_response_promise<snapshot_ptr<cluster_counts>> last;
};

log_aggregation_actor::behavior_type
tardy(log_aggregation_actor::stateful_pointer<tardy_state> self, int) {
  return {
    [=](get_atom, const std::string& id) {
      auto previous = std::move(self->state.last);
      self->state.last
        = self->make_response_promise<snapshot_ptr<cluster_counts>>();
      if (previous.pending())
        previous.deliver(make_snapshot(cluster_counts{"late", {}}));
      if (id == "now")
        self->state.last.deliver(make_snapshot(cluster_counts{id, {}}));
      return self->state.last;
    },
    [](get_atom) -> caf::result<snapshot_ptr<cluster_overview>> {
      return make_error(ec::conflict, "scripted");
    },
    [](update_atom, const stored_breakdown&) { /* nop */ },
    [](update_atom, const lease_status&) { /* nop */ },
    [](tick_atom) -> caf::result<void> {
      return make_error(ec::refused, "no ticks");
    },
  };
}

struct world {
  caf::actor_system_config config;
  caf::actor_system system{config};
  log_aggregation_actor actor = system.spawn(tardy, 0);
  asker bridge{system};

  ~world() {
    caf::anon_send_exit(actor, caf::exit_reason::kill);
  }
};

} // namespace

TEST_CASE("an answer comes back with its type") {
  world w;
  auto got = w.bridge.ask(w.actor, 10s, get_atom_v, "now"s);
  static_assert(
    std::is_same_v<decltype(got), caf::expected<snapshot_ptr<cluster_counts>>>);
  REQUIRE(got);
  CHECK((*got)->value().cluster_id() == "now");
}

TEST_CASE("answers without a value and errors come back too") {
  world w;
  CHECK(w.bridge.ask(w.actor, 10s, update_atom_v, stored_breakdown{}));
  auto ticked = w.bridge.ask(w.actor, 10s, tick_atom_v);
  REQUIRE(!ticked);
  CHECK(code_of(ticked.error()) == ec::refused);
  auto overview = w.bridge.ask(w.actor, 10s, get_atom_v);
  REQUIRE(!overview);
  CHECK(code_of(overview.error()) == ec::conflict);
  CHECK(text_of(overview.error()) == "scripted");
}

TEST_CASE("a late answer is not taken for that of the next request") {
  world w;
  auto first = w.bridge.ask(w.actor, 20ms, get_atom_v, "never"s);
  REQUIRE(!first);
  CHECK(code_of(first.error()) == ec::timeout);
  auto second = w.bridge.ask(w.actor, 10s, get_atom_v, "now"s);
  REQUIRE(second);
  CHECK((*second)->value().cluster_id() == "now");
}

TEST_CASE("nobody to ask is overloaded, not a hang") {
  world w;
  auto null = w.bridge.ask(gpu_info_actor{}, 10s, get_atom_v);
  REQUIRE(!null);
  CHECK(code_of(null.error()) == ec::overloaded);
  caf::anon_send_exit(w.actor, caf::exit_reason::kill);
  CHECK(eventually([&] {
    auto got = w.bridge.ask(w.actor, 10s, get_atom_v, "now"s);
    return !got && code_of(got.error()) == ec::overloaded;
  }));
}

TEST_CASE("an actor that dies with the request in hand ends the wait") {
  world w;
  std::thread killer{[&] {
    asker other{w.system};
    // Comes behind the request that waits, hence it is in hand by now.
    (void)other.ask(w.actor, 1s, tick_atom_v);
    caf::anon_send_exit(w.actor, caf::exit_reason::kill);
  }};
  auto got = w.bridge.ask(w.actor, 500ms, get_atom_v, "never"s);
  CHECK(!got);
  killer.join();
}

TEST_CASE("a wait can be ended by another thread, for good") {
  world w;
  std::thread other{[&] { w.bridge.cancel(); }};
  auto got = w.bridge.ask(w.actor, 30s, get_atom_v, "never"s);
  REQUIRE(!got);
  CHECK(code_of(got.error()) == ec::overloaded);
  other.join();
  auto next = w.bridge.ask(w.actor, 30s, get_atom_v, "never"s);
  REQUIRE(!next);
  CHECK(code_of(next.error()) == ec::overloaded);
}

TEST_CASE("an answer may come after the bridge is gone") {
  caf::actor_system_config config;
  caf::actor_system system{config};
  auto actor = system.spawn(tardy, 0);
  {
    asker gone{system};
    CHECK(!gone.ask(actor, 1ms, get_atom_v, "never"s));
  }
  asker bridge{system};
  CHECK(bridge.ask(actor, 10s, get_atom_v, "now"s));
  caf::anon_send_exit(actor, caf::exit_reason::kill);
}

TEST_CASE("many bridges at once do not mix answers up") {
  world w;
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (auto i = 0; i < 8; ++i)
    threads.emplace_back([&] {
      asker own{w.system};
      for (auto n = 0; n < 500; ++n) {
        auto got = own.ask(w.actor, 10s, get_atom_v, "now"s);
        if (!got || (*got)->value().cluster_id() != "now")
          ++wrong;
      }
    });
  for (auto& thread : threads)
    thread.join();
  CHECK(wrong == 0);
}
