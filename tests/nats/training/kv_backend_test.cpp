#include "nats/bus.hpp"
#include "nats/training/kv_backend.hpp"
#include "tests/nats/fake_bus.hpp"
#include "tests/nats/fake_kv_store.hpp"
#include "tests/support/deterministic.hpp"

#include <doctest/doctest.h>

using namespace aiops;
using namespace aiops::nats;
using namespace aiops::test;

namespace {

const auto parameters_bucket = std::string{"model-training-parameters"};
const auto parameters_key = std::string{"modelTrainingParameters"};
const auto statistics_bucket = std::string{"model-training-statistics"};
const auto statistics_key = std::string{"modelTrainingStatus"};

const auto ours = std::string{R"({"uuid":"id","workloads":{"c":{"n":["d"]}}})"};
const auto older = std::string{R"({"uuid":"old","workloads":{}})"};

struct fixture : deterministic {
  fixture() {
    memory->clock = [this] { return wall_now(); };
    handle = spawn(kv_backend, bus, kv, backend_config{});
    run();
  }

  auto train(workload_list xs = {{"c", "n", "d"}}) {
    return ask(handle, train_atom_v, backend_submission{"id", std::move(xs)},
               caf::timespan{3s});
  }

  void store(std::string value) {
    memory->store({parameters_bucket, parameters_key, std::move(value), {}});
  }

  /// What is stored; `(none)` when there is nothing.
  std::string parameters() {
    auto value = memory->value(parameters_bucket, parameters_key);
    return value ? *value : "(none)";
  }

  auto& backend_service() {
    return script->on("train_model");
  }

  bus_script_ptr script = std::make_shared<bus_script>();
  kv_memory_ptr memory = std::make_shared<kv_memory>();
  bus_actor bus = spawn(fake_bus, script);
  kv_store_actor kv = spawn(fake_kv_store, memory);
  backend_actor handle;
};

} // namespace

// -- submissions --------------------------------------------------------------

TEST_CASE_FIXTURE(fixture, "the stored and the sent payload are equal") {
  store(older);
  backend_service().hold();
  auto answer = train();
  // Before the backend is asked.
  CHECK(parameters() == ours);
  CHECK(memory->writes.back().expected == 1);
  auto& request = std::get<0>(backend_service().last());
  CHECK(request.payload == ours);
  CHECK(request.timeout < 3s);
  CHECK(request.timeout >= 2s);
  backend_service().release({"training job submitted"});
  run();
  CHECK(answer->value == "training job submitted");
  CHECK(parameters() == ours);
}

TEST_CASE_FIXTURE(fixture, "an empty watchlist omits the workloads") {
  backend_service().answer({"model reset"});
  CHECK(train({})->value == "model reset");
  CHECK(parameters() == R"({"uuid":"id"})");
  CHECK(std::get<0>(backend_service().last()).payload == R"({"uuid":"id"})");
}

TEST_CASE_FIXTURE(fixture, "the stored watchlist stays with every outcome") {
  store(older);
  auto code = ec::none;
  SUBCASE("a request that was not sent") {
    code = ec::disconnected;
    backend_service().fail(code);
  }
  SUBCASE("too many requests") {
    code = ec::overloaded;
    backend_service().fail(code);
  }
  SUBCASE("a request that is too large") {
    code = ec::too_large;
    backend_service().fail(code);
  }
  SUBCASE("a refusal of the backend") {
    code = ec::refused;
    backend_service().answer({"error: no GPU"});
  }
  SUBCASE("no answer") {
    code = ec::timeout;
    backend_service().fail(code);
  }
  SUBCASE("an unreadable answer") {
    code = ec::bad_reply;
    backend_service().answer({"\xff"});
  }
  SUBCASE("a connection lost meanwhile") {
    code = ec::timeout;
    backend_service().fail(ec::lost_in_flight);
  }
  CHECK(train()->code() == code);
  CHECK(backend_service().calls() == 1);
  CHECK(parameters() == ours);
}

TEST_CASE_FIXTURE(fixture, "a backend that starts meanwhile gets the request") {
  backend_service().fail(ec::no_responders);
  auto answer = train();
  CHECK(backend_service().calls() == 1);
  CHECK(parameters() == ours);
  advance(999ms);
  CHECK(backend_service().calls() == 1);
  CHECK_FALSE(answer->done());
  backend_service().answer({"training job submitted"});
  advance(1ms);
  CHECK(answer->value == "training job submitted");
  auto& first = std::get<0>(backend_service().call(0));
  auto& second = std::get<0>(backend_service().call(1));
  CHECK(second.payload == first.payload);
  CHECK(second.timeout == first.timeout - 1s);
  // One write: a backend that starts late reads it.
  CHECK(memory->writes.size() == 1);
}

TEST_CASE_FIXTURE(fixture, "the request is repeated until the deadline") {
  backend_service().fail(ec::no_responders);
  auto answer = train();
  // The rest of the 3 s is reserved for undoing the submission.
  advance(1999ms);
  CHECK_FALSE(answer->done());
  advance(1ms);
  CHECK(answer->code() == ec::no_responders);
  CHECK(backend_service().calls() == 3);
  advance(1min);
  CHECK(backend_service().calls() == 3);
  CHECK(parameters() == ours);
}

TEST_CASE_FIXTURE(fixture, "submissions wait for a backend concurrently") {
  backend_service().fail(ec::no_responders);
  auto one = train();
  advance(500ms);
  auto two = train({{"c", "n", "e"}});
  backend_service().answer({"training job submitted"});
  advance(500ms);
  CHECK(one->value);
  CHECK_FALSE(two->done());
  advance(500ms);
  CHECK(two->value);
}

TEST_CASE_FIXTURE(fixture, "one of two concurrent submissions is a conflict") {
  memory->refuse = [this](const kv_write& x) -> caf::error {
    if (x.value == ours)
      store("theirs");
    return {};
  };
  CHECK(train()->code() == ec::conflict);
  CHECK(parameters() == "theirs");
  CHECK(script->subjects.empty());
}

TEST_CASE_FIXTURE(fixture, "an error of the store ends the submission") {
  backend_service();
  // Nothing was stored or sent.
  memory->down = make_error(ec::timeout, "late");
  CHECK(train()->code() == ec::overloaded);
  memory->down = {};
  memory->refuse = [](const kv_write&) {
    return make_error(ec::too_large, "large");
  };
  CHECK(train()->code() == ec::too_large);
  CHECK(backend_service().calls() == 0);
}

TEST_CASE_FIXTURE(fixture,
                  "a write without an answer is not sent to the backend") {
  store(older);
  backend_service();
  for (auto code :
       {ec::timeout, ec::lost_in_flight, ec::bad_reply, ec::internal}) {
    memory->lose_answer = [code](const kv_write& x) {
      return x.value == ours ? make_error(code, "lost") : caf::error{};
    };
    // So the backend did not get it. The replica that keeps the book corrects
    // the stored value.
    CHECK(train()->code() == ec::overloaded);
    CHECK(parameters() == ours);
  }
  CHECK(backend_service().calls() == 0);
}

TEST_CASE_FIXTURE(fixture, "a slow store leaves the backend less time") {
  backend_service().hold();
  memory->when = [] { return kv_memory::timing::late_answer; };
  auto answer = train();
  auto release = [&] {
    REQUIRE(memory->held.size() == 1);
    auto next = std::exchange(memory->held, {});
    next.front()();
    run();
  };
  release();
  advance(2s);
  release();
  REQUIRE(backend_service().calls() == 1);
  CHECK(std::get<0>(backend_service().last()).timeout == 400ms);
  advance(400ms);
  CHECK(answer->code() == ec::timeout);
}

TEST_CASE_FIXTURE(fixture, "the wait for a silent store is limited") {
  backend_service();
  // Answers the read and nothing after that.
  auto silent = [](kv_store_actor::pointer,
                   int) -> kv_store_actor::behavior_type {
    return {
      [](get_atom, const std::string&, const std::string&) {
        return kv_entry{};
      },
      [](put_atom, const kv_write&) -> caf::result<uint64_t> {
        return caf::delegated<uint64_t>{};
      },
      [](check_atom, const std::string&) { /* nop */ },
      [](delete_atom, const std::string&, const std::string&) {
        return uint64_t{0};
      },
      [](list_atom, const std::string&, const std::string&) {
        return std::vector<std::string>{};
      },
      [](subscribe_atom, const std::string&, const std::string&,
         const kv_listener_actor&) { /* nop */ },
    };
  };
  handle = spawn(kv_backend, bus, kv_store_actor{spawn(silent, 0)},
                 backend_config{});
  auto answer = train();
  advance(3s);
  CHECK(answer->code() == ec::overloaded);
  CHECK(backend_service().calls() == 0);
}

// -- requests -----------------------------------------------------------------

TEST_CASE_FIXTURE(fixture, "the backend does not report its status") {
  auto answer = ask(handle, status_atom_v);
  REQUIRE(answer->value);
  CHECK(!answer->value->status);
}

TEST_CASE_FIXTURE(fixture, "the stored watchlist is read in both formats") {
  auto watchlist = [this] { return ask(handle, watchlist_atom_v); };
  CHECK(watchlist()->value == workload_list{});
  store(ours);
  CHECK(watchlist()->value == workload_list{{"c", "n", "d"}});
  store(R"({"c":{"n":["d"]}})");
  CHECK(watchlist()->value == workload_list{{"c", "n", "d"}});
  store(R"({"uuid":"id"})");
  CHECK(watchlist()->value == workload_list{});
  store("rubbish");
  CHECK(watchlist()->code() == ec::bad_reply);
  memory->down = make_error(ec::disconnected, "down");
  CHECK(watchlist()->code() == ec::disconnected);
}

TEST_CASE_FIXTURE(fixture,
                  "any readable reply shows that the backend is there") {
  CHECK(ask(handle, check_atom_v)->code() == ec::no_responders);
  script->on("gpu_service_running").answer({"running"});
  CHECK(ask(handle, check_atom_v)->value);
  CHECK(std::get<0>(script->on("gpu_service_running").last()).payload
        == "check-up");
  script->on("gpu_service_running").answer({"\xff"});
  CHECK(ask(handle, check_atom_v)->code() == ec::bad_reply);
}

TEST_CASE_FIXTURE(fixture, "status and statistics are one value") {
  CHECK(ask(handle, get_atom_v)->value->revision == 0);
  model_status x{"training", {60, 42, 100, 3, 0.5, "train"}};
  CHECK(ask(handle, put_atom_v, x)->value);
  auto value = memory->value(statistics_bucket, statistics_key);
  REQUIRE(value);
  CHECK(*value
        == R"({"statistics":{"currentEpoch":"3","modelAccuracy":0.5,)"
           R"("percentageCompleted":"42","remainingTime":"100",)"
           R"("stage":"train","timeElapsed":"60"},"status":"training"})");
  auto answer = ask(handle, get_atom_v);
  CHECK(answer->value->value == x);
  CHECK(answer->value->revision == 1);
  CHECK(answer->value->created == wall_now());
  memory->store({statistics_bucket,
                 statistics_key,
                 R"({"status":"completed","statistics":null})",
                 {}});
  CHECK(ask(handle, get_atom_v)->value->value == model_status{"completed", {}});
  memory->store({statistics_bucket,
                 statistics_key,
                 R"({"status":"training","statistics":{"remainingTime":"-5",)"
                 R"("percentageCompleted":120,"modelAccuracy":"NaN"}})",
                 {}});
  CHECK(ask(handle, get_atom_v)->value->value
        == model_status{"training", {0, 100, 0, 0, 0.0, ""}});
  memory->store({statistics_bucket, statistics_key, "rubbish", {}});
  CHECK(ask(handle, get_atom_v)->value->revision == 4);
}

TEST_CASE_FIXTURE(fixture, "the status is removed, the watchlist is not") {
  store(ours);
  memory->store({parameters_bucket, "lastModelTrained", "{}", {}});
  memory->store({statistics_bucket, statistics_key, "{}", {}});
  CHECK(ask(handle, delete_atom_v)->value);
  CHECK(memory->keys(statistics_bucket).empty());
  CHECK(memory->keys(parameters_bucket)
        == std::vector<std::string>{"lastModelTrained", parameters_key});
  CHECK(ask(handle, delete_atom_v)->value);
  memory->down = make_error(ec::disconnected, "down");
  CHECK(ask(handle, delete_atom_v)->code() == ec::disconnected);
}

// -- the watchlist in the store -----------------------------------------------

TEST_CASE_FIXTURE(fixture, "the job of the stored watchlist is reported") {
  auto model = [this] { return ask(handle, get_atom_v); };
  CHECK(model()->value->watchlist_revision == 0);
  CHECK(model()->value->watchlist_job.empty());
  CHECK(model()->value->with_status);
  store(ours);
  CHECK(model()->value->watchlist_revision == 1);
  CHECK(model()->value->watchlist_job == "id");
  // There is no status nevertheless.
  CHECK(model()->value->revision == 0);
  // Of an older version or another program.
  for (auto value : {R"({"c":{"n":["d"]}})", R"({"uuid":7})", "rubbish"}) {
    CAPTURE(value);
    store(value);
    CHECK(model()->value->watchlist_job.empty());
    CHECK(model()->value->watchlist_revision == memory->sequence);
  }
  memory->down = make_error(ec::disconnected, "down");
  CHECK(model()->code() == ec::disconnected);
}

TEST_CASE_FIXTURE(fixture, "a watchlist replaces the one that was read") {
  auto put = [this](const backend_submission& x, uint64_t expected) {
    return ask(handle, put_atom_v, x, expected);
  };
  store(older);
  backend_submission right{"id", {{"c", "n", "d"}}};
  CHECK(put(right, 1)->value);
  CHECK(parameters() == ours);
  // It does not replace a newer one.
  store("newer");
  CHECK(put(right, 2)->code() == ec::conflict);
  CHECK(parameters() == "newer");
  CHECK(put({}, 2)->code() == ec::conflict);
  CHECK(parameters() == "newer");
  // The values of the backend stay.
  memory->store({parameters_bucket, "lastModelTrained", "{}", {}});
  CHECK(put({}, 3)->value);
  auto& removal = memory->writes.back();
  CHECK(removal.removal);
  CHECK(removal.bucket == parameters_bucket);
  CHECK(removal.key == parameters_key);
  CHECK(removal.value.empty());
  CHECK(removal.expected == 3);
  CHECK(memory->value(parameters_bucket, "lastModelTrained"));
  // A reset is a watchlist, too.
  store("newer");
  CHECK(put({"7", {}}, memory->sequence)->value);
  CHECK(parameters() == R"({"uuid":"7"})");
  memory->down = make_error(ec::disconnected, "down");
  CHECK(put(right, 5)->code() == ec::disconnected);
}
