#pragma once

#include "tests/simulation/request_kind.hpp"

#include <array>
#include <cstdint>
#include <vector>

namespace aiops::simulation {

/// Decides which faults happen to messages, and records those that did. Each
/// kind has its own source of random numbers, so that omitting one changes
/// little else.
class faults {
public:
  explicit faults(const plan& what) : plan_(what) {
    for (size_t i = 0; i < fault_count; ++i)
      sources_.emplace_back(what.seed, 100 + i);
  }

  /// Whether this fault happens now.
  bool happens(fault x) {
    auto rate = plan_.rate(x);
    if (!on_ || rate == 0 || !sources_[index(x)].chance(rate))
      return false;
    count(x);
    return true;
  }

  /// Whether it happens to a request of that kind.
  bool happens(fault x, request_kind request) {
    if (!happens(x))
      return false;
    meet(x, request);
    return true;
  }

  void count(fault x) {
    ++counts_[index(x)];
  }

  /// A request of that kind was in flight when the fault happened.
  void meet(fault x, request_kind request) {
    if (can_meet(x, request))
      pairs_.emplace(x, request);
  }

  random_source& random(fault x) {
    return sources_[index(x)];
  }

  /// All faults stop.
  void stop() {
    on_ = false;
  }

  bool on() const {
    return on_;
  }

  const std::array<uint64_t, fault_count>& counts() const {
    return counts_;
  }

  const fault_pairs& pairs() const {
    return pairs_;
  }

private:
  static size_t index(fault x) {
    return static_cast<size_t>(x);
  }

  const plan& plan_;
  std::vector<random_source> sources_;
  bool on_ = true;
  std::array<uint64_t, fault_count> counts_{};
  fault_pairs pairs_;
};

} // namespace aiops::simulation
