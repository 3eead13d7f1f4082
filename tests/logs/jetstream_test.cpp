#include "logs/jetstream.hpp"
#include "nats/bus.hpp"
#include "nats/subjects.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/live_system.hpp"
#include "tests/support/nats_server.hpp"

#include <doctest/doctest.h>

using namespace aiops;
using namespace aiops::logs;
using namespace aiops::nats;
using namespace aiops::test;

namespace {

struct stack : live_system {
  explicit stack(const nats_server& server) {
    bus_config cfg;
    cfg.nats.urls = {server.url()};
    bus_handle = spawn_detached(bus, std::move(cfg));
    source = spawn_detached(jetstream_log_source, bus_handle,
                            jetstream_log_source_config{});
    auto connected = [&] {
      return ask<bus_status>(bus_handle, status_atom_v)->connected;
    };
    REQUIRE(eventually(connected));
  }

  caf::expected<breakdown_ptr> count() {
    return ask<breakdown_ptr>(source, count_atom_v);
  }

  /// Stores one log message and waits until the server has it.
  bool log(const std::string& subject) {
    return bool{ask<bus_reply>(
      bus_handle, request_atom_v,
      bus_request{subject, "line", {}, std::chrono::seconds{5}})};
  }

  bus_actor bus_handle;
  log_source_actor source;
};

} // namespace

TEST_CASE("messages are counted by their subjects, whatever the names") {
  nats_server server;
  stack s{server};
  auto first = s.count();
  REQUIRE(first);
  CHECK((*first)->clusters.empty());
  auto odd = std::string{"my.cluster: ä/日本"};
  REQUIRE(s.log(subjects::log_subject("logs", odd, "kube-system", "dns")));
  REQUIRE(s.log(subjects::log_subject("logs", odd, "kube-system", "dns")));
  REQUIRE(s.log(subjects::log_subject("logs", odd, "default", "web")));
  REQUIRE(s.log(subjects::log_subject("logs", "b", "default", "web")));
  // Not a workload: ignored, and not an error.
  REQUIRE(s.log("logs.only.two"));
  REQUIRE(s.log("logs.bad.%zz.token"));
  auto counts = s.count();
  REQUIRE(counts);
  CHECK(summarize(**counts)
        == std::vector<cluster_summary>{{"b", 1, 1, 1}, {odd, 2, 2, 3}});
}

TEST_CASE("a stream without JetStream, or a lost server, is an error") {
  nats_server server{""};
  stack s{server};
  CHECK(code_of(s.count().error()) == ec::disconnected);
  server.kill();
  // Before or after the bus has noticed it.
  auto code = code_of(s.count().error());
  CHECK((code == ec::disconnected || code == ec::lost_in_flight));
}

TEST_CASE("an existing stream is left as it is") {
  nats_server server;
  stack s{server};
  auto made = s.ask<bus_reply>(
    s.bus_handle, request_atom_v,
    bus_request{"$JS.API.STREAM.CREATE.logs",
                R"({"name":"logs","subjects":["logs.>"],"storage":"memory",)"
                R"("retention":"limits","max_msgs":2,"num_replicas":1})",
                {},
                std::chrono::seconds{5}});
  REQUIRE(made);
  for (auto i = 0; i < 5; ++i)
    REQUIRE(s.log("logs.c.n.d"));
  auto counts = s.count();
  REQUIRE(counts);
  CHECK(summarize(**counts) == std::vector<cluster_summary>{{"c", 1, 1, 2}});
}
