#pragma once

#include "tests/simulation/world.hpp"

namespace aiops::simulation {

/// Searches for the shortest plan that still violates the same invariant:
/// removes kinds of faults, then steps, while it does.
/// @param budget Maximum number of runs.
plan shrink(plan failing, const std::string& invariant, size_t budget);

} // namespace aiops::simulation
