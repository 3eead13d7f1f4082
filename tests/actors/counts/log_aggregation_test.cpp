#include "actors/counts/log_aggregation.hpp"

#include "actors/events.hpp"

#include "tests/support/deterministic.hpp"
#include "tests/support/fakes.hpp"

#include <doctest/doctest.h>

using namespace aiops;
using namespace aiops::test;

namespace {

breakdown_ptr counts(int64_t n) {
  breakdown_builder builder;
  builder.add({"c", "n", "d"}, n);
  return builder.finish();
}

struct fixture : deterministic {
  events_script_ptr events = std::make_shared<events_script>();
  events_actor hub = spawn(fake_events, events);
  log_source_script_ptr source = std::make_shared<log_source_script>();
  counts_store_script_ptr store = std::make_shared<counts_store_script>();
  lease_script_ptr leases = std::make_shared<lease_script>();
  log_source_actor source_edge = spawn(fake_log_source, source);
  counts_store_actor store_edge = spawn(fake_counts_store, store);
  lease_actor lease_edge = spawn(fake_lease, leases);
  log_aggregation_actor aut;

  log_aggregation_actor start(log_source_actor from,
                              milliseconds interval = 30s) {
    log_aggregation_config cfg;
    cfg.interval = interval;
    cfg.source = "jetstream";
    cfg.wall_clock = [this] { return wall_now(); };
    aut = spawn(log_aggregation, from, store_edge,
                from ? lease_edge : lease_actor{}, hub, cfg);
    run();
    return aut;
  }

  /// The replica holds the lease for a year, or until the next update.
  void give_lease(uint64_t term = 1) {
    give_lease(term, now() + 24h * 365);
  }

  void give_lease(uint64_t term, caf::actor_clock::time_point until) {
    leases->publish({true, term, until});
    run();
  }

  void take_lease() {
    leases->publish({});
    run();
  }

  /// A replica that only follows.
  void start_following() {
    start(log_source_actor{});
  }

  void start_counting() {
    start(source_edge);
    give_lease();
  }

  static stored_breakdown stored(breakdown_ptr value, uint64_t revision,
                                 std::chrono::system_clock::time_point when) {
    return {std::move(value), revision, when};
  }

  void publish(breakdown_ptr value, uint64_t revision,
               std::chrono::system_clock::time_point created) {
    store->publish({std::move(value), revision, created});
    run();
  }

  auto get(std::string id) {
    return ask(aut, get_atom_v, std::move(id));
  }

  /// The count that is served; -1 when the cluster is empty.
  int64_t served() {
    auto x = get("c");
    REQUIRE(x->value);
    auto& rows = (*x->value)->value();
    return rows.empty() ? -1 : rows[0].log_count;
  }

  const cluster_overview& last_published() const {
    REQUIRE_FALSE(events->published.empty());
    return events->last<cluster_overview>();
  }

  cluster_overview overview() {
    auto x = ask(aut, get_atom_v);
    REQUIRE(x->value);
    return (*x->value)->value();
  }
};

} // namespace

// -- serving ------------------------------------------------------------------

TEST_CASE_FIXTURE(fixture, "the counts of the store are served") {
  start_following();
  REQUIRE(store->listeners.size() == 1);
  publish(counts(5), 3, wall_now());
  CHECK(served() == 5);
  publish(counts(6), 4, wall_now());
  CHECK(served() == 6);
  advance(10min);
  CHECK(source->count.calls() == 0);
}

TEST_CASE_FIXTURE(fixture, "an unknown cluster is empty and has its id") {
  start_following();
  publish(counts(5), 3, wall_now());
  auto x = get("other");
  REQUIRE(x->value);
  CHECK((*x->value)->value() == cluster_counts{"other", {}});
}

TEST_CASE_FIXTURE(fixture,
                  "before the first aggregation there are no clusters") {
  start_following();
  publish(nullptr, 0, {});
  CHECK(served() == -1);
  auto x = overview();
  CHECK(x.clusters.empty());
  CHECK_FALSE(x.aggregated_at);
  CHECK_FALSE(x.stale);
  CHECK(x.source == "jetstream");
}

TEST_CASE_FIXTURE(fixture, "the overview has sums and the time of the counts") {
  start_following();
  publish(counts(5), 3, wall_now() - 1min);
  auto x = overview();
  CHECK(x.clusters == std::vector<cluster_summary>{{"c", 1, 1, 5}});
  CHECK(x.aggregated_at == wall_now() - 1min);
  CHECK_FALSE(x.stale);
  CHECK(x.reason.empty());
}

TEST_CASE_FIXTURE(fixture, "callers share a snapshot until the counts change") {
  start_following();
  publish(counts(5), 3, wall_now());
  CHECK(*get("c")->value == *get("c")->value);
  auto x = ask(aut, get_atom_v);
  auto y = ask(aut, get_atom_v);
  CHECK(*x->value == *y->value);
  publish(counts(6), 4, wall_now());
  CHECK(*ask(aut, get_atom_v)->value != *x->value);
}

TEST_CASE_FIXTURE(fixture, "callers wait until the counts are loaded") {
  start_following();
  auto x = get("c");
  auto y = ask(aut, get_atom_v);
  advance(4s);
  CHECK_FALSE(x->done());
  CHECK_FALSE(y->done());
  publish(counts(5), 1, wall_now());
  REQUIRE(x->value);
  CHECK((*x->value)->value()[0].log_count == 5);
  REQUIRE(y->value);
  CHECK((*y->value)->value().clusters.size() == 1);
  advance(10s);
}

TEST_CASE_FIXTURE(fixture, "callers wait for the counts until their deadline") {
  start_following();
  auto x = get("c");
  advance(3s);
  auto y = ask(aut, get_atom_v);
  advance(2s);
  CHECK(x->code() == ec::disconnected);
  CHECK_FALSE(y->done());
  advance(3s);
  CHECK(y->code() == ec::disconnected);
  CHECK(text_of(y->error)
        == "the counts were not loaded yet: no connection to NATS");
}

TEST_CASE_FIXTURE(fixture,
                  "the number of callers that wait for counts is limited") {
  log_aggregation_config cfg;
  cfg.max_waiting = 2;
  aut = spawn(log_aggregation, log_source_actor{}, store_edge, lease_actor{},
              events_actor{}, cfg);
  get("c");
  get("c");
  CHECK(get("c")->code() == ec::overloaded);
  advance(5s);
  CHECK_FALSE(get("c")->done());
}

// -- following the store ------------------------------------------------------

TEST_CASE_FIXTURE(fixture, "older counts do not replace newer ones") {
  start_following();
  auto t = wall_now();
  publish(counts(5), 5, t);
  publish(counts(4), 4, t - 30s);
  CHECK(served() == 5);
}

TEST_CASE_FIXTURE(fixture,
                  "counts of a recreated bucket replace those before") {
  start_following();
  auto t = wall_now();
  publish(counts(5), 5, t);
  SUBCASE("because they are newer") {
    publish(counts(1), 1, t + 1s);
    CHECK(served() == 1);
  }
  SUBCASE("because the bucket was empty before") {
    publish(nullptr, 0, {});
    CHECK(served() == -1);
    publish(counts(1), 1, t - 1h);
    CHECK(served() == 1);
  }
}

TEST_CASE_FIXTURE(fixture,
                  "subscriptions are retried while there is no store") {
  kill(store_edge);
  start_following();
  advance(4999ms);
  CHECK(store->listeners.empty());
  // The supervisor would start a new store and a new actor that uses it. Here
  // the old one must only keep working.
  advance(1h);
  CHECK(get("c")->error == caf::none);
}

TEST_CASE_FIXTURE(fixture, "counts become stale when they are not renewed") {
  start_following();
  publish(counts(5), 5, wall_now());
  advance(90s);
  CHECK_FALSE(overview().stale);
  advance(1ms);
  auto x = overview();
  CHECK(x.stale);
  CHECK(x.reason.find("3 aggregation intervals") != std::string::npos);
  CHECK(served() == 5);
  publish(counts(6), 6, wall_now());
  CHECK_FALSE(overview().stale);
}

// -- aggregating --------------------------------------------------------------

TEST_CASE_FIXTURE(fixture,
                  "the first aggregation starts immediately, the others "
                  "every 30 s") {
  store->put.answer(stored(counts(1), 1, wall_now()));
  start_counting();
  CHECK(source->count.calls() == 1);
  for (size_t n = 2; n < 5; ++n) {
    advance(29'999ms);
    CHECK(source->count.calls() == n - 1);
    advance(1ms);
    CHECK(source->count.calls() == n);
  }
  CHECK(store->put.calls() == 4);
}

TEST_CASE_FIXTURE(fixture, "while there are no counts the pause doubles up to "
                           "30 s") {
  start_counting();
  size_t n = 1;
  for (auto pause : {1s, 2s, 4s, 8s, 16s, 30s, 30s}) {
    CHECK(source->count.calls() == n);
    advance(pause - 1ms);
    CHECK(source->count.calls() == n);
    advance(1ms);
    CHECK(source->count.calls() == ++n);
  }
}

TEST_CASE_FIXTURE(fixture, "with the first counts the pause is the interval") {
  start_counting();
  SUBCASE("of this replica") {
    store->put.answer(stored(counts(1), 1, wall_now()));
  }
  SUBCASE("of another replica") {
    publish(counts(5), 3, wall_now());
  }
  advance(1s);
  CHECK(source->count.calls() == 2);
  // The interval stays even if the counts are removed.
  publish(nullptr, 0, {});
  advance(29'999ms);
  CHECK(source->count.calls() == 2);
  advance(1ms);
  CHECK(source->count.calls() == 3);
}

TEST_CASE_FIXTURE(fixture, "an interval shorter than a second is kept") {
  start(source_edge, 500ms);
  give_lease();
  advance(2s);
  CHECK(source->count.calls() == 5);
}

TEST_CASE_FIXTURE(fixture, "the interval is from start to start") {
  store->put.answer(stored(counts(1), 1, wall_now()));
  start_counting();
  source->count.hold();
  advance(30s);
  CHECK(source->count.calls() == 2);
  advance(20s);
  source->count.release(counts(1));
  run();
  advance(9'999ms);
  CHECK(source->count.calls() == 2);
  advance(1ms);
  CHECK(source->count.calls() == 3);
}

TEST_CASE_FIXTURE(fixture, "aggregations never overlap") {
  store->put.answer(stored(counts(1), 1, wall_now()));
  start_counting();
  source->count.hold();
  advance(30s);
  CHECK(source->count.calls() == 2);
  advance(22'499ms);
  CHECK_FALSE(overview().stale);
  advance(1ms);
  CHECK(overview().stale);
  CHECK(source->count.calls() == 2);
  advance(7'500ms);
  CHECK(source->count.calls() == 3);
}

TEST_CASE_FIXTURE(fixture, "own counts are served after they are stored") {
  source->count.answer(counts(8));
  store->put.hold();
  start_counting();
  auto x = get("c");
  CHECK_FALSE(x->done());
  CHECK(std::get<0>(store->put.last())->clusters.size() == 1);
  store->put.release(stored(counts(8), 12, wall_now()));
  run();
  REQUIRE(x->value);
  CHECK(served() == 8);
  CHECK(overview().aggregated_at == wall_now());
  // Updates that the store sent before are older.
  publish(counts(3), 11, wall_now() - 1s);
  CHECK(served() == 8);
}

TEST_CASE_FIXTURE(fixture, "an update that arrives before the answer is the "
                           "same") {
  source->count.answer(counts(8));
  store->put.hold();
  start_counting();
  auto mine = stored(counts(8), 12, wall_now());
  store->publish(mine);
  run();
  auto bytes = *get("c")->value;
  store->put.release(mine);
  run();
  CHECK(*get("c")->value == bytes);
}

TEST_CASE_FIXTURE(fixture, "before the first counts the pause after failures "
                           "doubles") {
  source->count.fail(ec::disconnected);
  start_counting();
  size_t n = 1;
  for (auto pause : {1s, 2s, 4s, 8s, 16s, 30s, 30s}) {
    CHECK(source->count.calls() == n);
    advance(pause - 1ms);
    CHECK(source->count.calls() == n);
    advance(1ms);
    CHECK(source->count.calls() == ++n);
  }
  source->count.answer(counts(1));
  store->put.answer(stored(counts(1), 1, wall_now()));
  advance(30s);
  CHECK(served() == 1);
  source->count.fail(ec::disconnected);
  advance(30s);
  n = source->count.calls();
  advance(29'999ms);
  CHECK(source->count.calls() == n);
  advance(1ms);
  CHECK(source->count.calls() == n + 1);
}

TEST_CASE_FIXTURE(fixture, "a failed aggregation keeps the counts and makes "
                           "them stale") {
  source->count.answer(counts(8));
  store->put.answer(stored(counts(8), 1, wall_now()));
  start_counting();
  SUBCASE("the source fails") {
    source->count.fail(ec::disconnected, "no connection");
  }
  SUBCASE("the store fails") {
    store->put.fail(ec::disconnected, "no connection");
  }
  advance(30s);
  CHECK(served() == 8);
  auto x = overview();
  CHECK(x.stale);
  CHECK(x.reason == "no connection");
  CHECK(x.clusters.size() == 1);
  source->count.answer(counts(9));
  store->put.answer(stored(counts(9), 2, wall_now() + 30s));
  advance(30s);
  CHECK_FALSE(overview().stale);
  CHECK(served() == 9);
}

TEST_CASE_FIXTURE(fixture, "a failure before the first counts is shown") {
  source->count.fail(ec::disconnected, "no connection");
  start_counting();
  publish(nullptr, 0, {});
  auto x = overview();
  CHECK(x.stale);
  CHECK(x.reason == "no connection");
  CHECK(x.clusters.empty());
  CHECK_FALSE(x.aggregated_at);
}

TEST_CASE_FIXTURE(fixture, "an aggregation ends when the store is silent") {
  store->put.hold();
  start_counting();
  publish(nullptr, 0, {});
  advance(28'499ms);
  CHECK_FALSE(overview().stale);
  advance(1ms);
  CHECK(overview().stale);
}

TEST_CASE_FIXTURE(fixture, "deadlines are parts of the interval") {
  source->count.hold();
  start(source_edge, 1s);
  give_lease();
  publish(nullptr, 0, {});
  advance(750ms);
  CHECK(overview().stale);
  source->count.answer(counts(1));
  store->put.hold();
  advance(250ms);
  CHECK(store->put.calls() == 1);
  source->count.answer(counts(2));
  store->put.answer(stored(counts(2), 1, wall_now() + 1s));
  advance(950ms + 500ms);
  CHECK_FALSE(overview().stale);
  CHECK(served() == 2);
}

// -- several replicas ---------------------------------------------------------

TEST_CASE_FIXTURE(fixture, "only the replica with the lease counts") {
  start(source_edge);
  publish(nullptr, 0, {});
  REQUIRE(leases->listeners.size() == 1);
  advance(5min);
  CHECK(source->count.calls() == 0);
  CHECK_FALSE(overview().aggregating);
  give_lease();
  CHECK(source->count.calls() == 1);
  CHECK(overview().aggregating);
  take_lease();
  CHECK_FALSE(overview().aggregating);
  advance(5min);
  CHECK(source->count.calls() == 1);
  // A replica that takes over counts immediately.
  give_lease(2);
  CHECK(source->count.calls() == 2);
}

TEST_CASE_FIXTURE(fixture, "a lease ends when it is not renewed") {
  start(source_edge);
  publish(nullptr, 0, {});
  store->put.answer(stored(counts(1), 1, wall_now()));
  give_lease(1, now() + 40s);
  advance(30s);
  CHECK(source->count.calls() == 2);
  advance(10s);
  CHECK_FALSE(overview().aggregating);
  advance(5min);
  CHECK(source->count.calls() == 2);
}

TEST_CASE_FIXTURE(fixture, "a failure is stored once for all replicas") {
  source->count.answer(counts(8));
  store->put.answer(stored(counts(8), 1, wall_now()));
  start_counting();
  CHECK(store->failures.empty());
  source->count.fail(ec::disconnected, "no connection");
  advance(30s);
  CHECK(store->failures == std::vector<std::string>{"no connection"});
  auto failing = stored(counts(8), 1, wall_now());
  failing.failure = "no connection";
  store->publish(failing);
  advance(30s);
  CHECK(store->failures.size() == 1);
}

TEST_CASE_FIXTURE(fixture, "the same failure after a success is stored again") {
  source->count.answer(counts(8));
  store->put.answer(stored(counts(8), 1, wall_now()));
  start_counting();
  source->count.fail(ec::disconnected, "no connection");
  advance(30s);
  // The actor knows that it was stored, but not yet that the success cleared
  // it.
  auto failing = stored(counts(8), 1, wall_now());
  failing.failure = "no connection";
  store->publish(failing);
  source->count.answer(counts(9));
  store->put.answer(failing);
  advance(30s);
  source->count.fail(ec::disconnected, "no connection");
  advance(30s);
  CHECK(store->failures.size() == 2);
}

TEST_CASE_FIXTURE(fixture, "a failure of the replica that counts is shown by "
                           "all replicas") {
  start_following();
  auto failing = stored(counts(5), 3, wall_now());
  failing.failure = "no connection";
  store->publish(failing);
  run();
  CHECK(overview().stale);
  CHECK(overview().reason == "no connection");
  CHECK(served() == 5);
  publish(counts(6), 4, wall_now());
  CHECK_FALSE(overview().stale);
}

TEST_CASE_FIXTURE(fixture, "a count that fails after the lease has ended is "
                           "not reported") {
  source->count.hold();
  start_counting();
  publish(counts(5), 3, wall_now());
  take_lease();
  source->count.release(counts(9));
  store->put.fail(ec::conflict, "another replica counts the logs");
  run();
  CHECK_FALSE(overview().stale);
  CHECK(store->failures.empty());
  CHECK(served() == 5);
}

TEST_CASE_FIXTURE(fixture, "the overview counts aggregations and failures") {
  source->count.hold();
  store->put.answer(stored(counts(1), 1, wall_now()));
  start_counting();
  advance(2s);
  source->count.release(counts(1));
  run();
  CHECK(overview().aggregations == 1);
  CHECK(overview().failures == 0);
  CHECK(overview().took == 2s);
  source->count.fail(ec::disconnected, "no connection");
  advance(30s);
  CHECK(overview().aggregations == 2);
  CHECK(overview().failures == 1);
}

// -- events -------------------------------------------------------------------

TEST_CASE_FIXTURE(fixture, "a replica that does not count publishes changes "
                           "immediately") {
  start_following();
  CHECK(events->published.empty());
  publish(nullptr, 0, {});
  CHECK(events->published.size() == 1);
  publish(counts(5), 3, wall_now());
  CHECK(events->published.size() == 2);
  CHECK(last_published() == overview());
  // Older counts are neither served nor published.
  publish(counts(4), 2, wall_now() - 30s);
  CHECK(events->published.size() == 2);
  auto failing = stored(counts(5), 3, wall_now());
  failing.failure = "no connection";
  store->publish(failing);
  run();
  CHECK(last_published().stale);
  CHECK(last_published().reason == "no connection");
}

TEST_CASE_FIXTURE(fixture,
                  "counts are published when they become stale by age") {
  start_following();
  publish(counts(5), 5, wall_now() - 10s);
  advance(80s);
  CHECK_FALSE(last_published().stale);
  advance(1ms);
  CHECK(last_published().stale);
  CHECK(events->published.size() == 2);
  advance(1h);
  CHECK(events->published.size() == 2);
  publish(counts(6), 6, wall_now());
  CHECK_FALSE(last_published().stale);
  advance(60s);
  publish(counts(7), 7, wall_now());
  advance(90s);
  CHECK_FALSE(last_published().stale);
  advance(1ms);
  CHECK(last_published().stale);
}

namespace {

using event_list_ptr = std::shared_ptr<std::vector<event_value>>;

event_listener_actor::behavior_type note_events(event_listener_actor::pointer,
                                                event_list_ptr heard) {
  return {
    [=](update_atom, const event_value& x) { heard->push_back(x); },
  };
}

} // namespace

TEST_CASE_FIXTURE(fixture, "one aggregation is one event") {
  hub = spawn(aiops::events, events_config{});
  auto heard = std::make_shared<std::vector<event_value>>();
  ask(hub, subscribe_atom_v, event_listener_actor{spawn(note_events, heard)});
  source->count.answer(counts(8));
  store->put.hold();
  start_counting();
  auto last = [&] {
    return std::get<snapshot_ptr<cluster_overview>>(heard->back())->value();
  };
  for (uint64_t n = 1; n <= 4; ++n) {
    CAPTURE(n);
    heard->clear();
    auto now = stored(counts(8), n, wall_now());
    // The store sends an update and an answer, in any order.
    if (n % 2 == 0)
      store->publish(now);
    run();
    advance(10ms * n);
    store->put.release(now);
    run();
    if (n % 2 == 1)
      store->publish(now);
    run();
    REQUIRE(heard->size() == 1);
    CHECK(last().aggregated_at == now.created);
    CHECK_FALSE(last().stale);
    advance(30s);
  }
  // A failed aggregation is one event, and so is the next successful one.
  heard->clear();
  store->put.release_error(ec::timeout, "late");
  run();
  REQUIRE(heard->size() == 1);
  CHECK(last().stale);
  advance(30s);
  heard->clear();
  auto now = stored(counts(9), 6, wall_now());
  store->put.release(now);
  run();
  store->publish(now);
  run();
  REQUIRE(heard->size() == 1);
  CHECK_FALSE(last().stale);
}

TEST_CASE_FIXTURE(fixture,
                  "the replica that counts publishes counts and failures") {
  source->count.answer(counts(8));
  store->put.answer(stored(counts(8), 1, wall_now()));
  start_counting();
  CHECK(last_published().clusters
        == std::vector<cluster_summary>{{"c", 1, 1, 8}});
  CHECK(last_published().aggregating);
  // A renewed lease is not published.
  auto before = events->published.size();
  give_lease();
  CHECK(events->published.size() == before);
  source->count.fail(ec::disconnected, "no connection");
  advance(30s);
  CHECK(last_published().reason == "no connection");
  take_lease();
  CHECK_FALSE(last_published().aggregating);
  CHECK_FALSE(last_published().stale);
}
