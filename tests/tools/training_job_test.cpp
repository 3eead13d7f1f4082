#include "tools/training_job.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

using namespace aiops::tools;
using namespace std::chrono_literals;

namespace {

const auto start = training_job::time_point{1'700'000'000s};

constexpr auto two = R"({"c":{"n":["a","b"]}})";
constexpr auto one = R"({"c":{"n":["a"]}})";

nlohmann::json statistics(const training_job& job,
                          training_job::time_point now) {
  return nlohmann::json::parse(job.statistics(now));
}

} // namespace

TEST_CASE("a training moves from 0 to 100 percent by the clock") {
  training_job job{20s};
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

TEST_CASE("a finished training is reported until the gateway knows") {
  training_job job{20s};
  job.submit(two, start);
  job.finish();
  CHECK_EQ(job.status(), "completed");
  CHECK(job.reporting());
  job.reported();
  CHECK_FALSE(job.reporting());
}

TEST_CASE("only something new starts a training") {
  training_job job{20s};
  job.submit(two, start);
  CHECK_EQ(job.submit(one, start + 5s), "training job submitted");
  CHECK_EQ(job.started(), start);
  CHECK_EQ(job.watchlist(), one);
  job.submit(two, start + 6s);
  CHECK_EQ(job.started(), start + 6s);
}

TEST_CASE("an empty list resets the model") {
  training_job job{20s};
  job.submit(two, start);
  CHECK_EQ(job.submit("{}", start), "model reset");
  CHECK_EQ(job.status(), "not started");
  CHECK_EQ(job.watchlist(), "{}");
  CHECK_FALSE(job.reporting());
}

TEST_CASE("what is no workload map changes nothing") {
  training_job job{20s};
  job.submit(two, start);
  for (auto text : {"", "[]", "{\"c\":[]}", "{\"c\":{\"n\":{}}}",
                    "{\"c\":{\"n\":[1]}}", "\xff"})
    CHECK_EQ(job.submit(text, start), "not a training request");
  CHECK_EQ(job.watchlist(), two);
}

TEST_CASE("a training survives a restart") {
  training_job before{20s};
  before.submit(two, start);
  training_job after{20s};
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
