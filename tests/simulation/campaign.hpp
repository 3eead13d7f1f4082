#pragma once

#include "actors/training/planted_bug.hpp"

#include <cstdint>

namespace aiops::simulation {

struct campaign_config {
  uint64_t seeds = 1'000;
  uint64_t first_seed = 1;
  /// 0: one per core.
  uint64_t jobs = 0;
  bool keep_going = false;
  bool history = false;
  /// Whether to search for the shortest history of each failure.
  bool shrink = true;
  planted_bug bug = planted_bug::none;
};

/// Runs the seeds and prints the results; returns the exit status.
int run_campaign(const campaign_config& config);

/// Searches for each planted bug several times, with other seeds each time;
/// returns the exit status.
int look_for_planted_bugs(const campaign_config& config);

} // namespace aiops::simulation
