#pragma once

#include <algorithm>

namespace aiops {

/// The pause before something that failed is tried again: it doubles with each
/// failure, up to a bound, and starts over after a success.
template <class Duration>
class backoff {
public:
  /// Counts a failure. Returns the pause before the next try: `first` after the
  /// first failure, and never more than `last`.
  Duration fail(Duration first, Duration last) {
    current_ = std::min(std::max(current_ * 2, first), last);
    return current_;
  }

  /// Counts a success.
  void reset() {
    current_ = Duration{0};
  }

  /// Whether there was a failure since the last success.
  bool failing() const {
    return current_ > Duration{0};
  }

  /// The last pause; 0 unless `failing`.
  Duration current() const {
    return current_;
  }

private:
  Duration current_{0};
};

} // namespace aiops
