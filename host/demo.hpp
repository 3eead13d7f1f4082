#pragma once

#include "config/config.hpp"
#include "host/child_process.hpp"

#include <memory>
#include <string>
#include <vector>

namespace aiops::host {

/// Starts what `--demo` adds to the gateway at `address` (`host:port`): the
/// training simulator and a feed of sample logs, from the directory of our own
/// program. They run as long as the result lives.
std::vector<std::unique_ptr<child_process>>
start_demo(const gateway_config& config, const std::string& address);

} // namespace aiops::host
