#include "gpu/none.hpp"

#include "tests/support/deterministic.hpp"

#include <doctest/doctest.h>

using namespace aiops;

TEST_CASE_FIXTURE(test::deterministic, "the none probe has no GPUs") {
  auto aut = spawn(gpu::none, caf::unit);
  auto x = ask(gpu_probe_actor{aut}, get_atom_v);
  REQUIRE(x->value);
  CHECK(x->value->empty());
}
