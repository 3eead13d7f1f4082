#pragma once

#include "actors/workload.hpp"

#include <cstdint>
#include <random>
#include <string>

namespace aiops::tools {

/// An endless series of generated log lines of three clusters, whose workloads
/// log at very different rates.
class sample_logs {
public:
  struct line {
    workload owner;
    std::string text;
  };

  line next();

private:
  std::mt19937 random_{std::random_device{}()};
  uint64_t count_ = 0;
};

} // namespace aiops::tools
