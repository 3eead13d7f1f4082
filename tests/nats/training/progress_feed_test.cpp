#include "nats/training/job_json.hpp"
#include "nats/training/nats_hook.hpp"
#include "nats/training/progress_feed.hpp"
#include "tests/nats/fake_bus.hpp"
#include "tests/support/deterministic.hpp"

#include <doctest/doctest.h>

using namespace aiops;
using namespace aiops::nats;
using namespace aiops::test;

namespace {

using progress_script = script<caf::unit_t, job_progress>;

training_status_actor::behavior_type
taking_status(training_status_actor::pointer self,
              std::shared_ptr<progress_script> put) {
  return {
    [](get_atom) { return snapshot_ptr<model_status>{}; },
    [](overview_atom) { return snapshot_ptr<training_overview>{}; },
    [=](put_atom, const job_progress& x) { return (*put)(self, x); },
    [](update_atom, const stored_book&) { /* nop */ },
    [](update_atom, const bus_status&) { /* nop */ },
  };
}

struct fixture : deterministic {
  fixture() {
    progress_feed_config cfg;
    cfg.max_pending = 2;
    cfg.max_size = 100;
    feed = spawn(progress_feed, bus,
                 training_status_actor{spawn(taking_status, put)}, cfg);
    run();
  }

  ~fixture() {
    script->sinks.clear();
  }

  void send(std::string payload, std::string reply = "inbox") {
    for (auto& [subject, sink] : script->sinks)
      caf::anon_send(
        sink, bus_message{subject, std::move(payload), std::move(reply)});
    run();
  }

  /// The last answer.
  const bus_message& answered() {
    return std::get<0>(script->put.last());
  }

  bus_script_ptr script = std::make_shared<bus_script>();
  bus_actor bus = spawn(fake_bus, script);
  std::shared_ptr<progress_script> put = std::make_shared<progress_script>(
    caf::unit);
  bus_sink_actor feed;
};

} // namespace

TEST_CASE_FIXTURE(fixture, "progress is answered after it is stored") {
  REQUIRE(script->sinks.count("aiops.training.progress") == 1);
  CHECK(script->queues["aiops.training.progress"] == "aiops-gateway");
  put->hold();
  send(R"({"uuid":"7","percentageCompleted":42})");
  REQUIRE(put->calls() == 1);
  auto& progress = std::get<0>(put->last());
  CHECK(progress.id == "7");
  CHECK(!progress.status);
  CHECK(progress.statistics->percentage_completed == 42);
  CHECK(script->put.calls() == 0);
  put->release(caf::unit);
  run();
  CHECK(answered().subject == "inbox");
  CHECK(answered().payload == "{}");
}

TEST_CASE_FIXTURE(fixture, "errors are answered as over HTTP") {
  send(R"({"percentageCompleted":"x"})");
  CHECK(put->calls() == 0);
  CHECK(answered().payload
        == R"({"code":3,"details":[],"message":)"
           R"("percentageCompleted must be a number"})");
  put->fail(ec::conflict, "an older job");
  send("{}");
  CHECK(answered().payload
        == R"({"code":10,"details":[],"message":"an older job"})");
  send(std::string(101, ' '));
  CHECK(answered().payload.starts_with(R"({"code":8,)"));
}

TEST_CASE_FIXTURE(fixture, "a message without a reply subject gets no answer") {
  send("{}", "");
  send("rubbish", "");
  CHECK(put->calls() == 1);
  CHECK(script->put.calls() == 0);
}

TEST_CASE_FIXTURE(fixture, "too many messages are refused") {
  put->hold();
  send("{}");
  send("{}");
  CHECK(script->put.calls() == 0);
  send("{}");
  CHECK(answered().payload.starts_with(R"({"code":14,)"));
  CHECK(put->calls() == 2);
  put->release(caf::unit);
  run();
  send("{}");
  CHECK(put->calls() == 3);
  // A message without an answer of the store counts only until its deadline.
  advance(5s);
  CHECK(answered().payload.starts_with(R"({"code":4,)"));
  send("{}");
  send("{}");
  CHECK(put->calls() == 5);
}

TEST_CASE_FIXTURE(fixture, "a job that has ended is published") {
  auto hook = spawn(nats_hook, bus, nats_hook_config{});
  training_job job;
  job.id = "1234";
  job.state = job_state::completed;
  CHECK(ask(job_hook_actor{hook}, put_atom_v, job)->value);
  CHECK(answered().subject == "aiops.training.finished");
  CHECK(answered().payload == encode_job(job));
  CHECK(answered().reply.empty());
  script->put.fail(ec::disconnected);
  CHECK(ask(job_hook_actor{hook}, put_atom_v, job)->code() == ec::disconnected);
  kill(bus);
  CHECK(ask(job_hook_actor{hook}, put_atom_v, job)->done());
}
