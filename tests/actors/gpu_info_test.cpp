#include "actors/gpu_info.hpp"

#include "tests/support/deterministic.hpp"
#include "tests/support/fakes.hpp"

#include <doctest/doctest.h>

using namespace aiops;
using namespace aiops::test;

namespace {

const gpu_list two{{"nvidia.com/gpu", 2, 1}};

struct fixture : deterministic {
  gpu_probe_script_ptr probe = std::make_shared<gpu_probe_script>();
  gpu_probe_actor edge = spawn(fake_gpu_probe, probe);
  gpu_info_actor aut = spawn(gpu_info, edge, gpu_info_config{});
};

} // namespace

TEST_CASE_FIXTURE(fixture, "the GPUs are those that the probe sees") {
  probe->get.answer(two);
  auto x = ask(aut, get_atom_v);
  REQUIRE(x->value);
  CHECK((*x->value)->value() == two);
}

TEST_CASE_FIXTURE(fixture, "concurrent readers of the GPUs share a look") {
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

TEST_CASE_FIXTURE(fixture, "without a good list a failure is an error") {
  probe->get.fail(ec::invalid_configuration);
  CHECK(ask(aut, get_atom_v)->code() == ec::invalid_configuration);
}

TEST_CASE_FIXTURE(fixture, "a failing probe leaves the last good list") {
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
