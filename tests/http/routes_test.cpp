#include "http/routes.hpp"

#include <doctest/doctest.h>

#include <set>

using namespace aiops;

TEST_CASE("segments are decoded once") {
  CHECK(decode_segment("plain") == "plain");
  CHECK(decode_segment("a%2Fb%2fc") == "a/b/c");
  CHECK(decode_segment("%252F") == "%2F");
  CHECK(decode_segment("a+b") == "a+b");
  CHECK(decode_segment("%C3%A4") == "\xc3\xa4");
  CHECK(decode_segment("") == "");
  for (auto text : {"%", "%2", "%2G", "%G2", "a%", "%%20"})
    CHECK(!decode_segment(text));
}

TEST_CASE("no route stands twice in the table") {
  std::set<std::pair<std::string_view, std::string_view>> seen;
  for (auto& x : routes()) {
    CAPTURE(x.pattern);
    CHECK(seen.emplace(x.method, x.pattern).second);
    CHECK(x.pattern.starts_with('/'));
    CHECK(static_cast<bool>(x.handler));
  }
}

TEST_CASE("every compat route stands under both prefixes") {
  std::set<std::pair<std::string_view, std::string_view>> plain;
  std::set<std::pair<std::string_view, std::string_view>> prefixed;
  for (auto& x : routes()) {
    if (x.pattern.starts_with("/ModelTraining/"))
      plain.emplace(x.method, x.pattern);
    else if (x.pattern.starts_with("/opni-api/"))
      prefixed.emplace(x.method, x.pattern.substr(9));
  }
  CHECK(plain.size() == 7);
  CHECK(plain == prefixed);
}

TEST_CASE("admission is bounded and seats are given back") {
  admission gate{2};
  CHECK(gate.enter());
  CHECK(gate.enter());
  CHECK(!gate.enter());
  CHECK(!gate.enter());
  gate.leave();
  CHECK(gate.enter());
  CHECK(!gate.enter());
}
