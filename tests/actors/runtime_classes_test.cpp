#include "actors/runtime_classes.hpp"

#include "tests/support/deterministic.hpp"
#include "tests/support/fakes.hpp"

#include <doctest/doctest.h>

using namespace aiops;
using namespace aiops::test;

namespace {

using names = std::vector<std::string>;

struct fixture : deterministic {
  gpu_probe_script_ptr probe = std::make_shared<gpu_probe_script>();

  runtime_classes_actor start() {
    auto result = spawn(runtime_classes, spawn(fake_gpu_probe, probe),
                        runtime_classes_config{});
    run();
    return result;
  }
};

} // namespace

TEST_CASE_FIXTURE(fixture, "without a cluster there are no runtime classes") {
  auto aut = spawn(runtime_classes, gpu_probe_actor{},
                   runtime_classes_config{});
  CHECK(ask(aut, get_atom_v)->value == names{});
}

TEST_CASE_FIXTURE(fixture, "runtime classes are read periodically") {
  probe->classes.answer({"nvidia", "runc"});
  auto aut = start();
  CHECK(ask(aut, get_atom_v)->value == names{"nvidia", "runc"});
  probe->classes.answer({"runc"});
  ask(aut, get_atom_v);
  CHECK(probe->classes.calls() == 1);
  advance(5min);
  CHECK(ask(aut, get_atom_v)->value == names{"runc"});
}

TEST_CASE_FIXTURE(fixture, "callers do not wait for the probe") {
  probe->classes.hold();
  auto aut = start();
  CHECK(ask(aut, get_atom_v)->value == names{});
  probe->classes.release({"nvidia"});
  run();
  CHECK(ask(aut, get_atom_v)->value == names{"nvidia"});
  // A request that never ends has a deadline.
  advance(5min);
  CHECK(probe->classes.calls() == 2);
  advance(30s);
  CHECK(probe->classes.calls() == 3);
}

TEST_CASE_FIXTURE(fixture, "a failed request is repeated with back-off") {
  probe->classes.answer({"nvidia"});
  auto aut = start();
  probe->classes.fail(ec::refused);
  advance(5min);
  CHECK(probe->classes.calls() == 2);
  CHECK(ask(aut, get_atom_v)->value == names{"nvidia"});
  advance(5s);
  CHECK(probe->classes.calls() == 3);
  advance(9s);
  CHECK(probe->classes.calls() == 3);
  advance(1s);
  CHECK(probe->classes.calls() == 4);
  probe->classes.answer({"runc"});
  advance(20s);
  CHECK(ask(aut, get_atom_v)->value == names{"runc"});
}
