#include "tests/http/fixture.hpp"
#include "tests/http/gunzip.hpp"

#include "base/error.hpp"
#include "base/time.hpp"
#include "http/v1/v1_json.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

using namespace aiops;
using namespace aiops::http;
using namespace aiops::test;
using namespace std::literals;
using nlohmann::json;

namespace {

const auto workloads = "/api/v1/clusters/c/workloads"s;
const auto history = "/api/v1/clusters/c/history"s;

/// Counts of `n` deployments in the namespaces a and b.
snapshot_ptr<cluster_counts> counts_of(int n) {
  breakdown_builder builder;
  for (auto i = 0; i < n; ++i)
    builder.add("c", i % 2 == 0 ? "a" : "b", "d" + std::to_string(i), i);
  return builder.finish()->clusters.at("c");
}

void serve(gateway& gw, const snapshot_ptr<cluster_counts>& counts) {
  gw.script([&](auto& x) { x.counts = counts; });
}

/// A history that ends with the current interval.
cluster_history recent_history(int n) {
  using interval = std::chrono::duration<int64_t, std::ratio<300>>;
  auto now = std::chrono::system_clock::now();
  auto last = std::chrono::floor<interval>(now);
  cluster_history result{"c", {}};
  for (auto i = n - 1; i >= 0; --i)
    result.points.push_back({last - interval{i}, 10 * (n - i)});
  return result;
}

void serve(gateway& gw, cluster_history x) {
  gw.script(
    [&](auto& script) { script.history = make_snapshot(std::move(x)); });
}

json body_of(const raw_response& got) {
  CHECK(got.status == 200);
  CHECK(got.header("content-type").starts_with("application/json"));
  return json::parse(got.body);
}

/// Checks that an answer is a problem with this status. Returns its detail.
std::string problem_of(const raw_response& got, int status) {
  CHECK(got.status == status);
  CHECK(got.header("content-type") == "application/problem+json");
  CHECK(!got.headers.contains("etag"));
  auto body = json::parse(got.body);
  CHECK(body["status"] == status);
  return body["detail"].get<std::string>();
}

std::string deployments(const json& body) {
  std::string result;
  for (auto& x : body["items"])
    result += x["deployment"].get<std::string>() + " ";
  return result;
}

} // namespace

// -- workloads ----------------------------------------------------------------

TEST_CASE("the workloads of a cluster are listed with real integers") {
  gateway gw;
  auto body = body_of(gw.get(workloads));
  CHECK(body
        == json({{"clusterId", "c"},
                 {"total", 1},
                 {"items", json::array({{{"namespace", "n"},
                                         {"deployment", "d"},
                                         {"logCount", 123}}})},
                 {"nextCursor", nullptr}}));
  gw.get("/api/v1/clusters/%C3%A4%2F1/workloads");
  CHECK(gw.script([](auto& x) { return x.clusters_asked.back(); })
        == "\xc3\xa4/1");
}

TEST_CASE("workloads are filtered, sorted and paged") {
  gateway gw;
  serve(gw, counts_of(6));
  CHECK(deployments(body_of(gw.get(workloads))) == "d0 d2 d4 d1 d3 d5 ");
  auto get = [&](const std::string& query) {
    return body_of(gw.get(workloads + "?" + query));
  };
  CHECK(deployments(get("sort=-name")) == "d5 d3 d1 d4 d2 d0 ");
  CHECK(deployments(get("sort=logCount")) == "d0 d1 d2 d3 d4 d5 ");
  auto body = get("sort=-logCount&namespace=b&limit=2");
  CHECK(deployments(body) == "d5 d3 ");
  CHECK(body["total"] == 3);
  body = get("sort=-logCount&namespace=%62&limit=2&cursor="
             + body["nextCursor"].get<std::string>());
  CHECK(deployments(body) == "d1 ");
  CHECK(body["total"] == 3);
  CHECK(body["nextCursor"].is_null());
  body = get("namespace=other");
  CHECK(body["total"] == 0);
  CHECK(body["items"] == json::array());
  CHECK(deployments(get("namespace=&sort=&limit=&cursor="))
        == "d0 d2 d4 d1 d3 d5 ");
}

TEST_CASE("a page of workloads has 100 rows by default") {
  gateway gw;
  serve(gw, counts_of(2000));
  auto size = [&](const std::string& query) {
    return body_of(gw.get(workloads + query))["items"].size();
  };
  CHECK(size("") == 100);
  CHECK(size("?limit=1") == 1);
  CHECK(size("?limit=1000") == 1000);
}

TEST_CASE("workloads of an unknown cluster are not found") {
  gateway gw;
  serve(gw, make_snapshot(cluster_counts{"c", {}}));
  problem_of(gw.get(workloads), 404);
  problem_of(gw.ask("GET", workloads, {}, "If-None-Match: *\r\n"), 404);
}

TEST_CASE("an error names the wrong parameter of workloads") {
  gateway gw;
  serve(gw, counts_of(6));
  auto cursor
    = body_of(gw.get(workloads + "?limit=1"))["nextCursor"].get<std::string>();
  for (auto& [query, part] : std::vector<std::pair<std::string, std::string>>{
         {"limit=0", "limit"},
         {"limit=1001", "limit"},
         {"limit=+1", "limit"},
         {"sort=size", "sort"},
         {"cursor=nonsense", "cursor"},
         {"sort=-name&cursor=" + cursor, "cursor"},
         {"namespace=b&cursor=" + cursor, "cursor"},
         {"namespace=%00", "namespace"},
         {"hours=1", "hours"},
         {"Limit=1", "Limit"},
         {"limit=1&limit=1", "limit"},
         {"limit=%zz", "percent"},
         {"namespace=%", "percent"}}) {
    CAPTURE(query);
    auto text = problem_of(gw.get(workloads + "?" + query), 400);
    CHECK(text.find(part) != std::string::npos);
  }
  // None of them reached the actor.
  CHECK(gw.script([](auto& x) { return x.clusters_asked.size(); }) == 1);
  problem_of(gw.get("/api/v1/clusters/%00/workloads"), 400);
  problem_of(gw.get("/api/v1/clusters/%zz/workloads"), 400);
  problem_of(gw.get("/api/v1/clusters?limit=1"), 400);
  CHECK(problem_of(gw.ask("PUT", workloads, "{}"), 405).find("GET")
        != std::string::npos);
}

TEST_CASE("errors of the actors are problem details") {
  gateway gw;
  gw.script([](auto& x) {
    x.counts = make_error(ec::disconnected, "no connection");
    x.history = make_error(ec::disconnected, "no connection");
  });
  for (auto& path : {workloads, history}) {
    auto got = gw.get(path);
    CHECK(problem_of(got, 503) == "no connection");
    CHECK(got.header("retry-after") == "1");
  }
  gw.actors().set({});
  for (auto& path : {workloads, history})
    problem_of(gw.get(path), 503);
}

TEST_CASE("silent actors are 504 within the deadline") {
  deadline_config deadlines;
  deadlines.request = 50ms;
  gateway gw{nullptr, deadlines};
  gw.script([](auto& x) { x.mute = true; });
  problem_of(gw.get(workloads), 504);
  problem_of(gw.get(history), 504);
}

// -- conditional requests and compression -------------------------------------

TEST_CASE("unchanged counts are not sent again") {
  gateway gw;
  serve(gw, counts_of(100));
  auto first = gw.get(workloads);
  auto etag = first.header("etag");
  CHECK(etag.starts_with("W/\""));
  CHECK(first.header("vary") == "Accept-Encoding");
  CHECK(first.header("cache-control") == "no-cache");
  auto ask = [&](const std::string& tags) {
    return gw.ask("GET", workloads, {}, "If-None-Match: " + tags + "\r\n");
  };
  // The next aggregation has the same counts.
  serve(gw, counts_of(100));
  for (auto& tags : {etag, etag.substr(2), "\"x\", " + etag, "*"s,
                     "\"x\"\r\nIf-None-Match: " + etag}) {
    CAPTURE(tags);
    auto got = ask(tags);
    CHECK(got.status == 304);
    CHECK(got.body.empty());
    CHECK(got.header("etag") == etag);
    CHECK(got.header("vary") == "Accept-Encoding");
    CHECK(got.header("cache-control") == "no-cache");
    CHECK(!got.headers.contains("content-length"));
    CHECK(!got.headers.contains("content-type"));
  }
  CHECK(ask("\"x\"").status == 200);
  CHECK(ask("nonsense").status == 200);
  auto other = gw.ask("GET", workloads + "?limit=5", {},
                      "If-None-Match: " + etag + "\r\n");
  CHECK(other.status == 200);
  serve(gw, counts_of(99));
  auto changed = ask(etag);
  CHECK(changed.status == 200);
  CHECK(changed.header("etag") != etag);
}

TEST_CASE("a connection stays open after 304") {
  gateway gw;
  auto client = gw.connect();
  for (auto i = 0; i < 3; ++i) {
    client.send("GET " + workloads
                + " HTTP/1.1\r\nHost: x\r\nIf-None-Match: *\r\n\r\n");
    CHECK(client.receive(true).status == 304);
    CHECK(client.ask("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").status == 200);
  }
}

TEST_CASE("large answers are compressed on request") {
  gateway gw;
  serve(gw, counts_of(100));
  serve(gw, recent_history(288));
  for (auto& path : {workloads, history}) {
    CAPTURE(path);
    auto plain = gw.get(path);
    CHECK(!plain.headers.contains("content-encoding"));
    auto got = gw.ask("GET", path, {}, "Accept-Encoding: br, gzip\r\n");
    CHECK(got.status == 200);
    CHECK(got.header("content-encoding") == "gzip");
    CHECK(got.header("vary") == "Accept-Encoding");
    CHECK(got.header("etag") == plain.header("etag"));
    CHECK(got.header("content-type").starts_with("application/json"));
    CHECK(got.body.size() < plain.body.size() / 3);
    CHECK(gunzip(got.body) == plain.body);
    auto refused = gw.ask("GET", path, {}, "Accept-Encoding: *;q=0\r\n");
    CHECK(refused.body == plain.body);
  }
  serve(gw, counts_of(1));
  auto small = gw.ask("GET", workloads, {}, "Accept-Encoding: gzip\r\n");
  CHECK(!small.headers.contains("content-encoding"));
  CHECK(small.header("vary") == "Accept-Encoding");
}

TEST_CASE("HEAD has the headers of GET") {
  gateway gw;
  serve(gw, counts_of(100));
  for (auto fields :
       {"", "Accept-Encoding: gzip\r\n", "If-None-Match: *\r\n"}) {
    CAPTURE(fields);
    auto get = gw.ask("GET", workloads, {}, fields);
    auto head = gw.ask("HEAD", workloads, {}, fields);
    CHECK(head.status == get.status);
    CHECK(head.body.empty());
    get.headers.erase("x-request-id");
    head.headers.erase("x-request-id");
    CHECK(head.headers == get.headers);
  }
}

// -- history ------------------------------------------------------------------

TEST_CASE("the history of a cluster is listed by interval") {
  gateway gw;
  auto x = recent_history(3);
  serve(gw, x);
  auto body = body_of(gw.get(history));
  CHECK(body["clusterId"] == "c");
  CHECK(body["intervalSeconds"] == 300);
  REQUIRE(body["items"].size() == 3);
  CHECK(body["items"][0]
        == json({{"at", to_rfc3339(x.points[0].at)},
                 {"logCount", 10},
                 {"added", nullptr}}));
  CHECK(body["items"][2]["added"] == 10);
  auto got = gw.get(history);
  CHECK(
    gw.ask("GET", history, {}, "If-None-Match: " + got.header("etag") + "\r\n")
      .status
    == 304);
}

TEST_CASE("the history is as long as requested") {
  gateway gw;
  serve(gw, recent_history(300));
  auto size = [&](const std::string& query) {
    return body_of(gw.get(history + query))["items"].size();
  };
  // One less if an interval ends meanwhile.
  auto about = [](size_t n, size_t wanted) {
    return n == wanted || n + 1 == wanted;
  };
  CHECK(about(size(""), 288));
  CHECK(about(size("?hours="), 288));
  CHECK(about(size("?hours=24"), 288));
  CHECK(about(size("?hours=1"), 12));
}

TEST_CASE("the history of an unknown cluster is not found") {
  gateway gw;
  problem_of(gw.get(history), 404);
  // A cluster with old counts only is known.
  serve(gw, cluster_history{"c", {{{}, 1}}});
  CHECK(body_of(gw.get(history))["items"] == json::array());
}

TEST_CASE("an error names the wrong parameter of the history") {
  gateway gw;
  for (auto query : {"hours=0", "hours=25", "hours=-1", "hours=1.5", "hours=x",
                     "hours=1&hours=2", "hours=99999999999999999999"}) {
    CAPTURE(query);
    auto text = problem_of(gw.get(history + "?" + query), 400);
    CHECK(text.find("hours") != std::string::npos);
  }
  problem_of(gw.get(history + "?limit=1"), 400);
}

// -- GPUs ---------------------------------------------------------------------

TEST_CASE("the GPUs are listed with their age and source") {
  gateway gw;
  gpu_inventory x;
  x.gpus = {{"amd.com/gpu", 2, 2, "node-a", "amd"}};
  x.observed_at = std::chrono::system_clock::now() - 65s;
  x.stale = true;
  x.reason = "no route";
  x.source = "kubernetes";
  gw.script([&](auto& script) { script.inventory = make_snapshot(x); });
  auto got = gw.get("/api/v1/gpus");
  REQUIRE(got.status == 200);
  auto body = json::parse(got.body);
  CHECK(body["items"][0]["node"] == "node-a");
  CHECK(body["ageSeconds"] >= 65);
  CHECK(body["stale"] == true);
  CHECK(body["reason"] == "no route");
  CHECK(gw.get("/api/v1/gpus?x=1").status == 400);
}

TEST_CASE("GPUs that were never scanned are a problem") {
  gateway gw;
  gw.script([](auto& script) {
    script.inventory = make_error(ec::disconnected, "no route");
  });
  auto got = gw.get("/api/v1/gpus");
  CHECK(got.status == 503);
  CHECK(json::parse(got.body)["detail"] == "no route");
}
