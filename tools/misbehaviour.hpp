#pragma once

#include "tools/simulated_training.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace aiops::tools {

/// What a training backend does wrong.
enum class manner {
  /// Answers requests with rubbish, never, or late.
  rubbish,
  silent,
  slow,
  /// Dies in the middle of a training.
  die,
  /// Sends each report twice.
  repeat,
  /// Sends an older report again, now and then.
  backwards,
  /// Sends each report late.
  late,
  /// Sends a report on an earlier job, or on one that nobody knows, now and
  /// then.
  older_job,
  /// Leaves the statistics of each report null.
  null_statistics,
  /// Writes all numbers as strings.
  strings,
  /// Never reports the end.
  lose_completion,
};

using manners = std::set<manner>;

/// Their names on the command line.
const std::map<std::string, manner>& manners_by_name();

/// Every so many reports one of those comes that come now and then.
inline constexpr int64_t now_and_then = 3;

/// What is to be sent to the gateway.
struct planned_reports {
  /// One after another.
  std::vector<std::string> bodies;
  /// Whether the gateway then knows everything there is to know.
  bool last = false;
};

/// What is to be sent now.
/// @param late_by How late a late report is.
/// @param count Reports that were sent before.
planned_reports plan_reports(const simulated_training& job,
                             simulated_training::time_point now,
                             const manners& how,
                             std::chrono::milliseconds late_by, int64_t count);

} // namespace aiops::tools
