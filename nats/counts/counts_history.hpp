#pragma once

#include "nats/counts/key_access.hpp"

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

/// @file
/// The sums of each cluster over the last day, in a ring of one slot an
/// interval; a slot takes as many values as its clusters need.

namespace aiops::nats {

/// Sums that are read; with more clusters than that has room for, the oldest
/// intervals are left out.
inline constexpr size_t most_history_sums = 500'000;

/// Reads all slots, from the one that `now` lies in backwards, `window` values
/// at a time. Points may be older than a day where nothing newer was written.
void read_history(
  key_access keys, std::chrono::system_clock::time_point now, size_t window,
  std::function<void(caf::expected<std::vector<history_point>>)> done);

/// Writes the sums of `counts` into the slot that `now` lies in, as far as
/// `allowed` still says yes. Best effort: the next counts come soon.
/// @param limit Largest value in bytes.
void write_history(const key_access& keys, const std::string& bucket,
                   const breakdown& counts,
                   std::chrono::system_clock::time_point now, size_t limit,
                   const std::function<bool()>& allowed);

} // namespace aiops::nats
