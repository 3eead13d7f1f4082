#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include "nats/backend.hpp"
#include "tests/nats/fake_bus.hpp"
#include "tests/support/deterministic.hpp"

#include <doctest/doctest.h>

using namespace aiops;
using namespace aiops::test;

namespace {

struct fixture : deterministic {
  fixture() {
    handle = spawn(backend, bus, backend_config{});
    run();
  }

  bus_script_ptr script = std::make_shared<bus_script>();
  bus_actor bus = spawn(fake_bus, script);
  backend_actor handle;
};

} // namespace

TEST_CASE_FIXTURE(fixture, "a submission carries the bare map") {
  script->on("train_model").answer({"training job submitted"});
  auto answer = ask(handle, train_atom_v, workload_list{{"c", "n", "d"}},
                    caf::timespan{3s});
  CHECK(answer->value == "training job submitted");
  auto& request = std::get<0>(script->on("train_model").last());
  CHECK(request.payload == R"({"c":{"n":["d"]}})");
  CHECK(request.timeout == 3s);
  ask(handle, train_atom_v, workload_list{}, caf::timespan{3s});
  CHECK(std::get<0>(script->on("train_model").last()).payload == "{}");
}

TEST_CASE_FIXTURE(fixture, "questions carry what the backend expects") {
  script->on("model_status").answer({"training"});
  CHECK(ask(handle, status_atom_v)->value == "training");
  CHECK(std::get<0>(script->on("model_status").last()).payload
        == "model_status");
  script->on("workload_parameters").answer({R"({"c":{"n":["d"]}})"});
  CHECK(ask(handle, watchlist_atom_v)->value == workload_list{{"c", "n", "d"}});
  CHECK(std::get<0>(script->on("workload_parameters").last()).payload
        == "model_training_parameters");
}

TEST_CASE_FIXTURE(fixture, "faults of the backend are told apart") {
  CHECK(ask(handle, status_atom_v)->code() == ec::no_responders);
  script->on("model_status").answer({"\xff rubbish"});
  CHECK(ask(handle, status_atom_v)->code() == ec::bad_reply);
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

TEST_CASE_FIXTURE(fixture, "a bus that dies does not leave anybody waiting") {
  script->on("model_status").hold();
  auto answer = ask(handle, status_atom_v);
  kill(bus);
  advance(10s);
  CHECK(answer->done());
}
