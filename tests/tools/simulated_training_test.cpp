#include "tools/simulated_training.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

using aiops::backend_protocol;
using namespace aiops::tools;
using namespace std::chrono_literals;

namespace {

const auto start = simulated_training::time_point{1'700'000'000s};

constexpr auto two = R"({"c":{"n":["a","b"]}})";
constexpr auto one = R"({"c":{"n":["a"]}})";

nlohmann::json statistics(const simulated_training& job,
                          simulated_training::time_point now) {
  return nlohmann::json::parse(job.report(now));
}

} // namespace

TEST_CASE("a training moves from 0 to 100 percent by the clock") {
  simulated_training job{20s};
  CHECK_EQ(job.status(), "not started");
  CHECK_EQ(job.submit(two, start), "training job submitted");
  CHECK_EQ(job.status(), "training");
  CHECK_EQ(job.watchlist(), two);
  auto first = statistics(job, start);
  CHECK_EQ(first["percentageCompleted"], 0);
  CHECK_EQ(first["remainingTime"], 20);
  CHECK_EQ(first["stage"], "fetching data");
  auto middle = statistics(job, start + 10s);
  CHECK_EQ(middle["percentageCompleted"], 50);
  CHECK_EQ(middle["timeElapsed"], 10);
  CHECK_EQ(middle["remainingTime"], 10);
  CHECK_EQ(middle["stage"], "train");
  CHECK_FALSE(job.due(start + 19s));
  CHECK_EQ(statistics(job, start + 19'999ms)["percentageCompleted"], 99);
  CHECK(job.due(start + 20s));
  auto last = statistics(job, start + 25s);
  CHECK_EQ(last["percentageCompleted"], 100);
  CHECK_EQ(last["timeElapsed"], 20);
  CHECK_EQ(last["remainingTime"], 0);
}

TEST_CASE("the end of a training is reported until the gateway has it") {
  simulated_training job{20s};
  job.submit(two, start);
  job.finish();
  CHECK_EQ(job.status(), "completed");
  CHECK(job.reporting());
  job.reported();
  CHECK_FALSE(job.reporting());
}

TEST_CASE("only new workloads start a training") {
  simulated_training job{20s};
  job.submit(two, start);
  CHECK_EQ(job.submit(one, start + 5s), "training job submitted");
  CHECK_EQ(job.started(), start);
  CHECK_EQ(job.watchlist(), one);
  job.submit(two, start + 6s);
  CHECK_EQ(job.started(), start + 6s);
}

TEST_CASE("an empty list resets the model") {
  simulated_training job{20s};
  job.submit(two, start);
  CHECK_EQ(job.submit("{}", start), "model reset");
  CHECK_EQ(job.status(), "not started");
  CHECK_EQ(job.watchlist(), "{}");
  CHECK_FALSE(job.reporting());
}

TEST_CASE("anything but a map of workloads is ignored") {
  simulated_training job{20s};
  job.submit(two, start);
  for (auto text : {"", "[]", "{\"c\":[]}", "{\"c\":{\"n\":{}}}",
                    "{\"c\":{\"n\":[1]}}", "\xff"})
    CHECK_EQ(job.submit(text, start), "not a training request");
  CHECK_EQ(job.watchlist(), two);
}

TEST_CASE("a training survives a restart") {
  simulated_training before{20s};
  before.submit(two, start);
  simulated_training after{20s};
  REQUIRE(after.load(before.save()));
  CHECK_EQ(after.status(), "training");
  CHECK_EQ(after.started(), start);
  CHECK_EQ(after.watchlist(), two);
  for (auto text :
       {"", "{}", "[]", R"({"workloads":{},"phase":"x","startedAt":1})",
        R"({"workloads":{},"phase":"none","startedAt":"1"})"})
    CHECK_FALSE(after.load(text));
  CHECK_EQ(after.status(), "training");
}

// -- kv -----------------------------------------------------------------------

namespace {

constexpr auto first_of_kv = R"({"uuid":"id-1","workloads":{"c":{"n":["a"]}}})";
constexpr auto more_of_kv
  = R"({"uuid":"id-2","workloads":{"c":{"n":["a","b"]}}})";

} // namespace

TEST_CASE("with kv a report has status, statistics and the job's id") {
  simulated_training job{20s, backend_protocol::kv};
  CHECK(job.fresh());
  CHECK_EQ(job.submit(first_of_kv, start), "training job submitted");
  CHECK_FALSE(job.fresh());
  auto middle = statistics(job, start + 10s);
  CHECK_EQ(middle["status"], "training");
  CHECK_EQ(middle["uuid"], "id-1");
  CHECK_EQ(middle["statistics"]["percentageCompleted"], 50);
  CHECK_EQ(statistics(job, start + 20s),
           nlohmann::json::parse(
             R"({"status":"completed","statistics":null,"uuid":"id-1"})"));
}

TEST_CASE("with kv a submission without workloads resets the model") {
  simulated_training job{20s, backend_protocol::kv};
  job.submit(first_of_kv, start);
  CHECK_EQ(job.submit(R"({"uuid":"id-2"})", start), "model reset");
  CHECK_EQ(job.watchlist(), "{}");
  CHECK_FALSE(job.reporting());
  CHECK_FALSE(job.fresh());
}

TEST_CASE("with kv the id is that of the submission that trains") {
  simulated_training job{20s, backend_protocol::kv};
  job.submit(first_of_kv, start);
  CHECK_EQ(job.earlier_id(), "");
  job.submit(more_of_kv, start);
  CHECK_EQ(job.id(), "id-2");
  CHECK_EQ(job.earlier_id(), "id-1");
  // Only removals: the training continues.
  job.submit(R"({"uuid":"id-3","workloads":{"c":{"n":["b"]}}})", start);
  CHECK_EQ(job.id(), "id-2");
}

TEST_CASE("with kv a bare map is not a training request") {
  simulated_training job{20s, backend_protocol::kv};
  for (auto text : {two, "{}", "[]", R"({"uuid":1})",
                    R"({"uuid":"id-1","workloads":[]})", "\xff"})
    CHECK_EQ(job.submit(text, start), "not a training request");
  CHECK(job.fresh());
}

TEST_CASE("the ids survive a restart") {
  simulated_training before{20s, backend_protocol::kv};
  before.submit(first_of_kv, start);
  before.submit(more_of_kv, start);
  simulated_training after{20s, backend_protocol::kv};
  REQUIRE(after.load(before.save()));
  CHECK_EQ(after.id(), "id-2");
  CHECK_EQ(after.earlier_id(), "id-1");
  CHECK_FALSE(after.fresh());
  // A file of an older version.
  simulated_training old{20s};
  CHECK(old.load(R"({"workloads":{},"phase":"none","startedAt":1,"id":7})"));
  CHECK_EQ(old.id(), "");
}
