#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace aiops::host {

/// Runs a program to its end and returns its standard output, at most 64 KiB.
/// Nothing when it cannot be run, when it fails, or when it has not ended after
/// `timeout`; it is then killed.
std::optional<std::string> program_output(std::vector<std::string> command,
                                          std::chrono::milliseconds timeout);

} // namespace aiops::host
