#include "nats/training/job_json.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <limits>

using namespace aiops;
using namespace aiops::nats;
using namespace std::chrono_literals;

namespace {

/// 2026-01-31T12:00:00.123Z
constexpr training_job::time_point noon{1769860800123ms};

const auto uuid = std::string{"7c9e6679-7425-40de-944b-e07fc1f90ae7"};

training_job full_job() {
  training_job x;
  x.id = uuid;
  x.number = 12;
  x.state = job_state::fetching_data;
  x.action = training_action::update;
  x.workloads = {{"c", "n", "d"}, {"c", "n", "e"}};
  x.list_id = x.id;
  x.changes = {{{"c", "n", "e"}}, {{"c", "o", "f"}}};
  x.base_id = base_list_id(x.id);
  x.started_at = noon;
  x.updated_at = noon + 1s;
  x.ended_at = noon + 7ms;
  x.reason = "why";
  x.response = "training job submitted";
  x.statistics = {61, 42, 100, 3, 0.25, "train"};
  x.progressed = true;
  x.confirmed = true;
  x.may_receive_stale_progress = true;
  x.adopted = true;
  x.reported_status = "training";
  x.completion_reported = true;
  return x;
}

/// The job as in a book that was read from the store.
training_job listless_job(uint64_t number) {
  auto x = summary_of(full_job()).job;
  x.number = number;
  return x;
}

training_book full_book() {
  training_book x;
  x.watchlist = {uuid, 11, training_action::update, noon, {}, uuid, true};
  x.training = listless_job(11);
  x.submission = listless_job(12);
  x.leaving = {listless_job(9), listless_job(10)};
  x.last_number = 12;
  x.model = {"training", {1, 2, 3, 4, 0.1, "train"}};
  return x;
}

std::optional<training_book> read_book(std::string_view text) {
  auto record = decode_book(text);
  return record ? std::optional{record->book} : std::nullopt;
}

/// A job as older versions stored it in their books.
std::string old_job(const std::string& id, int number,
                    const std::string& members) {
  return R"({"id":")" + id + R"(","number":)" + std::to_string(number)
         + R"(,"startedAt":"2026-01-31T12:00:00.123Z",)"
           R"("updatedAt":"2026-01-31T12:00:01.123Z","reason":"",)"
         + members + '}';
}

/// A list of `d`, compared with an empty one.
const auto of_d = std::string{
  R"("workloads":{"c":{"n":["d"]}},"added":{"c":{"n":["d"]}},"removed":{})"};

std::string old_book(const std::string& job, const std::string& before) {
  return R"({"job":)" + job + R"(,"before":)" + before
         + R"(,"lastNumber":7,"model":{"status":"training"}})";
}

} // namespace

// -- jobs ---------------------------------------------------------------------

TEST_CASE("a job is written for other programs") {
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
          "progressed": true, "confirmed": true, "contested": true,
          "adopted": true})"));
  auto fresh = nlohmann::json::parse(encode_job({}));
  CHECK(fresh["endedAt"].is_null());
  CHECK(fresh["workloads"] == nlohmann::json::object());
}

TEST_CASE("a record is read as it was written, in every state") {
  CHECK(decode_record(encode_record(full_job())) == summary_of(full_job()));
  CHECK(decode_record(encode_record({})) == job_summary{});
  for (size_t i = 0; i < job_state_count; ++i) {
    auto x = full_job();
    x.state = static_cast<job_state>(i);
    auto written = encode_record(x);
    if (ended(x.state)) {
      // Nothing depends on these any more.
      x.reported_status.clear();
      x.stale_progress_elapsed = 0;
    }
    CHECK(decode_record(written) == summary_of(x));
  }
  for (auto action : {training_action::train, training_action::update,
                      training_action::reset, training_action::none}) {
    auto x = full_job();
    x.action = action;
    CHECK(decode_record(encode_record(x)) == summary_of(x));
  }
}

TEST_CASE("the size of a record does not depend on its list") {
  auto x = full_job();
  auto small = encode_record(x);
  workload_list many;
  for (auto i = 0; i < 30'000; ++i)
    many.push_back({"cluster", "namespace", std::to_string(i)});
  x.workloads = x.changes.added = normalize(std::move(many));
  auto record = decode_record(encode_record(x));
  REQUIRE(record);
  CHECK(record->workloads == 30'000);
  CHECK(record->added == 30'000);
  CHECK(record->removed == 1);
  // Two numbers with four more digits each.
  CHECK(encode_record(x).size() == small.size() + 8);
}

TEST_CASE("a record of an older version has its lists") {
  auto x = decode_record(encode_job(full_job()));
  REQUIRE(x);
  CHECK(x->job.workloads == full_job().workloads);
  CHECK(x->job.changes == full_job().changes);
  CHECK(x->job.list_id.empty());
  CHECK(x->job.base_id.empty());
  CHECK(x->workloads == 2);
  CHECK(x->added == 1);
  CHECK(x->removed == 1);
}

TEST_CASE("all times keep their milliseconds") {
  for (auto ms = 0; ms < 1000; ++ms) {
    auto x = full_job();
    x.started_at = noon + std::chrono::milliseconds{ms};
    CHECK(decode_record(encode_record(x)) == summary_of(x));
  }
  auto finer = full_job();
  finer.started_at += 999us;
  CHECK(encode_record(finer) == encode_record(full_job()));
}

TEST_CASE("a reader ignores unknown members") {
  auto x = decode_record(R"({"number":"12","statistics":{"timeElapsed":"61"},
    "later":{"a":1},"endedAt":null,"reason":null,"state":"stalled",
    "workloadCount":"7"})");
  REQUIRE(x);
  CHECK(x->job.number == 12);
  CHECK(x->job.statistics.time_elapsed == 61);
  CHECK(x->job.state == job_state::stalled);
  CHECK(!x->job.ended_at);
  CHECK(x->workloads == 7);
  CHECK(decode_record("{}") == job_summary{});
  for (auto bad : {"",
                   "rubbish",
                   "[]",
                   "null",
                   R"({"id":1})",
                   R"({"number":-1})",
                   R"({"number":1.5})",
                   R"({"state":"dancing"})",
                   R"({"state":1})",
                   R"({"action":"dance"})",
                   R"({"workloads":[]})",
                   R"({"added":7})",
                   R"({"startedAt":7})",
                   R"({"statistics":[]})",
                   R"({"progressed":1})",
                   R"({"adopted":1})",
                   R"({"list":7})",
                   R"({"base":7})",
                   R"({"told":7})",
                   R"({"workloadCount":-1})"}) {
    CAPTURE(bad);
    CHECK(!decode_record(bad));
  }
}

TEST_CASE("bytes that are not UTF-8 are replaced") {
  auto x = full_job();
  x.response = "\xff";
  auto again = decode_record(encode_record(x));
  REQUIRE(again);
  CHECK(decode_record(encode_record(again->job))->job.response
        == again->job.response);
}

// -- books --------------------------------------------------------------------

TEST_CASE("a book is read as it was written") {
  CHECK(read_book(encode_book({}, "", "", "")) == training_book{});
  auto empty = nlohmann::json::parse(encode_book({}, "", "", ""));
  CHECK(empty["training"].is_null());
  CHECK(empty["submission"].is_null());
  CHECK(empty["leaving"] == nlohmann::json::array());
  auto text = encode_book(full_book(), "this one", "the one before",
                          "the first one");
  auto record = decode_book(text);
  REQUIRE(record);
  CHECK(record->book == full_book());
  CHECK(record->write == "this one");
  CHECK(record->previous == "the one before");
  CHECK(record->origin == "the first one");
  CHECK(
    encode_book(record->book, record->write, record->previous, record->origin)
    == text);
  CHECK(read_book("{}") == training_book{});
  for (auto bad :
       {"", "[]", R"({"training":7})", R"({"training":{"state":"?"}})",
        R"({"submission":[]})", R"({"leaving":{}})", R"({"leaving":[7]})",
        R"({"watchlist":[]})", R"({"watchlist":{"action":"dance"}})",
        R"({"lastNumber":"x"})", R"({"model":"x"})", R"({"write":7})",
        R"({"previous":7})", R"({"origin":7})", R"({"job":7})",
        R"({"job":{"state":"?"}})"}) {
    CAPTURE(bad);
    CHECK(!decode_book(bad));
  }
}

TEST_CASE("a book has no lists") {
  training_book x;
  x.watchlist = {
    uuid, 12,   training_action::train, noon, {{"c", "n", "deploy"}},
    uuid, false};
  x.training = full_job();
  x.training->workloads = x.training->changes.added = x.watchlist.workloads;
  auto text = encode_book(x, "a", "b", "c");
  CHECK(text.find("deploy") == std::string::npos);
  auto again = read_book(text);
  REQUIRE(again);
  CHECK(again->watchlist.list_id == uuid);
  CHECK(again->training->list_id == uuid);
  CHECK(again->training->base_id == base_list_id(uuid));
}

namespace {

/// The text with the longest JSON.
std::string noise(size_t size) {
  std::string result;
  while (result.size() < size)
    result += "\"\\\x01\x1f";
  return result;
}

/// The book after changes whose texts are only noise.
training_book after(const training_book& book, const job_change& change) {
  change_context by;
  by.now = noon;
  auto result = apply_change(book, change, by);
  REQUIRE(result);
  return *result;
}

/// A job with the longest texts that a change can set, and the largest numbers.
training_job worst_job(const std::string& id) {
  job_submission entry;
  entry.id = id;
  auto entered = after({}, entry);
  constexpr auto most = std::numeric_limits<int64_t>::max();
  training_statistics statistics{
    most, 100, most, most, 1.2345678901234567e-308, noise(1000)};
  auto reported = after(entered, job_progress{id, noise(1000), statistics});
  REQUIRE(reported.submission);
  auto result = *reported.submission;
  result.response
    = after(entered, job_acceptance{id, noise(1000)}).training->response;
  result.reason
    = after(entered, job_rejection{id, noise(1000)}).leaving.at(0).reason;
  result.number = most;
  result.state = job_state::fetching_data;
  result.action = training_action::update;
  result.ended_at = noon;
  for (auto text : {&result.reason, &result.response, &result.reported_status})
    CHECK(text->size() >= 4);
  CHECK(result.statistics.stage.size() >= 4);
  result.completion_reported = true;
  result.list_id = id;
  result.base_id = base_list_id(id);
  return result;
}

} // namespace

TEST_CASE("the worst book is smaller than the limit") {
  training_book x;
  auto job = worst_job(uuid);
  job.workloads = {{"c", "n", "d"}};
  x.training = x.submission = job;
  x.leaving.assign(max_leaving, job);
  x.watchlist = {uuid, job.number, job.action, noon, {}, uuid, false};
  x.last_number = job.number;
  x.model = {job.reported_status, job.statistics};
  auto text = encode_book(x, uuid, uuid, uuid);
  CHECK(text.size() < max_book_size);
  CHECK(decode_book(text));
}

TEST_CASE("a foreign job with the worst id leaves room, too") {
  job_progress report;
  report.status = std::string{model_text::training};
  report.statistics = training_statistics{};
  report.id = noise(max_job_id);
  CHECK_FALSE(apply_change({}, report, {}));
  report.id = noise(4);
  auto book = after({}, report);
  REQUIRE(book.training);
  CHECK(book.training->id == report.id);
  auto others = worst_job(uuid);
  book.submission = others;
  book.leaving.assign(max_leaving, others);
  CHECK(encode_book(book, uuid, uuid, uuid).size() < max_book_size);
}

// -- books of older versions --------------------------------------------------

TEST_CASE("in an old book the running train is the training") {
  auto x = read_book(old_book(
    old_job("a", 7,
            of_d
              + R"(,"state":"training","action":"train","response":"ok",)"
                R"("progressed":true,"confirmed":true)"),
    "null"));
  REQUIRE(x);
  REQUIRE(x->training);
  CHECK(x->training->id == "a");
  CHECK(x->training->number == 7);
  CHECK(x->training->state == job_state::training);
  CHECK(x->training->workloads == shared_workloads{{"c", "n", "d"}});
  CHECK(x->training->changes.added.size() == 1);
  // For the next write.
  CHECK(x->training->list_id == "a");
  CHECK(x->training->base_id.empty());
  CHECK(x->training->progressed);
  CHECK(x->training->confirmed);
  CHECK(!x->training->adopted);
  CHECK(x->watchlist
        == accepted_watchlist{"a", 7, training_action::train, noon,
                              x->training->workloads, "a", false});
  CHECK(!x->submission);
  CHECK(x->leaving.empty());
  CHECK(x->last_number == 7);
  CHECK(x->model.status == "training");
  CHECK(busy(*x));
}

TEST_CASE(
  "in an old book an empty difference shows a training without submission") {
  auto x = read_book(old_book(
    old_job("a", 7, R"("state":"training","action":"train","workloads":{})"),
    "null"));
  REQUIRE(x);
  REQUIRE(x->training);
  CHECK(x->training->adopted);
}

TEST_CASE(
  "in an old book a cancelled train leaves no watchlist to compare with") {
  auto x = read_book(
    old_book(old_job("a", 7, of_d + R"(,"state":"cancelled","action":"train")"),
             "null"));
  REQUIRE(x);
  REQUIRE(x->training);
  CHECK(x->watchlist.cancelled);
  CHECK(forgotten(*x));
  CHECK(basis_list(*x).empty());
}

TEST_CASE(
  "in an old book the submission without outcome is beside the earlier train") {
  auto pending_job = old_job(
    "b", 7,
    R"("workloads":{"c":{"n":["d","e"]}},"added":{"c":{"n":["e"]}},)"
    R"("removed":{},"state":"submitted","action":"train","response":"")");
  // Older versions ended a training as soon as the next was entered.
  auto x = read_book(old_book(
    pending_job,
    old_job("a", 6,
            of_d
              + R"(,"state":"superseded","action":"train","response":"ok",)"
                R"("progressed":true,"endedAt":"2026-01-31T12:00:01.123Z")")));
  REQUIRE(x);
  REQUIRE(x->submission);
  CHECK(x->submission->id == "b");
  CHECK(x->submission->list_id == "b");
  // Its base is the list before, under an id of its own.
  CHECK(x->submission->base_id == base_list_id("b"));
  CHECK(base_of(*x->submission) == workload_list{{"c", "n", "d"}});
  CHECK(pending(*x));
  REQUIRE(x->training);
  CHECK(x->training->id == "a");
  CHECK(x->leaving.empty());
  CHECK(x->watchlist.job_id == "a");
  CHECK(basis_list(*x) == shared_workloads{{"c", "n", "d"}});
  // It continues if the submission is refused.
  CHECK(running(x->training->state));
  CHECK(!x->training->ended_at);
}

TEST_CASE(
  "in an old book the first submission without outcome has no earlier train") {
  auto x = read_book(
    old_book(old_job("b", 7, of_d + R"(,"state":"submitted","action":"train")"),
             "null"));
  REQUIRE(x);
  CHECK(x->submission);
  CHECK(!x->training);
  CHECK(x->watchlist == accepted_watchlist{});
  CHECK(x->leaving.empty());
}

TEST_CASE("in an old book a completed update is the watchlist, and the earlier "
          "train is the training") {
  auto update = old_job(
    "b", 7,
    R"("workloads":{"c":{"n":["d"]}},"added":{},)"
    R"("removed":{"c":{"n":["e"]}},"state":"completed","action":"update",)"
    R"("response":"ok","endedAt":"2026-01-31T12:00:01.123Z")");
  auto x = read_book(
    old_book(update, old_job("a", 6,
                             of_d
                               + R"(,"state":"completed","action":"train",)"
                                 R"("endedAt":"2026-01-31T12:00:00.123Z")")));
  REQUIRE(x);
  CHECK(x->watchlist.job_id == "b");
  CHECK(x->watchlist.number == 7);
  CHECK(x->watchlist.action == training_action::update);
  CHECK(x->watchlist.list_id == "b");
  CHECK(basis_list(*x) == shared_workloads{{"c", "n", "d"}});
  CHECK(!x->submission);
  REQUIRE(x->leaving.size() == 1);
  CHECK(x->leaving[0].id == "b");
  CHECK(x->leaving[0].base_id == base_list_id("b"));
  REQUIRE(x->training);
  CHECK(x->training->id == "a");
  CHECK(x->training->state == job_state::completed);
}

TEST_CASE("an old book that was read is written as a new one") {
  auto x = read_book(old_book(
    old_job("a", 7,
            of_d + R"(,"state":"training","action":"train","response":"ok")"),
    "null"));
  REQUIRE(x);
  auto again = read_book(encode_book(*x, "w", "", ""));
  REQUIRE(again);
  CHECK(again->training->id == "a");
  CHECK(again->training->list_id == "a");
  CHECK(again->watchlist.job_id == "a");
  CHECK(again->last_number == 7);
}
