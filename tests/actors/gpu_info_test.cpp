#include "actors/gpu_info.hpp"

#include "tests/support/deterministic.hpp"
#include "tests/support/fakes.hpp"

#include <doctest/doctest.h>

using namespace aiops;
using namespace aiops::test;

namespace {

const gpu_list two{{"nvidia.com/gpu", 2, 1}};

struct with_events : deterministic {
  events_script_ptr events = std::make_shared<events_script>();
  events_actor hub = spawn(fake_events, events);

  const gpu_inventory& last_published() const {
    REQUIRE_FALSE(events->published.empty());
    return events->last<gpu_inventory>();
  }
};

struct fixture : with_events {
  gpu_probe_script_ptr probe = std::make_shared<gpu_probe_script>();
  gpu_probe_actor edge = spawn(fake_gpu_probe, probe);
  gpu_info_actor aut = spawn(gpu_info, edge, hub, gpu_info_config{});
};

} // namespace

TEST_CASE_FIXTURE(fixture, "the GPUs of the probe are served") {
  probe->get.answer(two);
  auto x = ask(aut, get_atom_v);
  REQUIRE(x->value);
  CHECK((*x->value)->value() == two);
}

TEST_CASE_FIXTURE(with_events, "without a probe there are no GPUs") {
  auto aut = spawn(gpu_info, gpu_probe_actor{}, hub, gpu_info_config{});
  auto x = ask(aut, get_atom_v);
  REQUIRE(x->value);
  CHECK((*x->value)->value().empty());
  CHECK(last_published().source == "none");
}

TEST_CASE_FIXTURE(fixture, "concurrent callers share a scan") {
  probe->get.hold();
  auto x = ask(aut, get_atom_v);
  auto y = ask(aut, get_atom_v);
  CHECK(probe->get.calls() == 1);
  probe->get.release(two);
  run();
  REQUIRE(x->value);
  REQUIRE(y->value);
  CHECK(*x->value == *y->value);
}

TEST_CASE_FIXTURE(fixture, "a failed first scan is an error") {
  probe->get.fail(ec::invalid_configuration);
  CHECK(ask(aut, get_atom_v)->code() == ec::invalid_configuration);
}

TEST_CASE_FIXTURE(fixture, "after a failed scan the last list is served") {
  probe->get.answer(two);
  ask(aut, get_atom_v);
  probe->get.fail(ec::invalid_configuration);
  auto x = ask(aut, get_atom_v);
  REQUIRE(x->value);
  CHECK((*x->value)->value() == two);
  probe->get.hold();
  auto y = ask(aut, get_atom_v);
  advance(5s);
  REQUIRE(y->value);
  CHECK((*y->value)->value() == two);
  probe->get.answer({});
  auto z = ask(aut, get_atom_v);
  REQUIRE(z->value);
  CHECK((*z->value)->value().empty());
}

TEST_CASE_FIXTURE(fixture, "a silent probe is a timeout") {
  probe->get.hold();
  auto x = ask(aut, get_atom_v);
  advance(5s);
  CHECK(x->code() == ec::timeout);
}

TEST_CASE_FIXTURE(fixture, "each scan on request is published") {
  probe->get.fail(ec::disconnected, "no driver");
  ask(aut, overview_atom_v);
  // There is no inventory yet.
  CHECK(events->published.empty());
  probe->get.answer(two);
  auto x = ask(aut, overview_atom_v);
  CHECK(events->published.size() == 1);
  CHECK(&last_published() == &(*x->value)->value());
  probe->get.fail(ec::disconnected, "no driver");
  ask(aut, overview_atom_v);
  CHECK(events->published.size() == 2);
  CHECK(last_published().stale);
  CHECK(last_published().reason == "no driver");
}

TEST_CASE_FIXTURE(fixture, "the GPUs are served without the events actor") {
  aut = spawn(gpu_info, edge, events_actor{}, gpu_info_config{});
  probe->get.answer(two);
  CHECK(ask(aut, get_atom_v)->value);
}

// -- in the background --------------------------------------------------------

namespace {

const gpu_list mixed{{"amd.com/gpu", 1, 1},
                     {"nvidia.com/gpu", 2, 1},
                     {"nvidia.com/gpu.shared", 8, 8},
                     {"nvidia.com/mig-1g.10gb", 7, 7}};

struct background : with_events {
  background() {
    cfg.refresh = 30s;
    cfg.scan_timeout = 20s;
    cfg.source = "kubernetes";
    cfg.wall_clock = [this] { return wall_now(); };
  }

  void start() {
    aut = spawn(gpu_info, edge, hub, cfg);
    run();
  }

  gpu_inventory inventory() {
    auto x = ask(aut, overview_atom_v);
    REQUIRE(x->value);
    return (*x->value)->value();
  }

  gpu_info_config cfg;
  gpu_probe_script_ptr probe = std::make_shared<gpu_probe_script>();
  gpu_probe_actor edge = spawn(fake_gpu_probe, probe);
  gpu_info_actor aut;
};

} // namespace

TEST_CASE_FIXTURE(background, "answers come from the last scan") {
  probe->get.answer(mixed);
  start();
  CHECK(probe->get.calls() == 1);
  auto x = *ask(aut, get_atom_v)->value;
  CHECK(x->value() == gpu_list{mixed[1], mixed[2]});
  CHECK(inventory().gpus == mixed);
  CHECK(inventory().observed_at == wall_now());
  CHECK(inventory().source == "kubernetes");
  CHECK_FALSE(inventory().stale);
  advance(29'999ms);
  CHECK(probe->get.calls() == 1);
  advance(1ms);
  CHECK(probe->get.calls() == 2);
  // An equal list has the same encoded bytes.
  CHECK(*ask(aut, get_atom_v)->value == x);
}

TEST_CASE_FIXTURE(background, "callers do not wait for a scan that hangs") {
  probe->get.answer(mixed);
  start();
  auto seen = wall_now();
  probe->get.hold();
  advance(40s);
  CHECK((*ask(aut, get_atom_v)->value)->value().size() == 2);
  CHECK_FALSE(inventory().stale);
  advance(10s);
  CHECK((*ask(aut, get_atom_v)->value)->value().size() == 2);
  CHECK(inventory().stale);
  CHECK_FALSE(inventory().reason.empty());
  CHECK(inventory().observed_at == seen);
  probe->get.answer({});
  advance(500ms);
  CHECK_FALSE(inventory().stale);
  CHECK(inventory().gpus.empty());
}

TEST_CASE_FIXTURE(background, "callers wait for the first scan until their "
                              "deadline") {
  probe->get.hold();
  start();
  auto x = ask(aut, get_atom_v);
  advance(2s);
  auto y = ask(aut, overview_atom_v);
  advance(3s);
  CHECK(x->code() == ec::timeout);
  CHECK_FALSE(y->done());
  probe->get.release(mixed);
  run();
  REQUIRE(y->value);
  CHECK((*y->value)->value().gpus == mixed);
  CHECK(probe->get.calls() == 1);
}

TEST_CASE_FIXTURE(background, "a failed first scan is answered immediately") {
  probe->get.fail(ec::disconnected, "no route to the API server");
  start();
  auto x = ask(aut, get_atom_v);
  CHECK(x->code() == ec::disconnected);
  CHECK(text_of(x->error) == "no route to the API server");
  // The pause between two scans doubles.
  for (auto pause :
       {500ms, 1000ms, 2000ms, 4000ms, 8000ms, 16'000ms, 30'000ms, 30'000ms}) {
    auto before = probe->get.calls();
    advance(pause - 1ms);
    CHECK(probe->get.calls() == before);
    advance(1ms);
    CHECK(probe->get.calls() == before + 1);
  }
}

TEST_CASE_FIXTURE(background,
                  "the number of callers that wait for a scan is limited") {
  cfg.max_waiting = 2;
  probe->get.hold();
  start();
  ask(aut, get_atom_v);
  ask(aut, overview_atom_v);
  CHECK(ask(aut, get_atom_v)->code() == ec::overloaded);
}

TEST_CASE_FIXTURE(background, "each scan in the background is published") {
  probe->get.answer(mixed);
  start();
  CHECK(last_published().gpus == mixed);
  probe->get.answer(two);
  advance(30s);
  CHECK(last_published().gpus == two);
  probe->get.fail(ec::disconnected, "no route to the API server");
  advance(30s);
  CHECK(last_published().stale);
  CHECK(last_published().gpus == two);
  probe->get.answer(two);
  advance(500ms);
  CHECK_FALSE(last_published().stale);
}
