#pragma once

#include <chrono>
#include <string>

namespace aiops {

using std::chrono::milliseconds;

/// RFC 3339 with milliseconds, in UTC: `2026-01-31T12:00:00.000Z`.
std::string to_rfc3339(std::chrono::system_clock::time_point when);

/// Reads a time in UTC with any number of fractional digits; the epoch when it
/// cannot be read.
std::chrono::system_clock::time_point from_rfc3339(const std::string& text);

} // namespace aiops
