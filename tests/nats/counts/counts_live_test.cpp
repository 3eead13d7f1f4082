#include "nats/bus.hpp"
#include "nats/counts/counts_store.hpp"
#include "nats/kv_store.hpp"
#include "nats/lease.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/live_system.hpp"
#include "tests/support/nats_server.hpp"

#include <doctest/doctest.h>

using namespace aiops;
using namespace aiops::nats;
using namespace aiops::test;
using namespace std::chrono_literals;

namespace {

using updates = std::shared_ptr<mailbox_of<stored_breakdown>>;

breakdown_listener_actor::behavior_type
listener(breakdown_listener_actor::pointer, updates seen) {
  return {
    [seen](update_atom, const stored_breakdown& x) { seen->push(x); },
  };
}

/// The actors that store counts in one replica.
struct replica {
  replica(live_system& sys, const nats_server& server, std::string owner)
    : system(sys) {
    bus_config to;
    to.nats.urls = {server.url()};
    to.last_backoff = 100ms;
    handle = sys.spawn_detached(bus, to);
    kv_store_config kv_cfg;
    // Creating a bucket may take long on a busy disk.
    kv_cfg.request_timeout = 10s;
    kv = sys.spawn(kv_store, handle, kv_cfg);
    term = sys.spawn(
      lease, kv, lease_config{"aiops-gateway", "lease.aggregation", owner, 3s});
    counts_store_config cfg;
    cfg.owner = owner;
    cfg.request_timeout = 10s;
    store = sys.spawn_detached(counts_store, handle, kv, term, cfg);
    sys.ask<caf::unit_t>(store, subscribe_atom_v,
                         breakdown_listener_actor{sys.spawn(listener, seen)});
  }

  bool put(const breakdown_ptr& counts) {
    return eventually([&] {
      return static_cast<bool>(
        system.ask<stored_breakdown>(store, put_atom_v, counts));
    });
  }

  /// Waits for counts of that many clusters.
  breakdown_ptr wait_for(size_t clusters) {
    breakdown_ptr result;
    eventually([&] {
      auto all = seen->all();
      if (!all.empty() && all.back().value
          && all.back().value->clusters.size() == clusters)
        result = all.back().value;
      return result != nullptr;
    });
    return result;
  }

  std::vector<std::string> keys(const std::string& pattern) {
    return system
      .ask<std::vector<std::string>>(kv, list_atom_v,
                                     std::string{"aiops-gateway"}, pattern)
      .value();
  }

  live_system& system;
  bus_actor handle;
  kv_store_actor kv;
  lease_actor term;
  counts_store_actor store;
  updates seen = std::make_shared<mailbox_of<stored_breakdown>>();
};

/// A few hundred workloads do not fit into one value.
const auto small_values = std::string{"jetstream: enabled\nmax_payload: 65536"};

/// Has names that must be encoded, and does not fit into one value.
breakdown_ptr large_counts(size_t clusters) {
  std::string longest;
  for (auto i = 0; i < 253; ++i)
    longest += "\xf0\x9f\x98\x80";
  breakdown_builder builder;
  for (size_t i = 0; i + 1 < clusters; ++i)
    for (auto j = 0; j < 300; ++j)
      builder.add("cluster.*.> ä " + std::to_string(i), "name space",
                  "deployment." + std::to_string(j), j);
  builder.add(longest, longest, longest, 7);
  return builder.finish();
}

} // namespace

TEST_CASE("counts above the limit of the server reach other replicas") {
  nats_server server{small_values};
  live_system sys;
  replica a{sys, server, "a"};
  auto counts = large_counts(12);
  REQUIRE(a.put(counts));
  CHECK(a.keys("counts.*.*.begin").size() == 1);
  replica b{sys, server, "b"};
  auto got = b.wait_for(12);
  REQUIRE(got);
  for (auto& [id, cluster] : counts->clusters)
    CHECK(got->clusters.at(id)->value() == cluster->value());
  // Old generations are removed.
  for (size_t clusters = 13; clusters < 16; ++clusters)
    REQUIRE(a.put(large_counts(clusters)));
  CHECK(b.wait_for(15));
  CHECK(eventually([&] { return a.keys("counts.*.*.begin").size() == 2; }));
  CHECK(eventually([&] { return a.keys("counts.*.1.>").empty(); }));
  // Small counts are stored as one value again.
  REQUIRE(a.put(large_counts(1)));
  CHECK(b.wait_for(1));
}

TEST_CASE("another replica takes the lease and stores counts") {
  nats_server server{small_values};
  live_system sys;
  replica a{sys, server, "a"};
  REQUIRE(a.put(large_counts(12)));
  replica b{sys, server, "b"};
  REQUIRE(b.wait_for(12));
  CHECK_FALSE(sys.ask<stored_breakdown>(b.store, put_atom_v, large_counts(13)));
  SUBCASE("after it was released") {
    caf::anon_send_exit(a.term, caf::exit_reason::user_shutdown);
  }
  SUBCASE("after it was not renewed") {
    caf::anon_send_exit(a.term, caf::exit_reason::kill);
  }
  SUBCASE("after a restart of the server") {
    caf::anon_send_exit(a.term, caf::exit_reason::kill);
    server.kill();
    server.start();
  }
  REQUIRE(b.put(large_counts(13)));
  CHECK(a.wait_for(13));
  CHECK_FALSE(sys.ask<stored_breakdown>(a.store, put_atom_v, large_counts(14)));
}
