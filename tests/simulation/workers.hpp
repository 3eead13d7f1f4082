#pragma once

#include "tests/simulation/world.hpp"

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace aiops::simulation {

/// The results of many runs.
struct totals {
  uint64_t runs = 0;
  uint64_t virtual_ms = 0;
  uint64_t steps = 0;
  double cpu_seconds = 0;
  std::array<uint64_t, fault_count> faults{};
  fault_pairs pairs;
  /// Seed and invariant of each failure, in order.
  std::vector<std::pair<uint64_t, std::string>> failures;
  /// Seeds at which a process crashed.
  std::vector<uint64_t> crashed;
};

/// Runs seeds in several processes, because a run has only one thread.
/// @param jobs 0 for one per core.
/// @param keep_going Whether to continue after a failure. Otherwise the run
/// ends
///        soon after the first failure, and all seeds before it were run.
totals run_in_processes(uint64_t jobs, uint64_t first, uint64_t count,
                        bool keep_going,
                        const std::function<run_result(uint64_t)>& run);

} // namespace aiops::simulation
