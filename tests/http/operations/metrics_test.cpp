#include "tests/http/fixture.hpp"

#include "base/error.hpp"

#include <doctest/doctest.h>

#include <sstream>

using namespace aiops;
using namespace aiops::test;
using namespace std::literals;

namespace {

/// The samples by name (labels included); the types have keys `TYPE name`.
std::map<std::string, std::string> scrape(const gateway& gw) {
  auto got = gw.get("/metrics");
  CHECK(got.status == 200);
  CHECK(got.header("content-type") == "text/plain; version=0.0.4");
  CHECK(got.body.ends_with('\n'));
  std::map<std::string, std::string> result;
  std::istringstream lines{got.body};
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# HELP "))
      continue;
    if (line.starts_with("# "))
      line.erase(0, 2);
    auto space = line.rfind(' ');
    REQUIRE(space != std::string::npos);
    auto key = line.substr(0, space);
    CHECK(key.find("aiops_gateway_") != std::string::npos);
    CHECK(result.emplace(key, line.substr(space + 1)).second);
  }
  return result;
}

const auto build_info
  = "aiops_gateway_build_info{version=\"" AIOPS_GATEWAY_VERSION "\"}"s;

} // namespace

TEST_CASE("metrics show the state of the aggregation") {
  gateway gw;
  gw.script([](auto& x) {
    x.overview.clusters = {{"secret-name", 1, 20, 3}, {"d", 1, 2, 3}};
    x.overview.aggregated_at = std::chrono::system_clock::time_point{
      1'769'860'800'250ms};
    x.overview.stale = true;
    x.overview.aggregating = true;
    x.overview.aggregations = 7;
    x.overview.failures = 2;
    x.overview.took = 1500ms;
  });
  auto got = scrape(gw);
  auto gauge = [&](const std::string& key) {
    CHECK(got["TYPE aiops_gateway_" + key] == "gauge");
    return got["aiops_gateway_" + key];
  };
  auto counter = [&](const std::string& key) {
    CHECK(got["TYPE aiops_gateway_" + key] == "counter");
    return got["aiops_gateway_" + key];
  };
  CHECK(got[build_info] == "1");
  CHECK(gauge("nats_connected") == "1");
  CHECK(std::stod(gauge("aggregation_last_success_timestamp_seconds"))
        == doctest::Approx(1'769'860'800.25).epsilon(1e-13));
  CHECK(gauge("aggregation_stale") == "1");
  CHECK(gauge("aggregation_leader") == "1");
  CHECK(counter("aggregations_total") == "7");
  CHECK(counter("aggregation_failures_total") == "2");
  CHECK(gauge("aggregation_duration_seconds") == "1.5");
  CHECK(gauge("aggregation_clusters") == "2");
  CHECK(gauge("aggregation_workloads") == "22");
  CHECK(gw.get("/metrics").body.find("secret-name") == std::string::npos);
}

TEST_CASE("metrics show the training and the clients of events") {
  gateway gw;
  auto got = scrape(gw);
  auto state = [&](const std::string& which) {
    return got["aiops_gateway_training_state{state=\"" + which + "\"}"];
  };
  CHECK(state("none") == "1");
  CHECK(state("training") == "0");
  CHECK(got["aiops_gateway_backend_reachable"] == "0");
  CHECK(got["aiops_gateway_store_losses_total"] == "0");
  CHECK(got["TYPE aiops_gateway_store_losses_total"] == "counter");
  CHECK(got["aiops_gateway_event_clients"] == "0");
  CHECK(got["aiops_gateway_event_clients_cut_off_total"] == "0");
  CHECK(got["TYPE aiops_gateway_event_clients_cut_off_total"] == "counter");
  gw.script([](auto& x) {
    training_overview overview;
    overview.book.training.emplace();
    overview.book.training->state = job_state::fetching_data;
    overview.backend.reachable = true;
    overview.losses = 2;
    x.training = make_snapshot(overview);
  });
  auto client = gw.connect();
  client.send("GET /api/v1/events HTTP/1.1\r\n\r\n");
  CHECK(client.receive(true).status == 200);
  got = scrape(gw);
  CHECK(state("none") == "0");
  CHECK(state("fetching data") == "1");
  auto ones = 0;
  for (auto& [key, value] : got)
    ones += key.starts_with("aiops_gateway_training_state{") && value == "1";
  CHECK(ones == 1);
  CHECK(got["aiops_gateway_backend_reachable"] == "1");
  CHECK(got["aiops_gateway_store_losses_total"] == "2");
  CHECK(got["aiops_gateway_event_clients"] == "1");
}

TEST_CASE("metrics omit values that do not exist yet") {
  gateway gw;
  gw.script([](auto& x) { x.bus.connected = false; });
  auto got = scrape(gw);
  CHECK(got["aiops_gateway_nats_connected"] == "0");
  CHECK(got["aiops_gateway_aggregation_stale"] == "0");
  CHECK(got["aiops_gateway_aggregation_leader"] == "0");
  CHECK(got["aiops_gateway_aggregations_total"] == "0");
  CHECK(
    !got.contains("aiops_gateway_aggregation_last_success_timestamp_seconds"));
  CHECK(!got.contains("aiops_gateway_aggregation_duration_seconds"));
}

TEST_CASE("metrics do not depend on the actors") {
  gateway gw;
  gw.script([](auto& x) { x.mute = true; });
  auto start = std::chrono::steady_clock::now();
  auto got = scrape(gw);
  CHECK(std::chrono::steady_clock::now() - start < 5s);
  CHECK(got.contains(build_info));
  CHECK(!got.contains("aiops_gateway_nats_connected"));
  CHECK(!got.contains("aiops_gateway_aggregation_stale"));
  CHECK(!got.contains("aiops_gateway_backend_reachable"));
  CHECK(got.contains("aiops_gateway_event_clients"));
  gw.actors().set({});
  got = scrape(gw);
  CHECK(got.contains(build_info));
  CHECK(!got.contains("aiops_gateway_aggregation_stale"));
}

TEST_CASE("metrics ignore the query") {
  gateway gw;
  CHECK(gw.get("/metrics?x=%zz").status == 200);
  CHECK(gw.get("/livez?x=%zz").status == 200);
  CHECK(gw.get("/ModelTraining/gpu_info?x=1&x=2").status == 200);
}
