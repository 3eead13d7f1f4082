#include "nats/bus.hpp"
#include "nats/kv_backend.hpp"
#include "tests/nats/fake_bus.hpp"
#include "tests/nats/fake_kv_store.hpp"
#include "tests/support/deterministic.hpp"

#include <doctest/doctest.h>

using namespace aiops;
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

TEST_CASE_FIXTURE(fixture, "what is stored is what is sent, to the byte") {
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

TEST_CASE_FIXTURE(fixture, "what surely did not arrive is undone") {
  store(older);
  for (auto code :
       {ec::no_responders, ec::disconnected, ec::overloaded, ec::too_large}) {
    CAPTURE(to_string(code));
    backend_service().fail(code);
    CHECK(train()->code() == code);
    CHECK(parameters() == older);
    CHECK(memory->writes[memory->writes.size() - 2].value == ours);
  }
}

TEST_CASE_FIXTURE(fixture, "what the backend refused is undone") {
  store(older);
  backend_service().answer({"error: no GPU"});
  CHECK(train()->code() == ec::refused);
  CHECK(parameters() == older);
}

TEST_CASE_FIXTURE(fixture, "without anything before, the undo removes") {
  memory->store({parameters_bucket, "lastModelTrained", "{}", {}});
  CHECK(train()->code() == ec::no_responders);
  CHECK(parameters() == "(none)");
  CHECK(memory->keys(parameters_bucket)
        == std::vector<std::string>{"lastModelTrained"});
}

TEST_CASE_FIXTURE(fixture, "nothing newer is undone") {
  store(older);
  backend_service().hold();
  auto answer = train();
  SUBCASE("found before") {
    store("newer");
  }
  SUBCASE("or while writing") {
    memory->refuse = [this](const kv_write& x) -> caf::error {
      if (x.value == older)
        store("newer");
      return {};
    };
  }
  backend_service().release_error(ec::no_responders);
  run();
  CHECK(answer->code() == ec::no_responders);
  CHECK(parameters() == "newer");
}

TEST_CASE_FIXTURE(fixture, "what may have arrived stays") {
  SUBCASE("silence") {
    backend_service().fail(ec::timeout);
    CHECK(train()->code() == ec::timeout);
  }
  SUBCASE("rubbish") {
    backend_service().answer({"\xff"});
    CHECK(train()->code() == ec::bad_reply);
  }
  SUBCASE("a connection lost meanwhile") {
    backend_service().fail(ec::disconnected, std::string{lost_in_flight});
    CHECK(train()->code() == ec::timeout);
  }
  CHECK(parameters() == ours);
}

TEST_CASE_FIXTURE(fixture, "of two that submit one is told of the other") {
  memory->refuse = [this](const kv_write& x) -> caf::error {
    if (x.value == ours)
      store("theirs");
    return {};
  };
  CHECK(train()->code() == ec::conflict);
  CHECK(parameters() == "theirs");
  CHECK(script->subjects.empty());
}

TEST_CASE_FIXTURE(fixture, "a store that fails is answered, not asked past") {
  backend_service();
  memory->down = make_error(ec::disconnected, "down");
  CHECK(train()->code() == ec::disconnected);
  memory->down = {};
  memory->refuse = [](const kv_write&) {
    return make_error(ec::too_large, "large");
  };
  CHECK(train()->code() == ec::too_large);
  CHECK(backend_service().calls() == 0);
}

TEST_CASE_FIXTURE(fixture, "a write whose answer is lost is taken back") {
  store(older);
  backend_service();
  memory->lose_answer = [](const kv_write& x) {
    return x.value == ours ? make_error(ec::timeout, "late") : caf::error{};
  };
  CHECK(train()->code() == ec::timeout);
  CHECK(parameters() == older);
  CHECK(backend_service().calls() == 0);
}

TEST_CASE_FIXTURE(fixture, "an undo that fails changes no answer") {
  store(older);
  backend_service().hold();
  auto answer = train();
  SUBCASE("with an error") {
    memory->down = make_error(ec::disconnected, "down");
    backend_service().release_error(ec::no_responders);
    run();
  }
  SUBCASE("by silence") {
    kill(kv);
    backend_service().release_error(ec::no_responders);
    advance(3s);
  }
  CHECK(answer->code() == ec::no_responders);
}

TEST_CASE_FIXTURE(fixture,
                  "a store that is silent is not waited for too long") {
  // Reads, and then never again.
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
  CHECK(answer->code() == ec::timeout);
}

// -- questions ----------------------------------------------------------------

TEST_CASE_FIXTURE(fixture, "the backend does not tell its status") {
  auto answer = ask(handle, status_atom_v);
  REQUIRE(answer->value);
  CHECK(!answer->value->status);
}

TEST_CASE_FIXTURE(fixture, "the watchlist is what is stored, in both shapes") {
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

TEST_CASE_FIXTURE(fixture, "all is forgotten but what is the backend's") {
  store(ours);
  memory->store({parameters_bucket, "lastModelTrained", "{}", {}});
  memory->store({statistics_bucket, statistics_key, "{}", {}});
  CHECK(ask(handle, delete_atom_v)->value);
  CHECK(memory->entries.size() == 1);
  CHECK(memory->value(parameters_bucket, "lastModelTrained"));
  CHECK(ask(handle, delete_atom_v)->value);
  memory->down = make_error(ec::disconnected, "down");
  CHECK(ask(handle, delete_atom_v)->code() == ec::disconnected);
}
