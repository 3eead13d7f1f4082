#include "base/time.hpp"

#include <doctest/doctest.h>

using namespace aiops;
using namespace std::chrono_literals;

namespace {

using time_point = std::chrono::system_clock::time_point;

constexpr time_point noon{1769860800s};

} // namespace

TEST_CASE("a time is written in UTC with milliseconds") {
  CHECK(to_rfc3339(noon) == "2026-01-31T12:00:00.000Z");
  CHECK(to_rfc3339(noon + 7ms) == "2026-01-31T12:00:00.007Z");
  CHECK(to_rfc3339(noon + 7ms + 999us) == "2026-01-31T12:00:00.007Z");
  CHECK(to_rfc3339(time_point{-1ms}) == "1969-12-31T23:59:59.999Z");
  CHECK(to_rfc3339(time_point{-1us}) == "1969-12-31T23:59:59.999Z");
}

TEST_CASE("a written time is read back unchanged") {
  for (auto ms = 0ms; ms < 1000ms; ++ms)
    CHECK(from_rfc3339(to_rfc3339(noon + ms)) == noon + ms);
  CHECK(from_rfc3339(to_rfc3339(time_point{-1ms})) == time_point{-1ms});
}

TEST_CASE("a time is read with any number of fractional digits") {
  CHECK(from_rfc3339("2026-01-31T12:00:00.123456789Z") == noon + 123456789ns);
  CHECK(from_rfc3339("2026-01-31T12:00:00.1234567891Z") == noon + 123456789ns);
  CHECK(from_rfc3339("2026-01-31T12:00:00.5Z") == noon + 500ms);
  CHECK(from_rfc3339("2026-01-31T12:00:00Z") == noon);
}

TEST_CASE("an unreadable time is the epoch") {
  for (auto text : {"", "null", "yesterday", "2026-01-31", "12:00:00Z"}) {
    CAPTURE(text);
    CHECK(from_rfc3339(text) == time_point{});
  }
}
