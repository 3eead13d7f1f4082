#include "tools/misbehaviour.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

using aiops::backend_protocol;
using namespace aiops::tools;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

const auto start = simulated_training::time_point{1'700'000'000s};

/// A job of 20 s that follows another one.
simulated_training second_job(backend_protocol protocol) {
  simulated_training job{20s, protocol};
  auto kv = protocol == backend_protocol::kv;
  job.submit(kv ? R"({"uuid":"id-1","workloads":{"c":{"n":["a"]}}})"
                : R"({"c":{"n":["a"]}})",
             start - 1h);
  job.submit(kv ? R"({"uuid":"id-2","workloads":{"c":{"n":["b"]}}})"
                : R"({"c":{"n":["b"]}})",
             start);
  return job;
}

struct fixture {
  backend_protocol protocol = backend_protocol::kv;
  faults with;

  planned_reports plan(simulated_training::time_point now,
                       int64_t count = 0) const {
    return plan_reports(second_job(protocol), now, with, 5s, count);
  }

  std::vector<json> bodies(simulated_training::time_point now,
                           int64_t count = 0) const {
    std::vector<json> result;
    for (auto& body : plan(now, count).bodies)
      result.push_back(json::parse(body));
    return result;
  }
};

int64_t percentage(const json& body) {
  return body["statistics"]["percentageCompleted"];
}

} // namespace

TEST_CASE_FIXTURE(fixture, "without faults the current progress is sent") {
  for (int64_t count = 0; count < 10; ++count) {
    auto sent = bodies(start + 10s, count);
    REQUIRE_EQ(sent.size(), 1);
    CHECK_EQ(percentage(sent[0]), 50);
  }
  CHECK_FALSE(plan(start + 19s).last);
  CHECK(plan(start + 20s).last);
}

TEST_CASE_FIXTURE(fixture, "repeat: each report is sent twice") {
  with = {fault::repeat};
  auto sent = bodies(start + 10s);
  REQUIRE_EQ(sent.size(), 2);
  CHECK_EQ(sent[0], sent[1]);
}

TEST_CASE_FIXTURE(fixture, "backwards: an older report is sent now and then") {
  with = {fault::backwards};
  CHECK_EQ(bodies(start + 10s, 0).size(), 1);
  auto sent = bodies(start + 10s, occasional_interval - 1);
  REQUIRE_EQ(sent.size(), 2);
  CHECK_EQ(percentage(sent[0]), 50);
  CHECK_EQ(percentage(sent[1]), 25);
  CHECK_EQ(sent[1]["uuid"], "id-2");
}

TEST_CASE_FIXTURE(fixture,
                  "older-job: an earlier job is reported now and then") {
  with = {fault::older_job};
  CHECK_EQ(bodies(start + 10s, 0).size(), 1);
  auto sent = bodies(start + 10s, occasional_interval - 1);
  REQUIRE_EQ(sent.size(), 2);
  CHECK_EQ(sent[0]["uuid"], "id-2");
  CHECK_EQ(sent[1]["uuid"], "id-1");
  protocol = backend_protocol::request_reply;
  sent = bodies(start + 10s, occasional_interval - 1);
  CHECK_FALSE(sent[0].contains("uuid"));
  CHECK_FALSE(sent[1]["uuid"].get<std::string>().empty());
}

TEST_CASE_FIXTURE(fixture, "late: each report is late, the last one too") {
  with = {fault::late};
  CHECK_EQ(percentage(bodies(start + 10s)[0]), 25);
  CHECK_EQ(percentage(bodies(start + 1s)[0]), 0);
  CHECK_FALSE(plan(start + 24s).last);
  CHECK(plan(start + 25s).last);
}

TEST_CASE_FIXTURE(fixture, "null-statistics: reports have no statistics") {
  with = {fault::null_statistics};
  CHECK(bodies(start + 10s)[0]["statistics"].is_null());
  CHECK_EQ(bodies(start + 10s)[0]["status"], "training");
  protocol = backend_protocol::request_reply;
  auto sent = bodies(start + 10s)[0];
  CHECK_EQ(sent.size(), 6);
  for (auto& value : sent)
    CHECK(value.is_null());
}

TEST_CASE_FIXTURE(fixture, "strings: all numbers are strings") {
  with = {fault::strings};
  protocol = backend_protocol::request_reply;
  auto sent = bodies(start + 10s)[0];
  CHECK_EQ(sent["percentageCompleted"], "50");
  for (auto& value : sent)
    CHECK(value.is_string());
}

TEST_CASE_FIXTURE(fixture, "lose-completion: the end is not reported") {
  with = {fault::lose_completion, fault::repeat};
  CHECK_EQ(bodies(start + 19s).size(), 2);
  CHECK(bodies(start + 20s).empty());
  CHECK(plan(start + 20s).last);
}
