#include "nats/training/progress_json.hpp"

#include <doctest/doctest.h>

using namespace aiops;
using namespace aiops::nats;

TEST_CASE("a message is the statistics, or status and statistics") {
  auto bare = decode_progress(R"({"timeElapsed":"61","percentageCompleted":42,
    "remainingTime":1e2,"currentEpoch":3.0,"modelAccuracy":"0.25",
    "stage":"train","uuid":"7","later":[]})");
  REQUIRE(bare);
  auto statistics = training_statistics{61, 42, 100, 3, 0.25, "train"};
  CHECK(bare->id == "7");
  CHECK(!bare->status);
  CHECK(bare->statistics == statistics);
  auto full = decode_progress(R"({"status":"training","statistics":{
    "timeElapsed":61,"percentageCompleted":42,"remainingTime":100,
    "currentEpoch":3,"modelAccuracy":0.25,"stage":"train"}})");
  REQUIRE(full);
  CHECK(full->id.empty());
  CHECK(full->status == "training");
  CHECK(full->statistics == statistics);
}

TEST_CASE("null and missing members are nothing or zeros") {
  for (auto text : {R"({"status":"completed","statistics":null})",
                    R"({"status":"completed","uuid":null})"}) {
    auto x = decode_progress(text);
    REQUIRE(x);
    CHECK(x->status == "completed");
    CHECK(!x->statistics);
  }
  auto x = decode_progress(R"({"statistics":{"timeElapsed":null}})");
  REQUIRE(x);
  CHECK(!x->status);
  CHECK(x->statistics == training_statistics{});
  CHECK(decode_progress("{}")->statistics == training_statistics{});
}

TEST_CASE("errors name the member") {
  auto problem = [](std::string_view text) {
    auto x = decode_progress(text);
    REQUIRE(!x);
    CHECK(code_of(x.error()) == ec::invalid_argument);
    return text_of(x.error());
  };
  CHECK(problem("rubbish") == "the message is not valid JSON");
  CHECK(problem(std::string_view{"{}\0x", 4})
        == "the message is not valid JSON");
  CHECK(problem("[]") == "the message must be a JSON object");
  CHECK(problem(R"({"remainingTime":1.5})")
        == "remainingTime must be an integer");
  CHECK(problem(R"({"currentEpoch":true})") == "currentEpoch must be a number");
  CHECK(problem(R"({"modelAccuracy":"nan"})")
        == "modelAccuracy must be a number");
  CHECK(problem(R"({"stage":1})") == "stage must be a string");
  CHECK(problem(R"({"uuid":1})") == "uuid must be a string");
  CHECK(problem(R"({"status":1})") == "status must be a string");
  CHECK(problem(R"({"statistics":1})") == "statistics must be an object");
  CHECK(problem(R"({"statistics":{"timeElapsed":"x"}})")
        == "statistics.timeElapsed must be a number");
}

TEST_CASE("impossible numbers are corrected") {
  auto x = decode_progress(R"({"percentageCompleted":101,"timeElapsed":"-1",
    "remainingTime":NaN,"modelAccuracy":"Infinity","stage":"train"})");
  REQUIRE(x);
  CHECK(x->statistics->over({1, 2, 3, 4, 0.5, ""})
        == training_statistics{0, 100, 3, 0, 0.5, "train"});
}

TEST_CASE("an outcome has the format of the REST API") {
  CHECK(encode_outcome({}) == "{}");
  CHECK(encode_outcome(make_error(ec::conflict, "an older job"))
        == R"({"code":10,"details":[],"message":"an older job"})");
}
