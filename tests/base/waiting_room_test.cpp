#include "base/waiting_room.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace aiops;

using room = waiting_room<std::string, int>;

TEST_CASE("a waiting room has a bound") {
  room x;
  CHECK(x.empty());
  CHECK(!x.has_room(0));
  CHECK(x.has_room(1));
  x.enter(10, "a");
  CHECK(!x.has_room(1));
  CHECK(x.has_room(2));
}

TEST_CASE("requests expire in the order in which they came") {
  room x;
  x.enter(10, "a");
  x.enter(20, "b");
  CHECK(!x.expired(9));
  CHECK(x.expired(10) == "a");
  CHECK(!x.expired(19));
  CHECK(x.expired(30) == "b");
  CHECK(!x.expired(30));
  CHECK(x.empty());
}

TEST_CASE("all requests are served once, and new ones wait") {
  room x;
  x.enter(10, "a");
  x.enter(20, "b");
  std::vector<std::string> served;
  x.serve_all([&](std::string& name) {
    served.push_back(name);
    if (name == "a")
      x.enter(30, "c");
  });
  CHECK(served == std::vector<std::string>{"a", "b"});
  CHECK(!x.has_room(1));
  CHECK(x.expired(30) == "c");
}
