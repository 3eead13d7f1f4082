#include "actors/counts/log_history.hpp"

#include "tests/support/deterministic.hpp"
#include "tests/support/fakes.hpp"

#include <doctest/doctest.h>

using namespace aiops;
using namespace aiops::test;

namespace {

using time_point = std::chrono::system_clock::time_point;
using log_count_map = std::map<std::string, int64_t, std::less<>>;
using points = std::vector<cluster_history::point>;

/// The history of the store, and the requests to it.
struct history_store_script {
  script<std::vector<history_point>> get{{}};
  /// Whether subscriptions fail, and the number of subscriptions.
  bool down = false;
  size_t subscriptions = 0;
  std::vector<breakdown_listener_actor> listeners;
};

using history_store_script_ptr = std::shared_ptr<history_store_script>;

counts_store_actor::behavior_type
fake_history_store(counts_store_actor::pointer self,
                   history_store_script_ptr what) {
  return {
    [](put_atom, const breakdown_ptr&) -> caf::result<stored_breakdown> {
      return make_error(ec::internal, "the history only reads");
    },
    [](put_atom, const std::string&) -> caf::result<void> {
      return make_error(ec::internal, "the history only reads");
    },
    [=](get_atom) { return what->get(self); },
    [=](subscribe_atom,
        const breakdown_listener_actor& listener) -> caf::result<void> {
      ++what->subscriptions;
      if (what->down)
        return make_error(ec::disconnected, "scripted failure");
      what->listeners.push_back(listener);
      return caf::unit;
    },
  };
}

breakdown_ptr counts(const log_count_map& by_cluster) {
  breakdown_builder builder;
  for (auto& [id, count] : by_cluster) {
    builder.add(id, "n", "d", count - 1);
    builder.add(id, "n", "e", 1);
  }
  return builder.finish();
}

struct history_fixture : deterministic {
  history_store_script_ptr store = std::make_shared<history_store_script>();
  counts_store_actor edge = spawn(fake_history_store, store);
  log_history_actor aut;
  log_history_config cfg;

  /// Begin of the interval in which the test begins.
  time_point begin;

  history_fixture() {
    // The test begins one minute after the begin of an interval.
    auto past = wall_now().time_since_epoch() % history_interval;
    advance(history_interval - past + 1min);
    begin = wall_now() - 1min;
    cfg.wall_clock = [this] { return wall_now(); };
  }

  void start() {
    aut = spawn(log_history, edge, cfg);
    run();
  }

  time_point at(int interval) const {
    return begin + history_interval * interval;
  }

  void publish(const log_count_map& by_cluster, time_point created) {
    for (auto& listener : store->listeners)
      caf::anon_send(listener, update_atom_v,
                     stored_breakdown{counts(by_cluster), 1, created});
    run();
  }

  auto get(std::string id = "c") {
    return ask(aut, get_atom_v, std::move(id));
  }

  points served(std::string id = "c") {
    auto x = get(id);
    REQUIRE(x->value);
    auto& history = (*x->value)->value();
    CHECK(history.cluster_id == id);
    return history.points;
  }
};

} // namespace

// -- serving ------------------------------------------------------------------

TEST_CASE_FIXTURE(history_fixture, "the stored history is served by time") {
  store->get.answer({{at(-1), {{"c", 7}}},
                     {at(-3), {{"b", 1}, {"c", 5}}},
                     {at(-2), {{"b", 2}}}});
  start();
  CHECK(served("c") == points{{at(-3), 5}, {at(-1), 7}});
  CHECK(served("b") == points{{at(-3), 1}, {at(-2), 2}});
  CHECK(served("a").empty());
  CHECK(served("d").empty());
}

TEST_CASE_FIXTURE(history_fixture, "updates set the point of their interval") {
  start();
  REQUIRE(store->listeners.size() == 1);
  publish({{"c", 5}}, at(0) + 10s);
  CHECK(served() == points{{at(0), 5}});
  publish({{"c", 6}, {"d", 9}}, at(0) + 299s);
  CHECK(served() == points{{at(0), 6}});
  CHECK(served("d") == points{{at(0), 9}});
  advance(5min);
  publish({{"d", 10}}, at(1));
  CHECK(served() == points{{at(0), 6}});
  CHECK(served("d") == points{{at(0), 9}, {at(1), 10}});
}

TEST_CASE_FIXTURE(history_fixture, "a store without counts sets no point") {
  start();
  for (auto& listener : store->listeners)
    caf::anon_send(listener, update_atom_v, stored_breakdown{});
  run();
  CHECK(served().empty());
}

TEST_CASE_FIXTURE(history_fixture,
                  "callers share a snapshot until it changes") {
  store->get.answer({{at(-1), {{"c", 7}}}});
  start();
  auto first = *get()->value;
  CHECK(*get()->value == first);
  publish({{"c", 8}}, at(0));
  auto second = *get()->value;
  CHECK(second != first);
  CHECK(first->value().points.size() == 1);
  // Equal counts and an equal history change nothing.
  publish({{"c", 8}}, at(0) + 30s);
  CHECK(*get()->value == second);
  advance(cfg.reread_interval);
  CHECK(store->get.calls() == 2);
  CHECK(*get()->value == second);
}

// -- reading again ------------------------------------------------------------

TEST_CASE_FIXTURE(history_fixture, "the stored history is read periodically") {
  start();
  publish({{"c", 5}}, at(0));
  // Another replica stored points that this one did not receive.
  store->get.answer({{at(-1), {{"c", 4}}}, {at(0), {{"c", 3}}}});
  advance(cfg.reread_interval);
  CHECK(store->get.calls() == 2);
  // In the interval of the last update, the update is newer.
  CHECK(served() == points{{at(-1), 4}, {at(0), 5}});
  publish({{"c", 9}}, at(1));
  store->get.answer({{at(0), {{"c", 6}}}});
  advance(cfg.reread_interval);
  CHECK(served() == points{{at(-1), 4}, {at(0), 6}, {at(1), 9}});
}

TEST_CASE_FIXTURE(history_fixture, "only one read runs at a time") {
  store->get.hold();
  // Failed subscriptions wake the actor meanwhile.
  store->down = true;
  start();
  advance(4s);
  CHECK(store->subscriptions > 3);
  CHECK(store->get.calls() == 1);
  store->get.answer({});
  store->get.release({{at(-1), {{"c", 7}}}});
  run();
  advance(cfg.reread_interval - 1s);
  CHECK(store->get.calls() == 1);
  advance(1s);
  CHECK(store->get.calls() == 2);
  CHECK(served() == points{{at(-1), 7}});
}

TEST_CASE_FIXTURE(history_fixture, "a store that is down is asked again") {
  store->get.fail(ec::disconnected);
  store->down = true;
  start();
  advance(1h);
  // The pauses are at most 10 s.
  CHECK(store->get.calls() > 300);
  CHECK(store->get.calls() < 400);
  CHECK(store->subscriptions > 300);
  CHECK(store->subscriptions < 400);
  store->get.answer({{at(11), {{"c", 7}}}});
  store->down = false;
  advance(10s);
  REQUIRE(store->listeners.size() == 1);
  publish({{"c", 8}}, wall_now());
  CHECK(served() == points{{at(11), 7}, {at(12), 8}});
  auto calls = store->subscriptions;
  advance(1h);
  CHECK(store->subscriptions == calls);
}

TEST_CASE_FIXTURE(history_fixture,
                  "the history is served while the store is down") {
  store->get.answer({{at(-1), {{"c", 7}}}});
  start();
  store->get.fail(ec::disconnected);
  advance(20min);
  CHECK(served() == points{{at(-1), 7}});
}

// -- before the history is loaded ---------------------------------------------

TEST_CASE_FIXTURE(history_fixture, "callers wait until the history is loaded") {
  store->get.hold();
  start();
  auto x = get();
  auto y = get("d");
  advance(1s);
  CHECK(!x->done());
  store->get.release({{at(-1), {{"c", 7}}}});
  run();
  REQUIRE(x->value);
  CHECK((*x->value)->value().points == points{{at(-1), 7}});
  REQUIRE(y->value);
  CHECK((*y->value)->value() == cluster_history{"d", {}});
}

TEST_CASE_FIXTURE(history_fixture,
                  "callers wait for the history until their deadline") {
  store->get.hold();
  start();
  auto first = now();
  auto x = get();
  advance(10s);
  CHECK(x->code() == ec::disconnected);
  CHECK(x->at == first + cfg.request_timeout);
  // Points from updates are better than none.
  publish({{"c", 5}}, wall_now());
  auto y = get();
  advance(10s);
  REQUIRE(y->value);
  CHECK((*y->value)->value().points == points{{at(0), 5}});
}

TEST_CASE_FIXTURE(
  history_fixture,
  "the number of callers that wait for the history is limited") {
  cfg.max_waiting = 2;
  store->get.hold();
  start();
  get();
  auto x = get();
  auto y = get();
  CHECK(!x->done());
  CHECK(y->code() == ec::overloaded);
}

// -- bounds -------------------------------------------------------------------

TEST_CASE_FIXTURE(history_fixture,
                  "points outside of the last day are ignored") {
  store->get.answer({{at(-288), {{"c", 1}}},
                     {at(-287), {{"c", 2}}},
                     {at(0), {{"c", 3}}},
                     {at(1), {{"c", 4}}},
                     {at(2), {{"c", 5}}},
                     {at(100'000), {{"c", 6}}},
                     {time_point::min(), {{"c", 7}}},
                     {time_point::max(), {{"c", 8}}}});
  start();
  // Clocks may differ by up to one interval.
  CHECK(served() == points{{at(-287), 2}, {at(0), 3}, {at(1), 4}});
  publish({{"c", 9}}, at(-288));
  publish({{"c", 9}}, at(2));
  CHECK(served() == points{{at(-287), 2}, {at(0), 3}, {at(1), 4}});
}

TEST_CASE_FIXTURE(history_fixture, "points are removed after a day") {
  store->get.answer({{at(-287), {{"c", 1}}}, {at(-100), {{"c", 2}}}});
  start();
  store->get.answer({});
  CHECK(served().size() == 2);
  advance(cfg.reread_interval);
  CHECK(served() == points{{at(-100), 2}});
  advance(24h);
  CHECK(served().empty());
}

TEST_CASE_FIXTURE(history_fixture, "the number of points is limited to a day") {
  start();
  for (auto i = 0; i < 400; ++i) {
    publish({{"c", i}}, at(i));
    advance(5min);
  }
  auto got = served();
  CHECK(got.size() <= history_length);
  CHECK(got.size() >= history_length - 1);
  CHECK(got.back() == cluster_history::point{at(399), 399});
}

TEST_CASE_FIXTURE(history_fixture, "the latest point of an interval is kept") {
  store->get.answer({{at(-1) + 2min, {{"c", 3}}},
                     {at(-1) + 4min, {{"c", 4}}},
                     {at(-1), {{"c", 1}}},
                     {at(-2) + 299s, {{"c", 9}}}});
  start();
  CHECK(served() == points{{at(-2), 9}, {at(-1), 4}});
}

TEST_CASE("intervals begin at multiples of five minutes") {
  auto interval_at = [](std::chrono::nanoseconds x) {
    return log_history_points::interval_of(time_point{x});
  };
  CHECK(interval_at(0s) == 0);
  CHECK(interval_at(300s - 1ns) == 0);
  CHECK(interval_at(300s) == 1);
  CHECK(interval_at(-1ns) == -1);
}

TEST_CASE("columns with the same clusters share their names") {
  log_history_points aut;
  std::string long_name(200, 'x');
  history_point x{{}, {{long_name, 1}, {"b", 2}}};
  for (auto i : {5, 3, 4, 2, 7, 6})
    CHECK(aut.set(i, x));
  CHECK(!aut.set(4, x));
  auto names = 2 * sizeof(std::string) + 201;
  CHECK(aut.size() == 6);
  CHECK(aut.bytes() == names + 6 * 2 * sizeof(int64_t));
  x.log_counts.erase("b");
  CHECK(aut.set(4, x));
  CHECK(aut.of("b").points.size() == 5);
  CHECK(aut.of(long_name).points.size() == 6);
}

TEST_CASE("the oldest points are removed above the memory limit") {
  log_history_points aut;
  history_point x;
  for (auto i = 0; i < 1000; ++i)
    x.log_counts["cluster-" + std::to_string(i)] = i;
  for (auto i = 1; i <= 288; ++i)
    aut.set(i, x);
  auto now = time_point{history_interval * 288};
  CHECK(!aut.trim(now, 64 * 1024 * 1024));
  CHECK(aut.bytes() < 2'400'000);
  CHECK(aut.trim(now, 500'000));
  CHECK(aut.bytes() <= 500'000);
  CHECK(aut.bytes() > 480'000);
  auto got = aut.of("cluster-7").points;
  CHECK(got.size() == aut.size());
  CHECK(got.back() == cluster_history::point{now, 7});
  // The last point is always kept.
  aut.trim(now, 0);
  CHECK(aut.of("cluster-7").points == points{{now, 7}});
  // Lists with different clusters each count towards the memory.
  for (auto i = 1; i <= 288; ++i)
    aut.set(i, history_point{{}, {{"cluster-" + std::to_string(i), 1}}});
  auto full = aut.bytes();
  CHECK(aut.trim(now, full / 2));
  CHECK(aut.bytes() <= full / 2);
  CHECK(aut.bytes() > full / 2 - 100);
}
