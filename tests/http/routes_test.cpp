#include "http/routes.hpp"

#include "base/error.hpp"

#include <doctest/doctest.h>

#include <set>

using namespace aiops;
using namespace aiops::http;
using namespace std::literals;

namespace {

using parameters = std::vector<std::pair<std::string, std::string>>;

constexpr std::array known = {"a"sv, "b c"sv};

parameters read(std::string_view query) {
  CAPTURE(query);
  auto got = read_query(query, known);
  REQUIRE(got);
  return *got;
}

std::string refusal_of(std::string_view query) {
  CAPTURE(query);
  auto got = read_query(query, known);
  REQUIRE(!got);
  CHECK(code_of(got.error()) == ec::invalid_argument);
  return text_of(got.error());
}

} // namespace

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

TEST_CASE("queries are decoded") {
  CHECK(read("") == parameters{});
  CHECK(read("&&") == parameters{});
  CHECK(read("a=b") == parameters{{"a", "b"}});
  CHECK(read("a") == parameters{{"a", ""}});
  CHECK(read("a=") == parameters{{"a", ""}});
  CHECK(read("a=b=c") == parameters{{"a", "b=c"}});
  CHECK(read("b+c=%2B+%26&%61=1&") == parameters{{"b c", "+ &"}, {"a", "1"}});
  CHECK(read("a=%C3%A4") == parameters{{"a", "\xc3\xa4"}});
}

TEST_CASE("queries that are malformed or unknown are refused") {
  for (auto text : {"a=%", "a=%2", "a=%zz", "%=1"})
    CHECK(refusal_of(text).find("percent-encoding") != std::string::npos);
  for (auto text : {"x=1", "a=1&A=2", "=1", "a%00=1"})
    CHECK(refusal_of(text).find("unknown") != std::string::npos);
  for (auto text : {"a=1&a=1", "a=1&%61=2", "a&a"})
    CHECK(refusal_of(text).find("repeated") != std::string::npos);
  CHECK(!read_query("a=1", {}));
}

TEST_CASE("only paths under /api/v1 have parameters") {
  size_t n = 0;
  for (auto& x : routes()) {
    CAPTURE(x.pattern);
    if (x.parameters.front().empty())
      continue;
    CHECK(x.pattern.starts_with("/api/v1/"));
    ++n;
  }
  CHECK(n == 5);
}

TEST_CASE("the table has no route twice") {
  std::set<std::pair<std::string_view, std::string_view>> seen;
  for (auto& x : routes()) {
    CAPTURE(x.pattern);
    CHECK(seen.emplace(x.method, x.pattern).second);
    CHECK(x.pattern.starts_with('/'));
    CHECK(static_cast<bool>(x.handler));
  }
}

TEST_CASE("every route of the compatibility API has both prefixes") {
  std::set<std::pair<std::string_view, std::string_view>> plain;
  std::set<std::pair<std::string_view, std::string_view>> prefixed;
  for (auto& x : routes()) {
    if (x.pattern.starts_with("/ModelTraining/")
        || x.pattern.starts_with("/AIAdmin/"))
      plain.emplace(x.method, x.pattern);
    else if (x.pattern.starts_with("/opni-api/"))
      prefixed.emplace(x.method, x.pattern.substr(9));
  }
  CHECK(plain.size() == 13);
  CHECK(plain == prefixed);
}

TEST_CASE("admission is limited and permits are returned") {
  admission gate{2};
  CHECK(gate.enter());
  CHECK(gate.enter());
  CHECK(!gate.enter());
  CHECK(!gate.enter());
  gate.leave();
  CHECK(gate.enter());
  CHECK(!gate.enter());
}
