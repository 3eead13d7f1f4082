#include "nats/training/book_line.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace aiops;
using namespace aiops::nats;

namespace {

book_write write(uint64_t revision, std::string id, std::string previous = "") {
  return {revision, std::move(id), std::move(previous)};
}

/// A line of three writes.
book_line three() {
  book_line result;
  CHECK_FALSE(result.saw(write(1, "a")));
  CHECK_FALSE(result.saw(write(4, "b", "a")));
  CHECK_FALSE(result.saw(write(7, "c", "b")));
  return result;
}

} // namespace

TEST_CASE("consecutive writes show no loss") {
  auto line = three();
  // Once more, an old copy, and one after some that were never seen.
  CHECK_FALSE(line.saw(write(7, "c", "b")));
  CHECK_FALSE(line.saw(write(4, "b", "a")));
  CHECK_FALSE(line.saw(write(12, "e", "d")));
  CHECK_FALSE(line.wrote(write(13, "f", "e"), false));
}

TEST_CASE("writes of older versions have no ids and show no loss") {
  book_line line;
  CHECK_FALSE(line.saw(write(1, "")));
  CHECK_FALSE(line.saw(write(2, "")));
  CHECK_FALSE(line.saw(write(3, "")));
  CHECK_FALSE(line.wrote(write(4, "a"), false));
  CHECK_FALSE(line.saw(write(5, "b", "a")));
}

TEST_CASE("a revision with another write shows a loss, once") {
  auto line = three();
  CHECK(line.saw(write(7, "x", "b")));
  CHECK_FALSE(line.saw(write(7, "x", "b")));
  CHECK_FALSE(line.saw(write(8, "y", "x")));
}

TEST_CASE("a write based on an older one than the last shows a loss") {
  auto line = three();
  CHECK(line.saw(write(9, "x", "b")));
  CHECK_FALSE(line.saw(write(10, "y", "x")));
}

TEST_CASE("a book that was started again shows a loss, once") {
  auto from = [](uint64_t revision, std::string id, std::string origin) {
    auto result = write(revision, std::move(id), "unknown");
    result.origin = std::move(origin);
    return result;
  };
  book_line line;
  CHECK_FALSE(line.saw(from(3, "a", "first")));
  CHECK_FALSE(line.saw(from(9, "b", "first")));
  SUBCASE("by another replica") {
    CHECK(line.saw(from(20, "c", "second")));
  }
  SUBCASE("by this replica") {
    CHECK(line.wrote(from(20, "c", "second"), false));
  }
  CHECK_FALSE(line.saw(from(21, "d", "second")));
  // Writes of older versions have no origin.
  CHECK_FALSE(line.saw(from(22, "e", "")));
  CHECK_FALSE(line.saw(from(23, "f", "")));
  CHECK(line.saw(from(24, "g", "third")));
}

TEST_CASE("an own write over an older revision shows a loss") {
  auto line = three();
  CHECK(line.wrote(write(8, "x", "b"), true));
  CHECK_FALSE(line.wrote(write(9, "y", "x"), false));
}

TEST_CASE(
  "an own write over an older revision shows a loss at a used revision, too") {
  auto line = three();
  CHECK(line.wrote(write(5, "x", "b"), true));
  CHECK_FALSE(line.older(write(5, "", "")));
  CHECK_FALSE(line.saw(write(6, "y", "x")));
}

TEST_CASE("an own write may be read before its answer arrives") {
  auto line = three();
  CHECK_FALSE(line.saw(write(8, "d", "c")));
  CHECK_FALSE(line.wrote(write(8, "d", "c"), false));
}

TEST_CASE(
  "another replica may write over an own write before its answer arrives") {
  auto line = three();
  CHECK_FALSE(line.saw(write(8, "d", "c")));
  CHECK_FALSE(line.saw(write(9, "e", "d")));
  CHECK_FALSE(line.wrote(write(8, "d", "c"), false));
}

TEST_CASE("an older book shows no loss until it is accepted") {
  auto line = three();
  CHECK(line.older(write(4, "b", "a")));
  CHECK_FALSE(line.older(write(7, "c", "b")));
  CHECK_FALSE(line.older(write(8, "d", "c")));
  CHECK(line.older({}));
  line.give_way(write(4, "b", "a"));
  CHECK_FALSE(line.older(write(4, "b", "a")));
  CHECK_FALSE(line.saw(write(5, "x", "b")));
}

TEST_CASE("an older revision that was stored later shows a loss") {
  auto line = three();
  auto at = [](uint64_t revision, std::string id, int second) {
    auto x = write(revision, std::move(id));
    x.created = std::chrono::system_clock::time_point{
      std::chrono::seconds{1'000 + second}};
    return x;
  };
  // The newest, and when it was stored.
  CHECK_FALSE(line.saw(at(7, "c", 0)));
  // An old copy, or servers whose clocks differ.
  CHECK_FALSE(line.saw(at(5, "y", -1)));
  CHECK_FALSE(line.saw(at(5, "y", 2)));
  CHECK(line.saw(at(5, "y", 3)));
  CHECK_FALSE(line.older(at(6, "z", 4)));
}

TEST_CASE("after a removed book any other is accepted") {
  auto line = three();
  line.give_way({});
  CHECK_FALSE(line.older({}));
  CHECK_FALSE(line.wrote(write(1, "x"), false));
}

TEST_CASE("only the latest writes are remembered") {
  book_line line;
  for (uint64_t n = 1; n <= 1000; ++n)
    CHECK_FALSE(line.saw(write(n, std::to_string(n), std::to_string(n - 1))));
  CHECK(line.saw(write(1001, "x", "990")));
}

TEST_CASE("a book with a lower number than before shows a loss") {
  book_line line;
  CHECK_FALSE(line.saw({1, "a", "", {}, 2}));
  CHECK_FALSE(line.saw({2, "b", "a", {}, 2}));
  CHECK(line.saw({7, "x", "w", {}, 1}));
  CHECK_FALSE(line.saw({8, "y", "x", {}, 2}));
}
