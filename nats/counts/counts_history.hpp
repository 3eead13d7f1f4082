#pragma once

#include "nats/counts/key_access.hpp"

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

/// @file
/// The sums of each cluster over the last day, in a ring with one slot per
/// interval. A slot has as many values as its clusters need.

namespace aiops::nats {

/// Maximum number of sums that are read. If there are more, the oldest
/// intervals are omitted.
inline constexpr size_t max_history_sums = 500'000;

/// Reads all slots backwards from the one that contains `now`, with up to
/// `window` requests at a time. Points of slots that were not overwritten may
/// be older than a day.
void read_history(
  key_access keys, std::chrono::system_clock::time_point now, size_t window,
  std::function<void(caf::expected<std::vector<history_point>>)> done);

/// Writes the sums of `counts` into the slot that contains `now`, while
/// `allowed` returns true. Errors are ignored, because the next counts follow.
/// @param limit Largest value in bytes.
void write_history(const key_access& keys, const std::string& bucket,
                   const breakdown& counts,
                   std::chrono::system_clock::time_point now, size_t limit,
                   const std::function<bool()>& allowed);

} // namespace aiops::nats
