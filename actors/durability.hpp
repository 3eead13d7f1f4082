#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace aiops {

/// What a power failure may cost of the writes that the store acknowledged.
struct durability_report {
  /// Whether each write is synced to disk before it is acknowledged; nothing
  /// when that cannot be known.
  std::optional<bool> synced = {};
  /// How many servers keep each write; nothing when that cannot be known.
  std::optional<int64_t> replicas = {};
  /// The consequence in words.
  std::string power_failure = "unknown: see docs/operations.md";
};

} // namespace aiops
