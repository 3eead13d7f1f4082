#include "nats/bus.hpp"
#include "nats/training/request_reply_backend.hpp"
#include "tests/nats/fake_bus.hpp"
#include "tests/nats/fake_kv_store.hpp"
#include "tests/support/deterministic.hpp"

#include <doctest/doctest.h>

using namespace aiops;
using namespace aiops::nats;
using namespace aiops::test;

namespace {

const auto aggregation_bucket = std::string{"os-workload-aggregation"};
const auto statistics_key = std::string{"modelTrainingStatus"};

struct fixture : deterministic {
  fixture() {
    memory->clock = [this] { return wall_now(); };
    handle = spawn(request_reply_backend, bus, kv, backend_config{});
    run();
  }

  auto train(workload_list xs) {
    return ask(handle, train_atom_v, backend_submission{"id", std::move(xs)},
               caf::timespan{3s});
  }

  void store(std::string value) {
    memory->store({aggregation_bucket, statistics_key, std::move(value), {}});
  }

  bus_script_ptr script = std::make_shared<bus_script>();
  kv_memory_ptr memory = std::make_shared<kv_memory>();
  bus_actor bus = spawn(fake_bus, script);
  kv_store_actor kv = spawn(fake_kv_store, memory);
  backend_actor handle;
};

} // namespace

TEST_CASE_FIXTURE(fixture, "a submission contains the bare map") {
  script->on("train_model").answer({"training job submitted"});
  CHECK(train({{"c", "n", "d"}})->value == "training job submitted");
  auto& request = std::get<0>(script->on("train_model").last());
  CHECK(request.payload == R"({"c":{"n":["d"]}})");
  CHECK(request.timeout == 3s);
  train({});
  CHECK(std::get<0>(script->on("train_model").last()).payload == "{}");
  CHECK(memory->writes.empty());
}

TEST_CASE_FIXTURE(fixture,
                  "requests have the payloads that the backend expects") {
  script->on("model_status").answer({"training"});
  CHECK(ask(handle, status_atom_v)->value->status == "training");
  CHECK(std::get<0>(script->on("model_status").last()).payload
        == "model_status");
  CHECK(ask(handle, check_atom_v)->value);
  CHECK(script->on("model_status").calls() == 2);
  script->on("workload_parameters").answer({R"({"c":{"n":["d"]}})"});
  CHECK(ask(handle, watchlist_atom_v)->value == workload_list{{"c", "n", "d"}});
  CHECK(std::get<0>(script->on("workload_parameters").last()).payload
        == "model_training_parameters");
}

TEST_CASE_FIXTURE(fixture, "faults of the backend have different codes") {
  CHECK(ask(handle, status_atom_v)->code() == ec::no_responders);
  CHECK(ask(handle, check_atom_v)->code() == ec::no_responders);
  CHECK(train({})->code() == ec::no_responders);
  script->on("model_status").answer({"\xff rubbish"});
  CHECK(ask(handle, status_atom_v)->code() == ec::bad_reply);
  CHECK(ask(handle, check_atom_v)->code() == ec::bad_reply);
  script->on("train_model").answer({""});
  CHECK(train({})->code() == ec::bad_reply);
  script->on("workload_parameters").answer({"rubbish"});
  CHECK(ask(handle, watchlist_atom_v)->code() == ec::bad_reply);
  script->on("model_status").fail(ec::timeout);
  auto late = ask(handle, status_atom_v);
  CHECK(late->code() == ec::timeout);
  CHECK(text_of(late->error)
        == "the training backend did not answer on 'model_status' in time");
  script->on("model_status").fail(ec::disconnected);
  CHECK(ask(handle, status_atom_v)->code() == ec::disconnected);
}

TEST_CASE_FIXTURE(fixture, "a refusal is distinguished from an acceptance") {
  for (auto no : {"error: no GPU", "Failed to parse", "refused",
                  "Rejected: busy", "not a training request", "invalid payload",
                  "Cannot train", "unable to train", "no GPU"}) {
    CAPTURE(no);
    script->on("train_model").answer({no});
    auto x = train({});
    CHECK(x->code() == ec::refused);
    CHECK(text_of(x->error).ends_with(no));
  }
  for (auto yes : {"training job submitted", "model reset", "noted", "ok"}) {
    CAPTURE(yes);
    script->on("train_model").answer({yes});
    CHECK(train({})->value == std::string{yes});
  }
}

TEST_CASE_FIXTURE(fixture, "a submission that may have arrived is a timeout") {
  script->on("train_model").fail(ec::disconnected);
  CHECK(train({})->code() == ec::disconnected);
  script->on("train_model").fail(ec::lost_in_flight);
  CHECK(train({})->code() == ec::timeout);
  script->on("train_model").hold();
  auto answer = train({});
  kill(bus);
  advance(3s);
  CHECK(answer->code() == ec::timeout);
}

TEST_CASE_FIXTURE(fixture, "requests fail when the bus ends") {
  script->on("model_status").hold();
  auto answer = ask(handle, status_atom_v);
  auto check = ask(handle, check_atom_v);
  kill(bus);
  advance(10s);
  CHECK(answer->done());
  CHECK(check->done());
}

TEST_CASE_FIXTURE(
  fixture, "statistics are stored under the key of the original program") {
  store(R"({"percentageCompleted":"42"})");
  auto answer = ask(handle, get_atom_v);
  REQUIRE(answer->value);
  CHECK(answer->value->revision == 1);
  CHECK(answer->value->created == wall_now());
  CHECK(answer->value->value.status.empty());
  CHECK(answer->value->value.statistics.percentage_completed == 42);
  store(R"({"percentageCompleted":"101","remainingTime":-7})");
  CHECK(ask(handle, get_atom_v)->value->value.statistics
        == training_statistics{0, 100, 0, 0, 0.0, ""});
}

TEST_CASE_FIXTURE(fixture, "no or unreadable statistics are zeros") {
  CHECK(ask(handle, get_atom_v)->value->revision == 0);
  store("rubbish");
  auto answer = ask(handle, get_atom_v);
  CHECK(answer->value->revision == 1);
  CHECK(answer->value->value == model_status{});
  memory->down = make_error(ec::timeout, "late");
  CHECK(ask(handle, get_atom_v)->code() == ec::timeout);
}

TEST_CASE_FIXTURE(fixture, "statistics are written and removed") {
  model_status x{"training", {}};
  x.statistics.percentage_completed = 7;
  CHECK(ask(handle, put_atom_v, x)->value);
  auto value = memory->value(aggregation_bucket, statistics_key);
  REQUIRE(value);
  CHECK(*value
        == R"({"currentEpoch":"0","modelAccuracy":0.0,)"
           R"("percentageCompleted":"7","remainingTime":"0","stage":"",)"
           R"("timeElapsed":"0"})");
  memory->store({aggregation_bucket, "aggregation", "{}", {}});
  CHECK(ask(handle, delete_atom_v)->value);
  CHECK(memory->keys(aggregation_bucket)
        == std::vector<std::string>{"aggregation"});
  memory->down = make_error(ec::disconnected, "down");
  CHECK(ask(handle, put_atom_v, x)->code() == ec::disconnected);
  CHECK(ask(handle, delete_atom_v)->code() == ec::disconnected);
}

TEST_CASE_FIXTURE(fixture, "the store has no watchlist to correct") {
  store(R"({"percentageCompleted":"42"})");
  auto model = ask(handle, get_atom_v);
  REQUIRE(model->value);
  CHECK(model->value->watchlist_revision == 0);
  CHECK(model->value->watchlist_job.empty());
  auto writes = memory->writes.size();
  backend_submission other{"id", {{"c", "n", "d"}}};
  CHECK(ask(handle, put_atom_v, other, uint64_t{7})->value);
  CHECK(ask(handle, put_atom_v, backend_submission{}, uint64_t{7})->value);
  CHECK(memory->writes.size() == writes);
}
