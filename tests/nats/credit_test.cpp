#include "nats/credit.hpp"

#include <doctest/doctest.h>

#include <vector>

using namespace aiops;
using namespace aiops::nats;

TEST_CASE("credit bounds messages and comes back with their tokens") {
  auto limit = std::make_shared<credit>(2, 1000);
  std::vector<credit::token> held{limit->take(1), limit->take(1)};
  CHECK(held[0]);
  CHECK(held[1]);
  CHECK(!limit->take(1));
  auto copy = held[0];
  held.erase(held.begin());
  CHECK(!limit->take(1));
  copy.reset();
  CHECK(limit->take(1));
}

TEST_CASE("credit bounds bytes, but a large message passes alone") {
  auto limit = std::make_shared<credit>(10, 1000);
  auto small = limit->take(600);
  CHECK(small);
  CHECK(!limit->take(401));
  CHECK(limit->take(400));
  small.reset();
  auto large = limit->take(5000);
  CHECK(large);
  CHECK(!limit->take(1));
  large.reset();
  CHECK(limit->take(1000));
}

TEST_CASE("a token may outlive its holder's handle to the credit") {
  auto limit = std::make_shared<credit>(1, 1);
  auto held = limit->take(1);
  limit.reset();
  held.reset();
}

TEST_CASE("dropped messages are reported once until a resume") {
  credit limit;
  CHECK(limit.drop());
  CHECK(!limit.drop());
  CHECK(limit.resume() == 2);
  CHECK(limit.drop());
  CHECK(limit.resume() == 1);
  CHECK(limit.resume() == 0);
}
