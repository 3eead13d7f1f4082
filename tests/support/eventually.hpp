#pragma once

#include <poll.h>

#include <chrono>

namespace aiops::test {

/// Waits until `condition` holds; false if it does not within `patience`.
template <class Condition>
bool eventually(Condition condition,
                std::chrono::milliseconds patience = std::chrono::seconds{20}) {
  auto deadline = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline)
      return false;
    ::poll(nullptr, 0, 5);
  }
  return true;
}

} // namespace aiops::test
