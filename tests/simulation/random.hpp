#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

namespace aiops::simulation {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

/// The finalizer of SplitMix64: distributes the bits of `x` over the result.
constexpr uint64_t mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

/// Random numbers that are the same on each machine, unlike those of
/// `<random>`.
class random_source {
public:
  /// @param stream Sources with the same seed and different streams are
  ///        independent, so that using one more does not change another.
  explicit random_source(uint64_t seed, uint64_t stream = 0)
    : state_(mix(seed) ^ mix(~stream)) {
    // nop
  }

  uint64_t next() {
    state_ += 0x9e3779b97f4a7c15;
    return mix(state_);
  }

  /// 0 to `n` - 1.
  uint64_t below(uint64_t n) {
    return n == 0 ? 0 : next() % n;
  }

  /// 0 to 1, without 1.
  double uniform() {
    return static_cast<double>(next() >> 11) * 0x1p-53;
  }

  bool chance(double probability) {
    return uniform() < probability;
  }

  template <class Duration>
  Duration between(Duration least, Duration most) {
    auto width = static_cast<uint64_t>((most - least).count()) + 1;
    return least + Duration{static_cast<int64_t>(below(width))};
  }

  template <class T>
  const T& pick(const std::vector<T>& xs) {
    return xs[below(xs.size())];
  }

private:
  uint64_t state_;
};

} // namespace aiops::simulation
