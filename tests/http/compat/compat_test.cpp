#include "tests/http/fixture.hpp"

#include "http/server/response_head.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

using namespace aiops;
using namespace aiops::http;
using namespace aiops::test;
using namespace std::literals;

namespace {

constexpr std::string_view prefixes[] = {"/ModelTraining",
                                         "/opni-api/ModelTraining"};

constexpr std::string_view train_body
  = R"({"items":[{"clusterId":"c","namespace":"n","deployment":"d"}]})";

std::string at(std::string_view prefix, std::string_view path) {
  return std::string{prefix} + std::string{path};
}

void check_error(const raw_response& got, int status, int grpc) {
  CHECK(got.status == status);
  CHECK(got.header("content-type").starts_with("application/json"));
  auto body = nlohmann::json::parse(got.body, nullptr, false);
  REQUIRE(body.is_object());
  CHECK(body.size() == 3);
  CHECK(body["code"] == grpc);
  CHECK(body["message"].is_string());
  CHECK(!body["message"].get<std::string>().empty());
  CHECK(body["details"] == nlohmann::json::array());
  CHECK(got.header("retry-after") == (is_transient(status) ? "1" : ""));
}

} // namespace

TEST_CASE("a submission reaches the actor, whose response is returned") {
  gateway gw;
  for (auto prefix : prefixes) {
    auto got = gw.ask("POST", at(prefix, "/model/train"), train_body);
    CHECK(got.status == 200);
    CHECK(got.body == R"({"response":"training job submitted"})");
  }
  auto trained = gw.script([](auto& x) { return x.trained; });
  REQUIRE(trained.size() == 2);
  for (auto& x : trained) {
    CHECK(x.workloads == workload_list{{"c", "n", "d"}});
    CHECK(x.force);
    CHECK(!x.dry_run);
  }
}

TEST_CASE("an empty submission is passed on") {
  gateway gw;
  CHECK(gw.ask("POST", "/ModelTraining/model/train", "{}").status == 200);
  gw.script([](auto& x) {
    REQUIRE(x.trained.size() == 1);
    CHECK(x.trained[0].workloads.empty());
  });
}

TEST_CASE("progress reaches the actor and is answered with an empty object") {
  gateway gw;
  for (auto prefix : prefixes) {
    auto got = gw.ask("PUT", at(prefix, "/model/statistics"),
                      R"({"percentageCompleted":"7","stage":"train"})");
    CHECK(got.status == 200);
    CHECK(got.body == "{}");
    got = gw.ask("PUT", at(prefix, "/model/current_status"),
                 R"({"status":"training","statistics":{"timeElapsed":3}})");
    CHECK(got.status == 200);
    CHECK(got.body == "{}");
  }
  gw.script([](auto& x) {
    REQUIRE(x.progress.size() == 4);
    CHECK(x.progress[0].id.empty());
    CHECK(!x.progress[0].status);
    CHECK(x.progress[0].statistics->percentage_completed == 7);
    CHECK(x.progress[0].statistics->stage == "train");
    CHECK(x.progress[1].status == "training");
    CHECK(x.progress[1].statistics->time_elapsed == 3);
  });
}

TEST_CASE("a report with impossible numbers is accepted") {
  gateway gw;
  CHECK(gw.ask("PUT", "/ModelTraining/model/statistics",
               R"({"percentageCompleted":"40","remainingTime":"60",)"
               R"("stage":"train","modelAccuracy":"NaN"})")
          .status
        == 200);
  CHECK(gw.ask("PUT", "/ModelTraining/model/current_status",
               R"({"status":"training","statistics":{"remainingTime":-7}})")
          .status
        == 200);
  gw.script([](auto& x) {
    REQUIRE(x.progress.size() == 2);
    CHECK(x.progress[0].statistics->percentage_completed == 40);
    CHECK(!x.progress[0].statistics->model_accuracy);
    CHECK(x.progress[1].statistics->remaining_time == 0);
  });
}

TEST_CASE("progress may name its job; that of an older job is 409") {
  gateway gw;
  gw.script([](auto& x) {
    x.put = make_error(ec::conflict, "the report is of an older job");
  });
  for (auto path : {"/model/statistics", "/model/current_status"}) {
    auto got = gw.ask("PUT", at("/ModelTraining", path), R"({"uuid":"job-1"})");
    check_error(got, 409, 10);
    CHECK(got.body.find("the report is of an older job") != std::string::npos);
    CHECK(gw.script([](auto& x) { return x.progress.back().id; }) == "job-1");
    check_error(
      gw.ask("PUT", at("/ModelTraining", path), R"({"uuid":["job-1"]})"), 400,
      3);
  }
  CHECK(gw.script([](auto& x) { return x.progress.size(); }) == 2);
}

TEST_CASE("GET routes are served under both prefixes") {
  gateway gw;
  for (auto prefix : prefixes) {
    auto got = gw.get(at(prefix, "/model/status"));
    CHECK(got.status == 200);
    CHECK(got.header("content-type").starts_with("application/json"));
    CHECK(got.body
          == R"({"status":"training","statistics":{"timeElapsed":"1",)"
             R"("percentageCompleted":"2","remainingTime":"3",)"
             R"("currentEpoch":"4","modelAccuracy":0.5,"stage":"train"}})");
    CHECK(gw.get(at(prefix, "/model/training_parameters")).body
          == R"({"items":[{"clusterId":"c","namespace":"n",)"
             R"("deployment":"d"}]})");
    CHECK(gw.get(at(prefix, "/workload_aggregation/c")).body
          == R"({"items":[{"clusterId":"c","namespace":"n",)"
             R"("deployment":"d","logCount":"123"}]})");
    CHECK(gw.get(at(prefix, "/gpu_info")).body
          == R"({"items":[{"name":"nvidia.com/gpu","capacity":"2",)"
             R"("allocatable":"1"}]})");
  }
}

TEST_CASE("empty lists are written as empty arrays") {
  gateway gw;
  gw.script([](auto& x) {
    x.watchlist = make_snapshot(workload_list{});
    x.gpus = make_snapshot(gpu_list{});
    x.counts = make_snapshot(cluster_counts{});
  });
  for (auto path : {"/model/training_parameters", "/gpu_info",
                    "/workload_aggregation/unknown"}) {
    auto got = gw.get(at("/ModelTraining", path));
    CHECK(got.status == 200);
    CHECK(got.body == R"({"items":[]})");
  }
}

TEST_CASE("the id of a cluster is decoded after the path is split") {
  gateway gw;
  for (auto id : {"a%2Fb", "%C3%A4", "a+b", "a%20b", "x?y=z"})
    CHECK(gw.get("/ModelTraining/workload_aggregation/"s + id).status == 200);
  CHECK(gw.script([](auto& x) { return x.clusters_asked; })
        == std::vector<std::string>{"a/b", "\xc3\xa4", "a+b", "a b", "x"});
  for (auto id : {"%", "%zz", "a%00b", "%0a", "%ff"})
    check_error(gw.get("/ModelTraining/workload_aggregation/"s + id), 400, 3);
  check_error(
    gw.get("/ModelTraining/workload_aggregation/" + std::string(254, 'x')), 400,
    3);
}

TEST_CASE("the body is read whatever its Content-Type is") {
  gateway gw;
  for (auto type : {"", "Content-Type: application/json\r\n",
                    "Content-Type: application/x-www-form-urlencoded\r\n",
                    "Content-Type: multipart/form-data; boundary=x\r\n",
                    "Content-Type: text/plain; charset=utf-8\r\n"})
    CHECK(gw.ask("POST", "/ModelTraining/model/train", train_body, type).status
          == 200);
  // The size of a form is not limited to 8 KiB, as it is by some servers.
  workload_list many;
  std::string body = R"({"items":[)";
  for (auto i = 0; i < 1000; ++i) {
    many.push_back({"c", "n", "deployment-" + std::to_string(i)});
    body += i == 0 ? "" : ",";
    body += R"({"clusterId":"c","namespace":"n","deployment":")"
            + many.back().deployment + R"("})";
  }
  auto got = gw.ask("POST", "/ModelTraining/model/train", body + "]}",
                    "Content-Type: application/x-www-form-urlencoded\r\n");
  CHECK(got.status == 200);
  CHECK(gw.script([](auto& x) { return x.trained.back().workloads; })
        == normalize(many));
}

// -- the error table, row by row ----------------------------------------------

TEST_CASE("a malformed body is 400 and asks no actor") {
  gateway gw;
  for (auto body :
       {"nonsense", "[]", R"({"items":1})", R"({"items":[{"clusterId":"c"}]})",
        R"({"items":[{"clusterId":"","namespace":"n",
                        "deployment":"d"}]})"})
    for (auto prefix : prefixes)
      check_error(gw.ask("POST", at(prefix, "/model/train"), body), 400, 3);
  for (auto body : {R"({"percentageCompleted":"x"})", R"({"stage":1})"})
    check_error(gw.ask("PUT", "/ModelTraining/model/statistics", body), 400, 3);
  for (auto path : {"/model/statistics", "/model/current_status"}) {
    check_error(gw.ask("PUT", at("/ModelTraining", path), "{"), 400, 3);
    check_error(
      gw.ask("PUT", at("/ModelTraining", path), "", "Content-Length: 0\r\n"),
      400, 3);
  }
  check_error(
    gw.ask("PUT", "/ModelTraining/model/current_status", R"({"statistics":7})"),
    400, 3);
  auto empty = gw.ask("POST", "/ModelTraining/model/train", "",
                      "Content-Length: 0\r\n");
  check_error(empty, 400, 3);
  CHECK(gw.script([](auto& x) { return x.asked; }) == 0);
}

TEST_CASE("an unknown path is 404") {
  gateway gw;
  for (auto path :
       {"/", "/nothing", "/ModelTraining", "/ModelTraining/",
        "/ModelTraining/model/status/", "/ModelTraining//model/status",
        "/ModelTraining/workload_aggregation/",
        "/ModelTraining/workload_aggregation/a/b",
        "/modeltraining/model/status"})
    check_error(gw.get(path), 404, 5);
}

TEST_CASE("a known path with another method is 405") {
  gateway gw;
  auto got = gw.get("/ModelTraining/model/train");
  check_error(got, 405, 12);
  CHECK(got.header("allow") == "POST, OPTIONS");
  for (auto method : {"DELETE", "TRACE", "CONNECT"}) {
    got = gw.ask(method, "/opni-api/ModelTraining/gpu_info");
    check_error(got, 405, 12);
    CHECK(got.header("allow") == "GET, HEAD, OPTIONS");
  }
  got = gw.ask("POST", "/ModelTraining/model/status", "{}");
  check_error(got, 405, 12);
}

TEST_CASE("OPTIONS lists the methods") {
  gateway gw;
  auto client = gw.connect();
  auto got = client.ask("OPTIONS /ModelTraining/gpu_info HTTP/1.1\r\n\r\n");
  CHECK(got.status == 204);
  CHECK(got.header("allow") == "GET, HEAD, OPTIONS");
  CHECK(!got.headers.contains("content-length"));
  // The next answer on the connection is the right one.
  CHECK(client.ask("GET /livez HTTP/1.1\r\n\r\n").status == 200);
  check_error(gw.ask("OPTIONS", "/nothing"), 404, 5);
}

TEST_CASE("HEAD is GET without the body") {
  gateway gw;
  auto client = gw.connect();
  client.send("HEAD /ModelTraining/gpu_info HTTP/1.1\r\n\r\n");
  auto got = client.receive(true);
  CHECK(got.status == 200);
  auto body = client.ask("GET /ModelTraining/gpu_info HTTP/1.1\r\n\r\n").body;
  CHECK(got.header("content-length") == std::to_string(body.size()));
  CHECK(!got.headers.contains("accept-ranges"));
}

TEST_CASE("errors of the actors have their status") {
  struct row {
    ec code;
    int status;
    int grpc;
  };
  constexpr row rows[] = {
    {ec::no_responders, 503, 14},  {ec::disconnected, 503, 14},
    {ec::lost_in_flight, 503, 14}, {ec::overloaded, 503, 14},
    {ec::timeout, 504, 4},         {ec::bad_reply, 502, 13},
    {ec::refused, 502, 13},        {ec::internal, 500, 13},
    {ec::too_large, 413, 8},       {ec::conflict, 409, 10},
    {ec::not_found, 404, 5},
  };
  gateway gw;
  for (auto& [code, status, grpc] : rows) {
    CAPTURE(to_string(code));
    auto err = make_error(code, "text of the actor");
    gw.script([&](auto& x) {
      x.train = err;
      x.status = err;
      x.watchlist = err;
      x.gpus = err;
      x.counts = err;
      x.put = err;
    });
    std::vector<raw_response> answers;
    answers.push_back(gw.ask("POST", "/ModelTraining/model/train", "{}"));
    answers.push_back(gw.ask("PUT", "/ModelTraining/model/statistics", "{}"));
    answers.push_back(
      gw.ask("PUT", "/ModelTraining/model/current_status", "{}"));
    for (auto path : {"/model/status", "/model/training_parameters",
                      "/gpu_info", "/workload_aggregation/c"})
      answers.push_back(gw.get(at("/ModelTraining", path)));
    for (auto& got : answers) {
      check_error(got, status, grpc);
      auto shown = got.body.find("text of the actor") != std::string::npos;
      CHECK(shown == (code != ec::internal));
    }
  }
}

TEST_CASE("an actor that never answers is 504 within the deadline") {
  gateway gw{nullptr, {100ms, 200ms}};
  gw.script([](auto& x) { x.mute = true; });
  check_error(gw.get("/ModelTraining/model/status"), 504, 4);
  check_error(gw.ask("POST", "/ModelTraining/model/train", "{}"), 504, 4);
  for (auto path : {"/model/statistics", "/model/current_status"})
    check_error(gw.ask("PUT", at("/ModelTraining", path), "{}"), 504, 4);
  // Late answers are not taken for those of the next requests.
  gw.script([](auto& x) { x.mute = false; });
  CHECK(gw.get("/ModelTraining/gpu_info").status == 200);
}

TEST_CASE("actors that have not started yet are 503") {
  gateway gw;
  auto actors = *gw.actors().get();
  gw.actors().set({});
  check_error(gw.get("/ModelTraining/model/status"), 503, 14);
  check_error(gw.get("/ModelTraining/workload_aggregation/c"), 503, 14);
  gw.actors().set(actors);
  CHECK(gw.get("/ModelTraining/model/status").status == 200);
}

TEST_CASE("an actor that died is 503") {
  gateway gw;
  caf::anon_send_exit(gw.actors().get()->gpu_info, caf::exit_reason::kill);
  raw_response got;
  CHECK(eventually([&] {
    got = gw.get("/ModelTraining/gpu_info");
    return got.status != 200;
  }));
  check_error(got, 503, 14);
}

TEST_CASE("above the permits for waiting requests is 503 at once") {
  // Five workers have four permits.
  gateway gw{[](auto& config) { config.workers = 5; }};
  gw.script([](auto& x) { x.mute = true; });
  std::vector<raw_client> waiting;
  for (auto i = 0; i < 4; ++i) {
    waiting.push_back(gw.connect());
    waiting.back().send("GET /ModelTraining/model/status HTTP/1.1\r\n\r\n");
  }
  CHECK(eventually(
    [&] { return gw.script([](auto& x) { return x.asked; }) == 4; }));
  check_error(gw.get("/ModelTraining/model/status"), 503, 14);
  // Requests that do not wait are served.
  gw.script([](auto& x) { x.mute = false; });
  CHECK(gw.get("/livez").status == 200);
  CHECK(gw.get("/ModelTraining/workload_aggregation/c").status == 200);
}
