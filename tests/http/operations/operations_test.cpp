#include "tests/http/fixture.hpp"

#include "base/error.hpp"
#include "http/v1/v1_json.hpp"

#include <doctest/doctest.h>
#include <httplib.h>
#include <nlohmann/json.hpp>

using namespace aiops;
using namespace aiops::http;
using namespace aiops::test;
using namespace std::literals;
using nlohmann::json;

TEST_CASE("an ordinary client is served") {
  gateway gw;
  httplib::Client client{"127.0.0.1", gw.port()};
  client.set_keep_alive(true);
  for (auto i = 0; i < 20; ++i) {
    auto got = client.Get("/ModelTraining/gpu_info");
    REQUIRE(got);
    CHECK(got->status == 200);
    CHECK(got->has_header("Keep-Alive"));
  }
  auto got = client.Post("/ModelTraining/model/train", "{}",
                         "application/json");
  REQUIRE(got);
  CHECK(got->status == 200);
}

TEST_CASE("the clusters are listed with real integers") {
  gateway gw;
  auto before = json::parse(gw.get("/api/v1/clusters").body);
  CHECK(before["clusters"] == json::array());
  CHECK(before["aggregatedAt"].is_null());
  gw.script([](auto& x) {
    x.overview.clusters = {{"c", 1, 2, 3}};
    x.overview.aggregated_at = std::chrono::system_clock::time_point{1s};
    x.overview.stale = true;
    x.overview.reason = "the source is away";
    x.overview.source = "jetstream";
    x.overview.aggregating = true;
  });
  auto got = gw.get("/api/v1/clusters");
  CHECK(got.status == 200);
  CHECK(got.header("cache-control") == "no-store");
  CHECK(got.header("content-type").starts_with("application/json"));
  auto body = json::parse(got.body);
  CHECK(
    body["clusters"][0]
    == json(
      {{"id", "c"}, {"namespaces", 1}, {"deployments", 2}, {"logCount", 3}}));
  CHECK(body["aggregatedAt"] == "1970-01-01T00:00:01.000Z");
  CHECK(body["stale"] == true);
  CHECK(body["reason"] == "the source is away");
  CHECK(body["source"] == "jetstream");
  CHECK(body["aggregating"] == true);
}

TEST_CASE("the age of the clusters is that at the time of the answer") {
  gateway gw;
  auto age = [&] {
    return json::parse(gw.get("/api/v1/clusters").body)["ageSeconds"];
  };
  CHECK(age().is_null());
  auto written = std::chrono::system_clock::now() - 100s;
  // One snapshot for both requests.
  auto overview = gw.script([&](auto& x) {
    x.overview.aggregated_at = written;
    return x.prepared = make_snapshot(x.overview);
  });
  auto first = age().template get<int>();
  CHECK(first >= 100);
  CHECK(first < 110);
  CHECK(eventually([&] { return age().template get<int>() > first; }));
  CHECK(overview->bytes([](auto&) { return "rendered again"s; })
        == to_json(overview->value()));
}

TEST_CASE("errors under /api/v1 are problem details") {
  gateway gw;
  auto missing = gw.get("/api/v1/nothing");
  CHECK(missing.status == 404);
  CHECK(missing.header("content-type") == "application/problem+json");
  CHECK(json::parse(missing.body)["status"] == 404);
  auto other = gw.ask("DELETE", "/api/v1/clusters");
  CHECK(other.status == 405);
  CHECK(other.header("allow") == "GET, HEAD, OPTIONS");
  CHECK(other.header("content-type") == "application/problem+json");
  auto refused = gw.ask("POST", "/api/v1/clusters");
  CHECK(refused.status == 411);
  CHECK(refused.header("content-type") == "application/problem+json");
  gw.actors().set({});
  auto starting = gw.get("/api/v1/clusters");
  CHECK(starting.status == 503);
  CHECK(starting.header("retry-after") == "1");
  CHECK(json::parse(starting.body)["title"] == "Service Unavailable");
}

TEST_CASE("liveness and version do not depend on the actors") {
  gateway gw;
  gw.actors().set({});
  CHECK(gw.get("/livez").status == 200);
  auto version = json::parse(gw.get("/version").body);
  CHECK(version["name"] == "aiops-gateway");
  CHECK(version["version"].is_string());
}

TEST_CASE("readiness depends on the actors and NATS") {
  gateway gw;
  auto got = gw.get("/readyz");
  CHECK(got.status == 200);
  auto body = json::parse(got.body);
  CHECK(body["ready"] == true);
  CHECK(body["checks"]["actors"]["ok"] == true);
  CHECK(body["checks"]["nats"]["ok"] == true);
  // Counts are served with their age, so they do not affect readiness.
  CHECK(body["checks"]["counts"]["ok"] == false);

  gw.script([](auto& x) {
    x.bus = bus_status{};
    x.bus.reason = "connection \"refused\"";
  });
  got = gw.get("/readyz");
  CHECK(got.status == 503);
  CHECK(got.header("retry-after") == "1");
  body = json::parse(got.body);
  CHECK(body["ready"] == false);
  CHECK(body["checks"]["nats"]["reason"] == "connection \"refused\"");

  gw.actors().set({});
  got = gw.get("/readyz");
  CHECK(got.status == 503);
  body = json::parse(got.body);
  CHECK(body["checks"]["actors"]["ok"] == false);
}

TEST_CASE("what a power failure may cost is reported on demand") {
  gateway gw;
  CHECK(!json::parse(gw.get("/readyz").body).contains("durability"));
  CHECK(!json::parse(gw.get("/readyz?x=1").body).contains("durability"));
  auto asked = [&](std::string_view target) {
    auto got = gw.get(target);
    CHECK(got.status == 200);
    auto body = json::parse(got.body);
    CHECK(body["checks"]["nats"]["ok"] == true);
    return body["durability"];
  };
  auto unknown = asked("/readyz?verbose");
  CHECK(unknown["synced"].is_null());
  CHECK(unknown["replicas"].is_null());
  CHECK(unknown["powerFailureMayCost"] == "unknown: see docs/operations.md");
  gw.script([](auto& x) { x.durability = {true, 3, "nothing \"at all\""}; });
  CHECK(asked("/readyz?verbose=1")
        == json({{"synced", true},
                 {"replicas", 3},
                 {"powerFailureMayCost", "nothing \"at all\""}}));
}

TEST_CASE("every answer has a request id") {
  gateway gw;
  auto got = gw.ask("GET", "/livez", {}, "X-Request-Id: abc-1\r\n");
  CHECK(got.header("x-request-id") == "abc-1");
  auto first = gw.get("/livez").header("x-request-id");
  CHECK(first.size() == 16);
  CHECK(gw.get("/livez").header("x-request-id") != first);
  got = gw.ask("GET", "/livez", {}, "X-Request-Id: a%0d%0aEvil: 1\r\n");
  CHECK(got.header("x-request-id").size() == 16);
  CHECK(!got.headers.contains("evil"));
  CHECK(gw.ask("POST", "/livez").header("x-request-id").size() == 16);
}

TEST_CASE("Range is ignored and the compatibility API is not compressed") {
  gateway gw;
  auto got = gw.ask("GET", "/ModelTraining/gpu_info", {},
                    "Range: bytes=0-3\r\nAccept-Encoding: br, gzip\r\n");
  CHECK(got.status == 200);
  CHECK(!got.headers.contains("content-encoding"));
  CHECK(got.body.starts_with(R"({"items":)"));
}
