#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace aiops::host {

/// Runs a program that ends by itself and answers what it writes to standard
/// output, at most 64 KiB. Nothing when it cannot be run, when it fails, and
/// when it has not ended after `patience`; it is then killed.
std::optional<std::string> program_output(std::vector<std::string> command,
                                          std::chrono::milliseconds patience);

} // namespace aiops::host
