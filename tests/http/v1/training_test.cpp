#include "tests/http/fixture.hpp"
#include "tests/http/gunzip.hpp"

#include "http/server/response_head.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

using namespace aiops;
using namespace aiops::http;
using namespace aiops::test;
using namespace std::literals;
using nlohmann::json;

namespace {

constexpr std::string_view body
  = R"({"items":[{"clusterId":"c","namespace":"n","deployment":"d"}]})";

const json one = {{"clusterId", "c"}, {"namespace", "n"}, {"deployment", "d"}};

json body_of(const raw_response& got) {
  CHECK(got.status == 200);
  CHECK(got.header("content-type").starts_with("application/json"));
  return json::parse(got.body);
}

/// Checks that an answer is a problem with this status. Returns its body.
json problem_of(const raw_response& got, int status) {
  CHECK(got.status == status);
  CHECK(got.header("content-type") == "application/problem+json");
  CHECK(got.header("retry-after") == (is_transient(status) ? "1" : ""));
  auto result = json::parse(got.body);
  CHECK(result["status"] == status);
  CHECK(result["title"].is_string());
  CHECK(!result["detail"].get<std::string>().empty());
  return result;
}

std::chrono::system_clock::time_point at(std::chrono::milliseconds when) {
  return std::chrono::system_clock::time_point{when};
}

/// A job that started at this time.
training_job job_of(std::chrono::system_clock::time_point start) {
  training_job result;
  result.id = "job-1";
  result.number = 7;
  result.state = job_state::training;
  result.workloads = {{"c", "n", "d"}};
  result.changes.added = {{"c", "n", "d"}};
  result.changes.removed = {{"c", "n", "old"}};
  result.started_at = start;
  result.updated_at = start + 2s;
  result.reason = "why";
  result.response = "training job submitted";
  result.statistics = {100, 42, 200, 3, 0.75, "train"};
  result.progressed = true;
  return result;
}

void serve(gateway& gw, training_overview x) {
  gw.script(
    [&](auto& script) { script.training = make_snapshot(std::move(x)); });
}

/// The answers to one request for each route that is tested here.
std::vector<raw_response> ask_all(const gateway& gw) {
  std::vector<raw_response> result;
  result.push_back(gw.ask("POST", "/api/v1/training", body));
  result.push_back(gw.get("/api/v1/training"));
  result.push_back(gw.ask("DELETE", "/api/v1/training"));
  result.push_back(gw.get("/api/v1/training/jobs"));
  result.push_back(gw.get("/api/v1/training/jobs/job-1"));
  result.push_back(gw.get("/api/v1/watchlist"));
  return result;
}

} // namespace

// -- submissions --------------------------------------------------------------

TEST_CASE("a submission is answered with its job and the difference") {
  gateway gw;
  gw.script([](auto& x) {
    training_result result{"submitted", training_action::update, "job-2"};
    result.changes.added = {{"c", "n", "d"}};
    result.changes.removed = {{"c", "n", "e"}, {"c", "n", "f"}};
    x.train = result;
  });
  auto got = gw.ask("POST", "/api/v1/training", body);
  CHECK(got.header("cache-control") == "no-store");
  auto answer = body_of(got);
  CHECK(answer.size() == 6);
  CHECK(answer["jobId"] == "job-2");
  CHECK(answer["action"] == "update");
  CHECK(answer["response"] == "submitted");
  CHECK(answer["dryRun"] == false);
  CHECK(answer["added"] == json::array({one}));
  CHECK(answer["removed"].size() == 2);
  gw.script([](auto& x) {
    REQUIRE(x.trained.size() == 1);
    CHECK(x.trained[0].workloads == workload_list{{"c", "n", "d"}});
    CHECK(!x.trained[0].force);
    CHECK(!x.trained[0].dry_run);
  });
}

TEST_CASE("force and dry run are passed on") {
  gateway gw;
  auto passed = [&](const std::string& query) {
    body_of(gw.ask("POST", "/api/v1/training?" + query, body));
    return gw.script([](auto& x) {
      auto& last = x.trained.back();
      return std::pair{last.force, last.dry_run};
    });
  };
  CHECK(passed("force=true") == std::pair{true, false});
  CHECK(passed("force=1&dryRun=0") == std::pair{true, false});
  CHECK(passed("dryRun=true") == std::pair{false, true});
  CHECK(passed("dryRun=1&force=false") == std::pair{false, true});
  CHECK(passed("dryRun=&force=") == std::pair{false, false});
}

TEST_CASE("a dry run shows the running job") {
  gateway gw;
  gw.script([](auto& x) { x.train = training_result{}; });
  auto answer = body_of(gw.ask("POST", "/api/v1/training?dryRun=1", body));
  CHECK(answer.size() == 7);
  CHECK(answer["jobId"].is_null());
  CHECK(answer["action"] == "none");
  CHECK(answer["dryRun"] == true);
  CHECK(answer["running"].is_null());
  gw.script([](auto& x) { x.train->running = job_of(at(0s)); });
  answer = body_of(gw.ask("POST", "/api/v1/training?dryRun=1", body));
  CHECK(answer["running"]["id"] == "job-1");
  CHECK(answer["running"]["state"] == "training");
  CHECK(answer["running"]["workloadCount"] == 1);
  CHECK(!answer["running"].contains("workloads"));
}

TEST_CASE("a running job is a conflict, which names the job and the remedy") {
  gateway gw;
  gw.script([](auto& x) { x.train->running = job_of(at(0s)); });
  auto problem = problem_of(gw.ask("POST", "/api/v1/training", body), 409);
  CHECK(problem["type"] == "about:blank");
  CHECK(problem["title"] == "Conflict");
  CHECK(problem["job"]["id"] == "job-1");
  CHECK(problem["job"]["percentage"] == 42);
  CHECK(problem["job"]["removedCount"] == 1);
  CHECK(!problem["job"].contains("removed"));
  auto detail = problem["detail"].get<std::string>();
  for (auto part : {"job-1", "force=true", "DELETE /api/v1/training"})
    CHECK(detail.find(part) != std::string::npos);
}

TEST_CASE("a malformed submission asks no actor") {
  gateway gw;
  for (auto query :
       {"force=yes", "force=TRUE", "dryRun=2", "dryRun=true&dryRun=true",
        "dryrun=true", "x=1", "force=%zz"})
    problem_of(gw.ask("POST", "/api/v1/training?"s + query, body), 400);
  for (auto text :
       {"nonsense", "[]", R"({"items":1})", R"({"items":[{"clusterId":"c"}]})"})
    problem_of(gw.ask("POST", "/api/v1/training", text), 400);
  problem_of(gw.ask("POST", "/api/v1/training"), 411);
  CHECK(gw.script([](auto& x) { return x.asked; }) == 0);
}

// -- the training -------------------------------------------------------------

TEST_CASE("without a job the training is an object too") {
  gateway gw;
  auto got = gw.get("/api/v1/training");
  CHECK(got.header("cache-control") == "no-store");
  CHECK(body_of(got)
        == json({{"id", nullptr},
                 {"number", 0},
                 {"state", "none"},
                 {"action", nullptr},
                 {"stage", ""},
                 {"percentage", 0},
                 {"elapsedSeconds", 0},
                 {"remainingSeconds", nullptr},
                 {"remainingIsEstimate", false},
                 {"epoch", 0},
                 {"accuracy", 0},
                 {"startedAt", nullptr},
                 {"updatedAt", nullptr},
                 {"endedAt", nullptr},
                 {"stalled", false},
                 {"reason", ""},
                 {"response", ""},
                 {"workloadCount", 0},
                 {"addedCount", 0},
                 {"removedCount", 0},
                 {"modelStatus", nullptr},
                 {"backend",
                  {{"reachable", false},
                   {"natsConnected", false},
                   {"reason", "not asked yet"}}},
                 {"stale", false},
                 {"staleReason", ""}}));
}

TEST_CASE("the training has real integers") {
  gateway gw;
  training_overview x;
  x.book.training = job_of(at(1'769'860'800'250ms));
  x.book.model.status = "training";
  x.backend = {true, true, ""};
  x.stale_reason = "the store is away";
  serve(gw, x);
  auto answer = body_of(gw.get("/api/v1/training"));
  CHECK(answer["id"] == "job-1");
  CHECK(answer["number"] == 7);
  CHECK(answer["state"] == "training");
  CHECK(answer["action"] == "train");
  CHECK(answer["stage"] == "train");
  CHECK(answer["percentage"] == 42);
  CHECK(answer["elapsedSeconds"].is_number_integer());
  CHECK(answer["epoch"] == 3);
  CHECK(answer["accuracy"] == 0.75);
  CHECK(answer["startedAt"] == "2026-01-31T12:00:00.250Z");
  CHECK(answer["updatedAt"] == "2026-01-31T12:00:02.250Z");
  CHECK(answer["endedAt"].is_null());
  CHECK(answer["stalled"] == false);
  CHECK(answer["reason"] == "why");
  CHECK(answer["response"] == "training job submitted");
  CHECK(answer["workloadCount"] == 1);
  CHECK(answer["addedCount"] == 1);
  CHECK(answer["removedCount"] == 1);
  for (auto list : {"workloads", "added", "removed"})
    CHECK(!answer.contains(list));
  CHECK(answer["modelStatus"] == "training");
  CHECK(
    answer["backend"]
    == json({{"reachable", true}, {"natsConnected", true}, {"reason", ""}}));
  CHECK(answer["stale"] == true);
  CHECK(answer["staleReason"] == "the store is away");
}

TEST_CASE("a submission without an outcome is shown instead of the training") {
  gateway gw;
  training_overview x;
  x.book.training = job_of(at(0s));
  x.book.submission = job_of(at(10s));
  x.book.submission->id = "job-2";
  x.book.submission->state = job_state::submitted;
  serve(gw, x);
  auto answer = body_of(gw.get("/api/v1/training"));
  CHECK(answer["id"] == "job-2");
  CHECK(answer["state"] == "submitted");
  CHECK(answer["startedAt"] == "1970-01-01T00:00:10.000Z");
  // After an update without a training the training is shown.
  auto update = std::exchange(x.book.submission, std::nullopt);
  update->action = training_action::update;
  update->state = job_state::completed;
  x.book.leaving.push_back(*update);
  serve(gw, x);
  answer = body_of(gw.get("/api/v1/training"));
  CHECK(answer["id"] == "job-1");
  CHECK(answer["state"] == "training");
}

TEST_CASE("the remaining time is that at the time of the answer") {
  gateway gw;
  training_overview x;
  x.book.training = job_of(std::chrono::system_clock::now() - 100s);
  serve(gw, x);
  auto expected = remaining_of(*x.book.training,
                               std::chrono::system_clock::now());
  auto answer = body_of(gw.get("/api/v1/training"));
  REQUIRE(expected);
  CHECK(answer["remainingSeconds"].get<int64_t>() <= expected->seconds);
  CHECK(answer["remainingIsEstimate"] == expected->estimated);
  // The gateway's own estimate: the second half takes as long as the first.
  x.book.training->statistics = {100, 50, 0, 3, 0.75, "train"};
  serve(gw, x);
  answer = body_of(gw.get("/api/v1/training"));
  CHECK(answer["remainingSeconds"].is_number_integer());
  CHECK(answer["remainingIsEstimate"] == true);
  // A job that has ended has no remaining time.
  x.book.training->state = job_state::stalled;
  x.book.training->ended_at.reset();
  serve(gw, x);
  answer = body_of(gw.get("/api/v1/training"));
  CHECK(answer["state"] == "stalled");
  CHECK(answer["stalled"] == true);
  x.book.training->state = job_state::completed;
  x.book.training->ended_at = x.book.training->updated_at;
  serve(gw, x);
  answer = body_of(gw.get("/api/v1/training"));
  CHECK(answer["remainingSeconds"].is_null());
  CHECK(answer["remainingIsEstimate"] == false);
  CHECK(answer["endedAt"] == answer["updatedAt"]);
}

TEST_CASE("a training can be cancelled repeatedly") {
  gateway gw;
  training_overview before;
  before.book.training = job_of(at(0s));
  before.backend = {false, true, "no subscriber"};
  serve(gw, before);
  auto after = before.book;
  after.training->state = job_state::cancelled;
  gw.script([&](auto& x) { x.after_delete = stored_book{after, 9}; });
  for (auto i = 0; i < 2; ++i) {
    auto got = gw.ask("DELETE", "/api/v1/training");
    CHECK(got.header("cache-control") == "no-store");
    auto answer = body_of(got);
    // The stored book, even if other actors do not have it yet.
    CHECK(answer["state"] == "cancelled");
    CHECK(answer["backend"]["reason"] == "no subscriber");
  }
  CHECK(gw.script([](auto& x) { return x.deleted; }) == 2);
  // The cancellation succeeds although the overview is unknown.
  gw.script(
    [](auto& x) { x.training = make_error(ec::timeout, "nothing is known"); });
  auto answer = body_of(gw.ask("DELETE", "/api/v1/training"));
  CHECK(answer["state"] == "cancelled");
  CHECK(answer["backend"]["reason"] == "nothing is known");
}

// -- jobs and watchlist -------------------------------------------------------

TEST_CASE("the jobs are listed in their order") {
  gateway gw;
  CHECK(
    body_of(gw.get("/api/v1/training/jobs"))
    == json({{"total", 0}, {"jobs", json::array()}, {"nextCursor", nullptr}}));
  gw.script([](auto& x) {
    auto last = job_of(at(10s));
    last.id = "job-2";
    last.number = 8;
    auto first = job_of(at(0s));
    first.state = job_state::superseded;
    first.ended_at = at(10s);
    x.jobs = make_snapshot(job_summaries{summary_of(last), summary_of(first)});
  });
  auto jobs = body_of(gw.get("/api/v1/training/jobs"))["jobs"];
  REQUIRE(jobs.size() == 2);
  CHECK(jobs[0]["id"] == "job-2");
  CHECK(jobs[1]["state"] == "superseded");
  CHECK(jobs[1]["endedAt"] == "1970-01-01T00:00:10.000Z");
  // A job has the fields of the training, except those that are not of the job.
  auto fields = body_of(gw.get("/api/v1/training"));
  for (auto other : {"modelStatus", "backend", "stale", "staleReason"})
    fields.erase(other);
  for (auto& job : jobs) {
    CHECK(job.size() == fields.size());
    for (auto& [key, value] : fields.items())
      CHECK(job.contains(key));
  }
}

TEST_CASE("the jobs are paged") {
  gateway gw;
  gw.script([](auto& x) {
    job_summaries jobs;
    for (uint64_t n = 7; n > 0; --n) {
      jobs.push_back(summary_of(job_of(at(0s))));
      jobs.back().job.number = n;
    }
    x.jobs = make_snapshot(jobs);
  });
  auto page = [&](const std::string& query) {
    return body_of(gw.get("/api/v1/training/jobs?" + query));
  };
  auto numbers = [](const json& x) {
    std::vector<int> result;
    for (auto& job : x["jobs"])
      result.push_back(job["number"].get<int>());
    return result;
  };
  using ints = std::vector<int>;
  CHECK(numbers(page("limit=7")).size() == 7);
  CHECK(page("limit=7")["nextCursor"].is_null());
  CHECK(page("limit=1000&cursor=")["nextCursor"].is_null());
  auto first = page("limit=3");
  CHECK(first["total"] == 7);
  CHECK(numbers(first) == ints{7, 6, 5});
  auto cursor = first["nextCursor"].get<std::string>();
  // A new job and a dropped one do not shift the pages.
  gw.script([](auto& x) {
    auto jobs = x.jobs->get()->value();
    jobs.insert(jobs.begin(), summary_of(job_of(at(0s))));
    jobs.front().job.number = 8;
    std::erase_if(jobs, [](auto& y) { return y.job.number == 5; });
    x.jobs = make_snapshot(jobs);
  });
  auto second = page("limit=3&cursor=" + cursor);
  CHECK(numbers(second) == ints{4, 3, 2});
  auto third = page("cursor=" + second["nextCursor"].get<std::string>());
  CHECK(numbers(third) == ints{1});
  CHECK(third["nextCursor"].is_null());
  auto before = gw.script([](auto& x) { return x.asked; });
  for (auto query : {"limit=0", "limit=1001", "limit=x", "limit=1.5",
                     "cursor=x", "cursor=bmFtZTo0OnNob3BjaGVja291dA", "page=2"})
    problem_of(gw.get("/api/v1/training/jobs?"s + query), 400);
  CHECK(gw.script([](auto& x) { return x.asked; }) == before);
}

TEST_CASE("one job has its lists") {
  gateway gw;
  gw.script([](auto& x) { x.job_by_id["job-1"] = job_of(at(0s)); });
  auto got = gw.get("/api/v1/training/jobs/job%2D1");
  auto job = body_of(got);
  CHECK(job["id"] == "job-1");
  CHECK(job["workloadCount"] == 1);
  CHECK(job["workloads"] == json::array({one}));
  CHECK(job["added"] == json::array({one}));
  CHECK(job["removed"][0]["deployment"] == "old");
  problem_of(gw.get("/api/v1/training/jobs/job-2"), 404);
  auto detail = problem_of(gw.get("/api/v1/training/jobs/%zz"), 400)["detail"];
  CHECK(detail == "the id in the path is malformed");
  problem_of(gw.get("/api/v1/training/jobs/job-1?limit=1"), 400);
  problem_of(gw.ask("DELETE", "/api/v1/training/jobs/job-1"), 405);
}

TEST_CASE("the list of jobs has a tag and is compressed") {
  gateway gw;
  gw.script([](auto& x) {
    auto job = job_of(at(0s));
    job.state = job_state::completed;
    job.ended_at = at(10s);
    x.jobs = make_snapshot(job_summaries(50, summary_of(job)));
  });
  auto plain = gw.get("/api/v1/training/jobs");
  auto packed = gw.ask("GET", "/api/v1/training/jobs", {},
                       "Accept-Encoding: gzip\r\n");
  CHECK(packed.header("content-encoding") == "gzip");
  CHECK(gunzip(packed.body) == plain.body);
  auto again = gw.ask("GET", "/api/v1/training/jobs", {},
                      "If-None-Match: " + plain.header("etag") + "\r\n");
  CHECK(again.status == 304);
}

TEST_CASE("the watchlist has its job") {
  gateway gw;
  CHECK(body_of(gw.get("/api/v1/watchlist"))
        == json({{"jobId", nullptr},
                 {"submittedAt", nullptr},
                 {"items", json::array()}}));
  gw.script([](auto& x) {
    x.submitted = make_snapshot(
      watchlist_overview{{{"c", "n", "d"}}, "job-1", at(1s)});
  });
  auto got = gw.get("/api/v1/watchlist");
  CHECK(body_of(got)
        == json({{"jobId", "job-1"},
                 {"submittedAt", "1970-01-01T00:00:01.000Z"},
                 {"items", json::array({one})}}));
  CHECK(gw.ask("GET", "/api/v1/watchlist", {},
               "If-None-Match: " + got.header("etag") + "\r\n")
          .status
        == 304);
}

// -- errors -------------------------------------------------------------------

TEST_CASE("errors of the actors are problem details") {
  gateway gw;
  for (auto [code, status] : {std::pair{ec::no_responders, 503},
                              {ec::timeout, 504},
                              {ec::refused, 502},
                              {ec::conflict, 409},
                              {ec::internal, 500}}) {
    auto err = make_error(code, "text of the actor");
    gw.script([&](auto& x) {
      x.train = err;
      x.training = err;
      x.after_delete = err;
      x.jobs = err;
      x.submitted = err;
    });
    for (auto& got : ask_all(gw)) {
      auto detail = problem_of(got, status)["detail"].get<std::string>();
      CHECK((detail == "text of the actor") == (code != ec::internal));
    }
  }
}

TEST_CASE("no request for trainings exceeds its deadline") {
  gateway gw{nullptr, {50ms, 100ms}};
  gw.script([](auto& x) { x.mute = true; });
  auto start = std::chrono::steady_clock::now();
  for (auto& got : ask_all(gw))
    problem_of(got, 504);
  CHECK(std::chrono::steady_clock::now() - start < 8s);
  gw.actors().set({});
  for (auto& got : ask_all(gw))
    problem_of(got, 503);
}

TEST_CASE("trainings allow only the methods of the table") {
  gateway gw;
  auto got = gw.ask("PUT", "/api/v1/training", "{}");
  problem_of(got, 405);
  CHECK(got.header("allow") == "GET, POST, DELETE, HEAD, OPTIONS");
  problem_of(gw.ask("DELETE", "/api/v1/training/jobs"), 405);
  problem_of(gw.ask("POST", "/api/v1/watchlist", "{}"), 405);
  for (auto path :
       {"/api/v1/training", "/api/v1/training/jobs", "/api/v1/watchlist"})
    problem_of(gw.get(path + "?force=1"s), 400);
  problem_of(gw.ask("DELETE", "/api/v1/training?force=1"), 400);
  auto client = gw.connect();
  client.send("HEAD /api/v1/training HTTP/1.1\r\n\r\n");
  CHECK(client.receive(true).status == 200);
}
