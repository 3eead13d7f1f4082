#include "base/backoff.hpp"

#include <doctest/doctest.h>

#include <chrono>

using namespace aiops;
using namespace std::chrono_literals;

TEST_CASE("a pause doubles with each failure, up to a bound") {
  backoff<std::chrono::milliseconds> x;
  for (auto pause : {100ms, 200ms, 400ms, 500ms, 500ms}) {
    CHECK(x.fail(100ms, 500ms) == pause);
    CHECK(x.current() == pause);
  }
}

TEST_CASE("a success ends the pauses") {
  backoff<std::chrono::milliseconds> x;
  CHECK(!x.failing());
  x.fail(100ms, 500ms);
  x.fail(100ms, 500ms);
  CHECK(x.failing());
  x.reset();
  CHECK(!x.failing());
  CHECK(x.current() == 0ms);
  CHECK(x.fail(100ms, 500ms) == 100ms);
}

TEST_CASE("a pause is not longer than a bound below the first pause") {
  backoff<std::chrono::milliseconds> x;
  CHECK(x.fail(100ms, 50ms) == 50ms);
}
