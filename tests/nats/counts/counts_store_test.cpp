#include "nats/counts/counts_store.hpp"
#include "tests/nats/fake_kv_store.hpp"
#include "tests/support/deterministic.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>

using namespace aiops;
using namespace aiops::nats;
using namespace aiops::test;

namespace {

const auto root_bucket = std::string{"os-workload-aggregation"};
const auto own_bucket = std::string{"aiops-gateway"};

using updates = std::shared_ptr<std::vector<stored_breakdown>>;

breakdown_listener_actor::behavior_type
listener(breakdown_listener_actor::pointer, updates seen) {
  return {
    [seen](update_atom, const stored_breakdown& x) { seen->push_back(x); },
  };
}

/// A bus that reports its payload limit.
bus_actor::behavior_type bus_with_limit(bus_actor::pointer,
                                        std::shared_ptr<bus_status> status) {
  return {
    [](request_atom, const bus_request&) -> caf::result<bus_reply> {
      return make_error(ec::no_responders, "fake");
    },
    [](subscribe_atom, const std::string&, const bus_sink_actor&) { /* nop */ },
    [](subscribe_atom, const std::string&, const std::string&,
       const bus_sink_actor&) { /* nop */ },
    [](put_atom, const bus_message&) { /* nop */ },
    [](subscribe_atom, const bus_listener_actor&) { /* nop */ },
    [=](status_atom) { return *status; },
  };
}

/// Counts of `clusters` clusters with `each` deployments, all of them `n`.
breakdown_ptr counts(size_t clusters, size_t each, int64_t n) {
  breakdown_builder builder;
  for (size_t i = 0; i < clusters; ++i)
    for (size_t j = 0; j < each; ++j)
      builder.add("cluster." + std::to_string(i), "n",
                  "deployment-" + std::to_string(j), n);
  return builder.finish();
}

/// Whether all counts are `n`.
bool all_are(const breakdown& x, int64_t n) {
  for (auto& [id, cluster] : x.clusters)
    for (auto row : cluster->value())
      if (row.log_count != n)
        return false;
  return true;
}

/// One of several replicas with the same store.
struct store_replica {
  lease_script_ptr leases = std::make_shared<lease_script>();
  lease_actor lease_edge;
  counts_store_actor handle;
  updates seen = std::make_shared<std::vector<stored_breakdown>>();

  const stored_breakdown& last() const {
    REQUIRE(!seen->empty());
    return seen->back();
  }
};

struct fixture : deterministic {
  fixture() {
    memory->clock = [this] { return wall_now(); };
    *limits = {true, "nats://x", 1'048'576, "", 1};
  }

  ~fixture() {
    memory->listeners.clear();
    memory->refuse = nullptr;
    memory->lose_answer = nullptr;
    memory->when = nullptr;
    memory->held.clear();
  }

  store_replica start(std::string owner) {
    store_replica x;
    x.lease_edge = spawn(fake_lease, x.leases);
    counts_store_config cfg;
    cfg.owner = std::move(owner);
    cfg.wall_clock = [this] { return wall_now(); };
    x.handle = spawn(counts_store, bus, kv, x.lease_edge, cfg);
    run();
    ask(x.handle, subscribe_atom_v,
        breakdown_listener_actor{spawn(listener, x.seen)});
    return x;
  }

  void give_lease(store_replica& to, uint64_t term) {
    to.leases->publish({true, term, now() + 24h});
    run();
  }

  void take_lease(store_replica& from) {
    from.leases->publish({});
    run();
  }

  /// Sets the smallest payload limit that is accepted.
  void set_small_payload_limit() {
    limits->max_payload = 16'640;
  }

  /// Carries out and answers the requests that the store has held.
  void release_all() {
    while (!memory->held.empty())
      release(0);
  }

  void release(size_t index) {
    auto i = memory->held.begin() + static_cast<std::ptrdiff_t>(index);
    auto act = std::move(*i);
    memory->held.erase(i);
    act();
    run();
  }

  std::string stored_failure() const {
    auto value = memory->value(own_bucket, "counts.failure");
    return value ? *value : "";
  }

  std::string root() const {
    auto value = memory->value(root_bucket, "aggregation");
    return value ? *value : "";
  }

  std::vector<std::string> keys_with(const std::string& head) const {
    auto keys = memory->keys(own_bucket);
    std::erase_if(keys, [&](auto& key) { return !key.starts_with(head); });
    return keys;
  }

  kv_memory_ptr memory = std::make_shared<kv_memory>();
  std::shared_ptr<bus_status> limits = std::make_shared<bus_status>();
  kv_store_actor kv = spawn(fake_kv_store, memory);
  bus_actor bus = spawn(bus_with_limit, limits);
};

} // namespace

// -- one value ----------------------------------------------------------------

TEST_CASE_FIXTURE(fixture, "counts have the key and the format of Opni") {
  auto a = start("a");
  REQUIRE(a.seen->size() == 1);
  CHECK(!a.last().value);
  give_lease(a, 5);
  auto answer = ask(a.handle, put_atom_v, counts(1, 1, 5));
  REQUIRE(answer->value);
  CHECK(answer->value->revision == 1);
  CHECK(answer->value->created == wall_now());
  CHECK(root()
        == R"({"ByCluster":{"cluster.0":{"ByNamespace":{"n":{"ByDeployment":)"
           R"({"deployment-0":{"deployment_name":"deployment-0",)"
           R"("doc_count":5}}}}}}})");
  CHECK(keys_with("counts.").empty());
  CHECK(a.last().value == answer->value->value);
  // The update after the own write is not sent to listeners.
  CHECK(a.seen->size() == 2);
}

namespace {

using steps = std::shared_ptr<std::vector<std::string>>;

/// A listener that also stores counts.
breakdown_listener_actor::behavior_type
counting_listener(breakdown_listener_actor::pointer self,
                  const counts_store_actor& store, steps seen) {
  self->send(store, subscribe_atom_v, breakdown_listener_actor{self});
  self->request(store, 5s, put_atom_v, counts(1, 1, 5))
    .then([=](const stored_breakdown&) { seen->push_back("answer"); });
  return {
    [=](update_atom, const stored_breakdown& x) {
      if (x.value)
        seen->push_back("update");
    },
  };
}

} // namespace

TEST_CASE_FIXTURE(fixture, "the answer to a write precedes its update") {
  auto a = start("a");
  give_lease(a, 5);
  auto seen = std::make_shared<std::vector<std::string>>();
  spawn(counting_listener, a.handle, seen);
  run();
  CHECK(*seen == std::vector<std::string>{"answer", "update"});
}

TEST_CASE_FIXTURE(fixture, "new counts after a failure are one update in all "
                           "replicas") {
  auto a = start("a");
  auto b = start("b");
  give_lease(a, 5);
  ask(a.handle, put_atom_v, counts(1, 1, 5));
  advance(30s);
  ask(a.handle, put_atom_v, std::string{"no connection"});
  CHECK(a.last().failure == "no connection");
  CHECK(b.last().failure == "no connection");
  a.seen->clear();
  b.seen->clear();
  advance(30s);
  ask(a.handle, put_atom_v, counts(1, 1, 6));
  advance(1s);
  for (auto* x : {&a, &b}) {
    REQUIRE(x->seen->size() == 1);
    CHECK(x->last().failure.empty());
  }
  // The next failure is an update again.
  ask(a.handle, put_atom_v, std::string{"no connection"});
  CHECK(a.last().failure == "no connection");
  CHECK(b.last().failure == "no connection");
}

TEST_CASE_FIXTURE(fixture, "all replicas receive counts and their changes") {
  auto a = start("a");
  auto b = start("b");
  give_lease(a, 5);
  ask(a.handle, put_atom_v, counts(1, 1, 5));
  REQUIRE(b.seen->size() == 2);
  CHECK(all_are(*b.last().value, 5));
  CHECK(b.last().created == wall_now());
  // Invalid counts of other programs do not replace valid ones.
  memory->store({root_bucket, "aggregation", "invalid", {}});
  run();
  CHECK(b.seen->size() == 2);
  // A later listener receives the last counts immediately.
  auto late = std::make_shared<std::vector<stored_breakdown>>();
  ask(b.handle, subscribe_atom_v,
      breakdown_listener_actor{spawn(listener, late)});
  REQUIRE(late->size() == 1);
  CHECK(all_are(*late->back().value, 5));
}

TEST_CASE_FIXTURE(fixture, "only the replica with the lease writes") {
  auto a = start("a");
  CHECK(ask(a.handle, put_atom_v, counts(1, 1, 5))->code() == ec::conflict);
  a.leases->publish({true, 5, now() + 1s});
  advance(1s);
  CHECK(ask(a.handle, put_atom_v, counts(1, 1, 5))->code() == ec::conflict);
  ask(a.handle, put_atom_v, std::string{"failure"});
  CHECK(memory->writes.empty());
}

TEST_CASE_FIXTURE(fixture,
                  "counts of another program are read, then replaced") {
  auto a = start("a");
  give_lease(a, 5);
  ask(a.handle, put_atom_v, counts(1, 1, 5));
  memory->quiet = true;
  memory->store({root_bucket, "aggregation", R"({"ByCluster":{}})", {}});
  CHECK(ask(a.handle, put_atom_v, counts(1, 1, 6))->value);
  CHECK(root().find(":6}") != std::string::npos);
}

TEST_CASE_FIXTURE(fixture, "a write with an unknown result is verified") {
  auto a = start("a");
  give_lease(a, 5);
  auto lost = make_error(ec::timeout, "lost");
  SUBCASE("and was stored when the connection was lost") {
    memory->lose_answer = [n = 0](const kv_write& x) mutable {
      return x.bucket == root_bucket && n++ == 0
               ? make_error(ec::lost_in_flight, "lost")
               : caf::error{};
    };
  }
  SUBCASE("and was stored") {
    memory->lose_answer = [=, n = 0](const kv_write& x) mutable -> caf::error {
      return x.bucket == root_bucket && n++ == 0 ? lost : caf::error{};
    };
  }
  SUBCASE("and is repeated") {
    memory->refuse = [=, n = 0](const kv_write& x) mutable -> caf::error {
      return x.bucket == root_bucket && n++ == 0 ? lost : caf::error{};
    };
  }
  CHECK(ask(a.handle, put_atom_v, counts(1, 1, 5))->value);
  auto roots = std::count_if(memory->writes.begin(), memory->writes.end(),
                             [](auto& x) { return x.key == "aggregation"; });
  CHECK(roots == 1);
  CHECK(all_are(*a.last().value, 5));
}

TEST_CASE_FIXTURE(fixture, "a refused write is an error with the reason") {
  auto a = start("a");
  give_lease(a, 5);
  memory->refuse = [](const kv_write&) {
    return make_error(ec::refused, "no space left");
  };
  auto answer = ask(a.handle, put_atom_v, counts(1, 1, 5));
  CHECK(answer->code() == ec::refused);
  CHECK(text_of(answer->error) == "no space left");
  CHECK(a.seen->size() == 1);
  limits->connected = false;
  CHECK(ask(a.handle, put_atom_v, counts(1, 1, 5))->code() == ec::disconnected);
  *limits = {true, "", 1024, "", 1};
  CHECK(ask(a.handle, put_atom_v, counts(1, 1, 5))->code() == ec::too_large);
}

TEST_CASE_FIXTURE(fixture, "newer counts end a put that is waiting") {
  SUBCASE("in one value") { /* nop */
  }
  SUBCASE("in shards") {
    set_small_payload_limit();
  }
  auto a = start("a");
  give_lease(a, 5);
  memory->when = [] { return kv_memory::timing::late; };
  auto first = ask(a.handle, put_atom_v, counts(2, 1000, 1));
  CHECK_FALSE(first->done());
  auto second = ask(a.handle, put_atom_v, counts(2, 1000, 2));
  CHECK(first->code() == ec::timeout);
  memory->when = nullptr;
  release_all();
  CHECK(second->value);
  CHECK(all_are(*a.last().value, 2));
}

// -- shards -------------------------------------------------------------------

TEST_CASE_FIXTURE(fixture,
                  "large counts are stored in shards, then the manifest") {
  set_small_payload_limit();
  auto a = start("a");
  auto b = start("b");
  give_lease(a, 5);
  auto large = counts(3, 1000, 7);
  REQUIRE(ask(a.handle, put_atom_v, large)->value);
  CHECK(root()
        == R"({"ByCluster":{},"sharded":{"bucket":"aiops-gateway",)"
           R"("manifest":"counts.5.1.manifest"}})");
  REQUIRE(memory->writes.size() > 6);
  CHECK(memory->writes.front().key == "counts.5.1.begin");
  CHECK(memory->writes.front().expected == 0);
  std::vector<std::string> order;
  for (auto& write : memory->writes) {
    CHECK(write.value.size() <= 16'384);
    if (!write.key.starts_with("history."))
      order.push_back(write.key);
  }
  CHECK(order.back() == "aggregation");
  CHECK(order[order.size() - 2] == "counts.5.1.manifest");
  CHECK(std::count(order.begin(), order.end(), "counts.5.1.shard.cluster=2E0.1")
        == 1);
  // Other replicas read it.
  REQUIRE(b.last().value);
  CHECK(b.last().value->clusters.size() == 3);
  for (auto& [id, cluster] : large->clusters)
    CHECK(b.last().value->clusters.at(id)->value() == cluster->value());
  CHECK(wall_now() - b.last().created < 1ms);
}

TEST_CASE_FIXTURE(fixture, "old generations are removed") {
  set_small_payload_limit();
  auto a = start("a");
  give_lease(a, 5);
  for (auto n = 1; n <= 4; ++n)
    REQUIRE(ask(a.handle, put_atom_v, counts(2, 1000, n))->value);
  CHECK(keys_with("counts.5.1.").empty());
  CHECK(keys_with("counts.5.2.").empty());
  CHECK_FALSE(keys_with("counts.5.3.").empty());
  CHECK_FALSE(keys_with("counts.5.4.").empty());
  // When the counts become small, all generations are removed.
  for (auto n = 1; n <= 2; ++n)
    REQUIRE(ask(a.handle, put_atom_v, counts(1, 1, n))->value);
  CHECK(keys_with("counts.").empty());
}

TEST_CASE_FIXTURE(fixture,
                  "a replica that takes over removes old generations") {
  set_small_payload_limit();
  auto a = start("a");
  auto b = start("b");
  give_lease(a, 5);
  REQUIRE(ask(a.handle, put_atom_v, counts(2, 1000, 1))->value);
  // An incomplete generation of an earlier term, and one of a later term.
  memory->store({own_bucket, "counts.4.9.begin", "{}", {}});
  memory->store({own_bucket, "counts.4.9.shard.c.0", "{}", {}});
  memory->store({own_bucket, "counts.8.1.begin", "{}", {}});
  take_lease(a);
  give_lease(b, 7);
  REQUIRE(ask(b.handle, put_atom_v, counts(2, 1000, 2))->value);
  CHECK(keys_with("counts.4.").empty());
  CHECK(keys_with("counts.8.").size() == 1);
  // A slow reader may still need the previous generation.
  CHECK_FALSE(keys_with("counts.5.1.").empty());
  REQUIRE(ask(b.handle, put_atom_v, counts(2, 1000, 3))->value);
  CHECK(keys_with("counts.5.").empty());
}

TEST_CASE_FIXTURE(fixture, "shards that cannot be written do not change the "
                           "counts") {
  set_small_payload_limit();
  auto a = start("a");
  auto b = start("b");
  give_lease(a, 5);
  REQUIRE(ask(a.handle, put_atom_v, counts(2, 1000, 1))->value);
  auto before = root();
  memory->refuse = [](const kv_write& x) -> caf::error {
    return x.key.find(".2.shard.") != std::string::npos
             ? make_error(ec::refused, "no space left")
             : caf::error{};
  };
  CHECK(ask(a.handle, put_atom_v, counts(2, 1000, 2))->code() == ec::refused);
  CHECK(root() == before);
  CHECK(keys_with("counts.5.2.").empty());
  CHECK(all_are(*b.last().value, 1));
  memory->refuse = nullptr;
  CHECK(ask(a.handle, put_atom_v, counts(2, 1000, 3))->value);
  CHECK(all_are(*b.last().value, 3));
}

TEST_CASE_FIXTURE(fixture, "writes without an answer are repeated in order") {
  set_small_payload_limit();
  auto a = start("a");
  auto b = start("b");
  give_lease(a, 5);
  memory->lose_answer = [n = 0](const kv_write&) mutable -> caf::error {
    return n++ % 3 == 0 ? make_error(ec::timeout, "lost") : caf::error{};
  };
  auto large = counts(2, 1000, 7);
  REQUIRE(ask(a.handle, put_atom_v, large)->value);
  REQUIRE(b.last().value);
  CHECK(b.last().value->clusters.at("cluster.1")->value()
        == large->clusters.at("cluster.1")->value());
}

TEST_CASE_FIXTURE(fixture, "writing stops when the lease ends") {
  set_small_payload_limit();
  auto a = start("a");
  give_lease(a, 5);
  memory->refuse = [&](const kv_write& x) -> caf::error {
    if (x.key.ends_with("cluster=2E1.0"))
      for (auto& to : a.leases->listeners)
        caf::anon_send(to, update_atom_v, lease_status{});
    return {};
  };
  CHECK(ask(a.handle, put_atom_v, counts(40, 1000, 1))->code() == ec::conflict);
  CHECK(root().empty());
}

TEST_CASE_FIXTURE(fixture, "a replica that was suspended overwrites nothing") {
  set_small_payload_limit();
  auto a = start("a");
  auto b = start("b");
  give_lease(a, 5);
  REQUIRE(ask(a.handle, put_atom_v, counts(2, 1000, 1))->value);
  // Replica `a` has the state from before it was suspended.
  memory->quiet = true;
  give_lease(b, 7);
  REQUIRE(ask(b.handle, put_atom_v, counts(2, 1000, 2))->value);
  auto newer = root();
  auto history = memory->value(own_bucket, keys_with("history.").front());
  auto sums = *history;
  memory->refuse = [&](const kv_write& x) -> caf::error {
    // It notices the end of its lease while it writes.
    if (x.bucket == root_bucket)
      for (auto& to : a.leases->listeners)
        caf::anon_send(to, update_atom_v, lease_status{});
    return {};
  };
  auto late = ask(a.handle, put_atom_v, counts(2, 1000, 1));
  CHECK(late->code() == ec::conflict);
  CHECK(root() == newer);
  CHECK(*memory->value(own_bucket, keys_with("history.").front()) == sums);
}

TEST_CASE_FIXTURE(fixture, "counts are stored again after an outage") {
  set_small_payload_limit();
  auto a = start("a");
  give_lease(a, 5);
  memory->down = make_error(ec::timeout, "silent");
  auto first = ask(a.handle, put_atom_v, counts(2, 1000, 1));
  CHECK(first->code() == ec::timeout);
  memory->down = {};
  CHECK(ask(a.handle, put_atom_v, counts(2, 1000, 2))->value);
  CHECK(all_are(*a.last().value, 2));
}

// -- following ----------------------------------------------------------------

TEST_CASE_FIXTURE(fixture, "an incomplete generation is not served") {
  set_small_payload_limit();
  auto a = start("a");
  give_lease(a, 5);
  REQUIRE(ask(a.handle, put_atom_v, counts(2, 1000, 1))->value);
  auto shard = kv_memory::place{own_bucket, "counts.5.1.shard.cluster=2E1.0"};
  auto good = memory->entries[shard];
  SUBCASE("a shard is missing") {
    memory->entries.erase(shard);
  }
  SUBCASE("a shard is invalid") {
    memory->entries[shard].value = "invalid";
  }
  SUBCASE("a shard belongs to another cluster") {
    memory->entries[shard].value = R"({"cluster":"x","namespaces":{}})";
  }
  auto b = start("b");
  advance(10s);
  CHECK(b.seen->empty());
  // It is read again.
  memory->entries[shard] = good;
  advance(5s);
  REQUIRE(b.seen->size() == 1);
  CHECK(all_are(*b.last().value, 1));
  CHECK(b.last().value->clusters.size() == 2);
}

TEST_CASE_FIXTURE(fixture, "a failure of counting reaches all replicas") {
  auto a = start("a");
  auto b = start("b");
  give_lease(a, 5);
  ask(a.handle, put_atom_v, counts(1, 1, 5));
  ask(a.handle, put_atom_v, std::string{"no connection to OpenSearch"});
  CHECK(b.last().failure == "no connection to OpenSearch");
  CHECK(all_are(*b.last().value, 5));
  ask(a.handle, put_atom_v, std::string{});
  CHECK(b.last().failure.empty());
  auto c = start("c");
  CHECK(c.last().failure.empty());
  // New counts also clear it, whichever replica stored it.
  ask(a.handle, put_atom_v, std::string{"no connection to OpenSearch"});
  take_lease(a);
  give_lease(b, 7);
  CHECK(b.last().failure == "no connection to OpenSearch");
  ask(b.handle, put_atom_v, counts(1, 1, 6));
  CHECK(b.last().failure.empty());
  CHECK(c.last().failure.empty());
  CHECK(all_are(*c.last().value, 6));
}

TEST_CASE_FIXTURE(fixture, "new counts clear a failure before its update "
                           "arrives") {
  auto a = start("a");
  give_lease(a, 5);
  memory->quiet = true;
  ask(a.handle, put_atom_v, std::string{"no connection to OpenSearch"});
  CHECK(*memory->value(own_bucket, "counts.failure")
        == R"({"failure":"no connection to OpenSearch"})");
  CHECK(ask(a.handle, put_atom_v, counts(1, 1, 6))->value);
  CHECK(*memory->value(own_bucket, "counts.failure") == R"({"failure":""})");
}

TEST_CASE_FIXTURE(fixture, "new counts clear a failure that is being written") {
  auto a = start("a");
  auto b = start("b");
  give_lease(a, 5);
  auto timing = kv_memory::timing::late;
  SUBCASE("and not stored yet") { /* nop */
  }
  SUBCASE("and not answered yet") {
    timing = kv_memory::timing::late_answer;
  }
  memory->when = [=] { return timing; };
  ask(a.handle, put_atom_v, std::string{"no connection to OpenSearch"});
  memory->when = nullptr;
  CHECK(ask(a.handle, put_atom_v, counts(1, 1, 6))->value);
  release_all();
  CHECK(stored_failure() == R"({"failure":""})");
  CHECK(b.last().failure.empty());
}

TEST_CASE_FIXTURE(fixture, "new counts clear a failure that may be stored") {
  auto a = start("a");
  auto b = start("b");
  give_lease(a, 5);
  auto lost = make_error(ec::timeout, "lost");
  SUBCASE("and was stored") {
    memory->lose_answer = [=](const kv_write& x) {
      return x.key == "counts.failure" ? lost : caf::error{};
    };
  }
  SUBCASE("and will be stored later") {
    memory->refuse = [=, this](const kv_write& x) {
      if (x.key != "counts.failure")
        return caf::error{};
      memory->held.push_back([=, this] { memory->store(x); });
      return lost;
    };
  }
  ask(a.handle, put_atom_v, std::string{"no connection to OpenSearch"});
  memory->lose_answer = nullptr;
  memory->refuse = nullptr;
  CHECK(ask(a.handle, put_atom_v, counts(1, 1, 6))->value);
  release_all();
  advance(1s);
  CHECK(stored_failure() == R"({"failure":""})");
  CHECK(b.last().failure.empty());
  CHECK(a.last().failure.empty());
}

TEST_CASE_FIXTURE(fixture, "a failure that cannot be stored is retried") {
  auto a = start("a");
  auto b = start("b");
  give_lease(a, 5);
  CHECK(ask(a.handle, put_atom_v, counts(1, 1, 6))->value);
  memory->down = make_error(ec::disconnected, "down");
  ask(a.handle, put_atom_v, std::string{"no connection to OpenSearch"});
  advance(1min);
  memory->down = {};
  advance(5s);
  CHECK(b.last().failure == "no connection to OpenSearch");
}

TEST_CASE_FIXTURE(fixture, "a late failure of another replica is cleared") {
  auto a = start("a");
  auto b = start("b");
  give_lease(a, 7);
  CHECK(ask(a.handle, put_atom_v, counts(1, 1, 6))->value);
  memory->store({own_bucket, "counts.failure", R"({"failure":"old"})", {}});
  run();
  CHECK(stored_failure() == R"({"failure":""})");
  CHECK(b.last().failure.empty());
}

// -- random faults ------------------------------------------------------------

TEST_CASE_FIXTURE(fixture,
                  "with random faults each put is answered and the last "
                  "counts are served") {
  std::minstd_rand random;
  auto below = [&](size_t n) { return random() % n; };
  uint64_t term = 1;
  for (auto round = 0u; round < 60; ++round) {
    CAPTURE(round);
    random.seed(round + 1);
    limits->max_payload = below(2) == 0 ? 16'640 : 1'048'576;
    std::vector<store_replica> replicas{start("a"), start("b")};
    std::vector<answer_ptr<stored_breakdown>> answers;
    auto fault = [&](const kv_write&) {
      static constexpr ec codes[] = {ec::timeout, ec::conflict, ec::refused,
                                     ec::disconnected};
      return below(8) == 0 ? make_error(codes[below(4)], "at random")
                           : caf::error{};
    };
    memory->refuse = fault;
    memory->lose_answer = fault;
    memory->when = [&] {
      auto n = below(6);
      return n < 4 ? kv_memory::timing::at_once
                   : static_cast<kv_memory::timing>(n - 3);
    };
    for (auto step = 0; step < 40; ++step) {
      auto& one = replicas[below(2)];
      switch (below(6)) {
        case 0:
          take_lease(replicas[0]);
          take_lease(replicas[1]);
          give_lease(one, ++term);
          break;
        case 1:
        case 2:
          answers.push_back(
            ask(one.handle, put_atom_v, counts(1 + below(3), 300, step)));
          break;
        case 3:
          ask(one.handle, put_atom_v,
              std::string{below(2) == 0 ? "a failure" : ""});
          break;
        case 4:
          advance(caf::timespan{std::chrono::seconds{below(3)}});
          break;
        default:
          if (!memory->held.empty())
            release(below(memory->held.size()));
      }
    }
    memory->refuse = memory->lose_answer = nullptr;
    memory->when = nullptr;
    release_all();
    advance(1min);
    for (auto& answer : answers)
      CHECK(answer->done());
    take_lease(replicas[1]);
    give_lease(replicas[0], ++term);
    CHECK(ask(replicas[0].handle, put_atom_v, counts(3, 300, 1000))->value);
    advance(10s);
    CHECK(stored_failure().find("a failure") == std::string::npos);
    for (auto& replica : replicas) {
      CHECK(replica.last().value->clusters.size() == 3);
      CHECK(all_are(*replica.last().value, 1000));
      CHECK(replica.last().failure.empty());
      kill(replica.handle);
    }
    memory->listeners.clear();
    memory->entries.clear();
  }
}

// -- history ------------------------------------------------------------------

TEST_CASE_FIXTURE(fixture, "the last sums of each interval are stored") {
  auto a = start("a");
  give_lease(a, 5);
  CHECK(ask(a.handle, get_atom_v)->value->empty());
  for (auto n = 1; n <= 4; ++n) {
    REQUIRE(ask(a.handle, put_atom_v, counts(2, 3, n))->value);
    advance(150s);
  }
  auto b = start("b");
  auto points = *ask(b.handle, get_atom_v)->value;
  std::sort(points.begin(), points.end(),
            [](auto& x, auto& y) { return x.at < y.at; });
  REQUIRE(points.size() >= 2);
  REQUIRE(points.size() <= 3);
  CHECK(points.back().log_counts
        == decltype(history_point::log_counts){{"cluster.0", 12},
                                               {"cluster.1", 12}});
  CHECK(points.back().at - points.front().at >= std::chrono::minutes{5});
  CHECK(points.front().at.time_since_epoch() % history_interval == 0s);
  memory->down = make_error(ec::disconnected, "down");
  CHECK(ask(b.handle, get_atom_v)->code() == ec::disconnected);
}

TEST_CASE_FIXTURE(fixture, "the history is limited to a day") {
  auto a = start("a");
  a.leases->publish({true, 5, now() + 72h});
  run();
  for (auto n = 0; n < 300; ++n) {
    REQUIRE(ask(a.handle, put_atom_v, counts(1, 1, n))->value);
    advance(5min);
  }
  CHECK(keys_with("history.").size() == history_length);
  CHECK(ask(a.handle, get_atom_v)->value->size() == history_length);
}
