#include "base/deadlines.hpp"

#include <doctest/doctest.h>

using namespace aiops;
using namespace std::chrono_literals;

TEST_CASE("deadlines ascend from the bus to the HTTP API") {
  for (auto request : {10ms, 1'000ms, 5'000ms, 600'000ms}) {
    CAPTURE(request.count());
    auto x = deadlines::of(request, 60s);
    CHECK(x.bus == request);
    CHECK(x.bus < x.bus_answer);
    CHECK(x.bus_answer < x.store);
    CHECK(x.store < x.domain);
    CHECK(x.domain < x.wait);
    CHECK(x.wait < x.http);
    CHECK(x.store < x.bucket());
    CHECK(x.domain < x.change);
    CHECK(x.change < x.progress);
  }
}

TEST_CASE("an HTTP request takes little longer than its option says") {
  auto x = deadlines::of(5s, 60s);
  CHECK(x.http == 5'250ms);
  CHECK(x.http_train == 60'250ms);
}

TEST_CASE("the outcome of a submission has time to be read back and stored") {
  auto x = deadlines::of(5s, 60s);
  CHECK(x.train + x.change <= x.outcome);
  CHECK(x.train + 3 * x.domain <= x.outcome);
}

TEST_CASE("a notification outlasts the webhook and the bus") {
  auto x = deadlines::of(1s, 60s);
  CHECK(x.notification(10s) > 10s);
  CHECK(x.notification(0ms) > x.bus_answer);
}

TEST_CASE("runtime classes may wait for a scan of the GPUs") {
  auto x = deadlines::of(1s, 60s);
  CHECK(x.classes(30s) > 2 * x.scan(30s));
  CHECK(outlast(x.scan(30s)) < 30s);
}
