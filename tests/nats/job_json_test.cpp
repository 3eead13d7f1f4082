#include "nats/job_json.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

using namespace aiops;
using namespace std::chrono_literals;

namespace {

/// 2026-01-31T12:00:00.123Z
constexpr training_job::time_point noon{1769860800123ms};

training_job full_job() {
  training_job x;
  x.id = "7c9e6679-7425-40de-944b-e07fc1f90ae7";
  x.number = 12;
  x.state = job_state::fetching_data;
  x.action = training_action::update;
  x.workloads = {{"c", "n", "d"}, {"c", "n", "e"}};
  x.changes = {{{"c", "n", "e"}}, {{"c", "o", "f"}}};
  x.started_at = noon;
  x.updated_at = noon + 1s;
  x.ended_at = noon + 7ms;
  x.reason = "why";
  x.response = "training job submitted";
  x.statistics = {61, 42, 100, 3, 0.25, "train"};
  x.progressed = true;
  x.confirmed = true;
  x.contested = true;
  return x;
}

} // namespace

TEST_CASE("a job is written for everybody to read") {
  CHECK(nlohmann::json::parse(encode_job(full_job()))
        == nlohmann::json::parse(R"({
          "id": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
          "number": 12,
          "state": "fetching data",
          "action": "update",
          "workloads": {"c": {"n": ["d", "e"]}},
          "added": {"c": {"n": ["e"]}},
          "removed": {"c": {"o": ["f"]}},
          "startedAt": "2026-01-31T12:00:00.123Z",
          "updatedAt": "2026-01-31T12:00:01.123Z",
          "endedAt": "2026-01-31T12:00:00.130Z",
          "reason": "why",
          "response": "training job submitted",
          "statistics": {"timeElapsed": 61, "percentageCompleted": 42,
                         "remainingTime": 100, "currentEpoch": 3,
                         "modelAccuracy": 0.25, "stage": "train"},
          "progressed": true, "confirmed": true, "contested": true})"));
  auto fresh = nlohmann::json::parse(encode_job({}));
  CHECK(fresh["endedAt"].is_null());
  CHECK(fresh["workloads"] == nlohmann::json::object());
}

TEST_CASE("a job is read as it was written, in every state") {
  CHECK(decode_job(encode_job(full_job())) == full_job());
  CHECK(decode_job(encode_job({})) == training_job{});
  for (size_t i = 0; i < job_state_count; ++i) {
    auto x = full_job();
    x.state = static_cast<job_state>(i);
    CHECK(decode_job(encode_job(x)) == x);
  }
  for (auto action : {training_action::train, training_action::update,
                      training_action::reset, training_action::none}) {
    auto x = full_job();
    x.action = action;
    CHECK(decode_job(encode_job(x)) == x);
  }
}

TEST_CASE("times survive in milliseconds, every one of them") {
  for (auto ms = 0; ms < 1000; ++ms) {
    auto x = full_job();
    x.started_at = noon + std::chrono::milliseconds{ms};
    CHECK(decode_job(encode_job(x)) == x);
  }
  auto finer = full_job();
  finer.started_at += 999us;
  CHECK(encode_job(finer) == encode_job(full_job()));
}

TEST_CASE("a reader takes what it can make sense of") {
  auto x = decode_job(R"({"number":"12","statistics":{"timeElapsed":"61"},
    "later":{"a":1},"endedAt":null,"reason":null,"state":"stalled"})");
  REQUIRE(x);
  CHECK(x->number == 12);
  CHECK(x->statistics.time_elapsed == 61);
  CHECK(x->state == job_state::stalled);
  CHECK(!x->ended_at);
  CHECK(decode_job("{}") == training_job{});
  for (auto bad :
       {"", "rubbish", "[]", "null", R"({"id":1})", R"({"number":-1})",
        R"({"number":1.5})", R"({"state":"dancing"})", R"({"state":1})",
        R"({"action":"dance"})", R"({"workloads":[]})", R"({"added":7})",
        R"({"startedAt":7})", R"({"statistics":[]})", R"({"progressed":1})"}) {
    CAPTURE(bad);
    CHECK(!decode_job(bad));
  }
}

TEST_CASE("a book is read as it was written") {
  training_book x;
  CHECK(decode_book(encode_book(x)) == x);
  CHECK(nlohmann::json::parse(encode_book(x))["job"].is_null());
  x.job = full_job();
  x.last_number = 12;
  x.model = {"training", {1, 2, 3, 4, 0.1, "train"}};
  CHECK(decode_book(encode_book(x)) == x);
  x.before = full_job();
  x.before->number = 11;
  CHECK(decode_book(encode_book(x)) == x);
  CHECK(encode_book(decode_book(encode_book(x)).value()) == encode_book(x));
  CHECK(decode_book("{}") == training_book{});
  for (auto bad : {"", "[]", R"({"job":7})", R"({"job":{"state":"?"}})",
                   R"({"lastNumber":"x"})", R"({"model":"x"})"}) {
    CAPTURE(bad);
    CHECK(!decode_book(bad));
  }
}

TEST_CASE("what is no UTF-8 does not cost the book") {
  auto x = full_job();
  x.response = "\xff";
  auto again = decode_job(encode_job(x));
  REQUIRE(again);
  CHECK(encode_job(*again) == encode_job(x));
}
