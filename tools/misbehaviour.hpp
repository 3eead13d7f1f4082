#pragma once

#include "tools/simulated_training.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace aiops::tools {

/// Faults of a training backend.
enum class fault {
  /// Answers requests with invalid bytes, never, or late.
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
  /// Sends a report about an earlier or unknown job now and then.
  older_job,
  /// Sends each report with null statistics.
  null_statistics,
  /// Writes all numbers as strings.
  strings,
  /// Never reports the end.
  lose_completion,
};

using faults = std::set<fault>;

/// The faults by their names on the command line.
const std::map<std::string, fault>& faults_by_name();

/// Interval, in reports, of the faults that occur now and then.
inline constexpr int64_t occasional_interval = 3;

/// The reports to send to the gateway.
struct planned_reports {
  /// One after another.
  std::vector<std::string> bodies;
  /// Whether they are the last ones of the training.
  bool last = false;
};

/// Returns the reports to send now.
/// @param late_by How late a late report is.
/// @param count Reports that were sent before.
planned_reports plan_reports(const simulated_training& job,
                             simulated_training::time_point now,
                             const faults& how,
                             std::chrono::milliseconds late_by, int64_t count);

} // namespace aiops::tools
