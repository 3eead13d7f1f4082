#pragma once

#include "tests/simulation/world.hpp"

namespace aiops::simulation {

/// Looks for the shortest plan that still violates the same invariant: leaves
/// out kinds of faults, then steps, as long as it does.
/// @param budget How many runs that may take.
plan shrink(plan failing, const std::string& invariant, size_t budget);

} // namespace aiops::simulation
