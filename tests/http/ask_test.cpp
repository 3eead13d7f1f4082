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

/// Answers a request for the counts of a cluster when the next one arrives.
struct late_answers_state {
  caf::typed_response_promise<snapshot_ptr<cluster_counts>> last;
};

log_aggregation_actor::behavior_type
late_answers(log_aggregation_actor::stateful_pointer<late_answers_state> self,
             int) {
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
    [](update_atom, const lease_status&) -> caf::result<void> {
      return make_error(ec::refused, "no lease");
    },
  };
}

struct world {
  caf::actor_system_config config;
  caf::actor_system system{config};
  log_aggregation_actor actor = system.spawn(late_answers, 0);
  asker self{system};

  ~world() {
    caf::anon_send_exit(actor, caf::exit_reason::kill);
  }
};

} // namespace

TEST_CASE("an answer has its type") {
  world w;
  auto got = w.self.ask(w.actor, 10s, get_atom_v, "now"s);
  static_assert(
    std::is_same_v<decltype(got), caf::expected<snapshot_ptr<cluster_counts>>>);
  REQUIRE(got);
  CHECK((*got)->value().cluster_id() == "now");
}

TEST_CASE("answers without a value and errors are returned") {
  world w;
  CHECK(w.self.ask(w.actor, 10s, update_atom_v, stored_breakdown{}));
  auto refused = w.self.ask(w.actor, 10s, update_atom_v, lease_status{});
  REQUIRE(!refused);
  CHECK(code_of(refused.error()) == ec::refused);
  auto overview = w.self.ask(w.actor, 10s, get_atom_v);
  REQUIRE(!overview);
  CHECK(code_of(overview.error()) == ec::conflict);
  CHECK(text_of(overview.error()) == "scripted");
}

TEST_CASE("a late answer is not taken for that of the next request") {
  world w;
  auto first = w.self.ask(w.actor, 20ms, get_atom_v, "never"s);
  REQUIRE(!first);
  CHECK(code_of(first.error()) == ec::timeout);
  auto second = w.self.ask(w.actor, 10s, get_atom_v, "now"s);
  REQUIRE(second);
  CHECK((*second)->value().cluster_id() == "now");
}

TEST_CASE("an actor that has not started or has ended is overloaded") {
  world w;
  auto null = w.self.ask(gpu_info_actor{}, 10s, get_atom_v);
  REQUIRE(!null);
  CHECK(code_of(null.error()) == ec::overloaded);
  caf::anon_send_exit(w.actor, caf::exit_reason::kill);
  CHECK(eventually([&] {
    auto got = w.self.ask(w.actor, 10s, get_atom_v, "now"s);
    return !got && code_of(got.error()) == ec::overloaded;
  }));
}

TEST_CASE("an actor that dies while it processes the request ends the wait") {
  world w;
  std::thread killer{[&] {
    asker other{w.system};
    // After this answer the actor has received the request that waits.
    (void)other.ask(w.actor, 1s, update_atom_v, lease_status{});
    caf::anon_send_exit(w.actor, caf::exit_reason::kill);
  }};
  auto got = w.self.ask(w.actor, 500ms, get_atom_v, "never"s);
  CHECK(!got);
  killer.join();
}

TEST_CASE("another thread can end a wait and all later ones") {
  world w;
  std::thread other{[&] { w.self.cancel(); }};
  auto got = w.self.ask(w.actor, 30s, get_atom_v, "never"s);
  REQUIRE(!got);
  CHECK(code_of(got.error()) == ec::overloaded);
  other.join();
  auto next = w.self.ask(w.actor, 30s, get_atom_v, "never"s);
  REQUIRE(!next);
  CHECK(code_of(next.error()) == ec::overloaded);
}

TEST_CASE("an answer may arrive after the asker is destroyed") {
  caf::actor_system_config config;
  caf::actor_system system{config};
  auto actor = system.spawn(late_answers, 0);
  {
    asker destroyed{system};
    CHECK(!destroyed.ask(actor, 1ms, get_atom_v, "never"s));
  }
  asker self{system};
  CHECK(self.ask(actor, 10s, get_atom_v, "now"s));
  caf::anon_send_exit(actor, caf::exit_reason::kill);
}

TEST_CASE("many askers at once do not mix up answers") {
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
