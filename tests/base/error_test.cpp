#include "base/error.hpp"

#include <doctest/doctest.h>

#include <iterator>
#include <set>

using namespace aiops;

TEST_CASE("every code has its own name") {
  std::set<std::string_view> names;
  for (auto i = 0; i < static_cast<int>(ec::ec_count); ++i)
    names.insert(to_string(static_cast<ec>(i)));
  CHECK(names.size() == static_cast<size_t>(ec::ec_count));
  CHECK(to_string(ec::none) == "none");
  CHECK(to_string(ec::no_responders) == "no_responders");
  CHECK(to_string(ec::internal) == "internal");
  CHECK(to_string(ec::ec_count) == "unknown");
}

TEST_CASE("every code says whether the operation may have happened") {
  struct row {
    ec code;
    bool expected;
  };
  constexpr row rows[] = {
    {ec::none, true},
    {ec::invalid_argument, false},
    {ec::not_found, false},
    {ec::too_large, false},
    {ec::conflict, false},
    {ec::no_responders, false},
    {ec::disconnected, false},
    {ec::lost_in_flight, true},
    {ec::overloaded, false},
    {ec::timeout, true},
    {ec::bad_reply, true},
    {ec::refused, false},
    {ec::invalid_configuration, false},
    {ec::internal, true},
  };
  REQUIRE(std::size(rows) == static_cast<size_t>(ec::ec_count));
  for (size_t i = 0; i < std::size(rows); ++i) {
    CAPTURE(to_string(rows[i].code));
    CHECK(rows[i].code == static_cast<ec>(i));
    CHECK(may_have_happened(rows[i].code) == rows[i].expected);
  }
}

TEST_CASE("an error keeps its code and text") {
  auto err = make_error(ec::conflict, "another replica was faster");
  CHECK(err);
  CHECK(code_of(err) == ec::conflict);
  CHECK(text_of(err) == "another replica was faster");
}

TEST_CASE("no error has the code none") {
  CHECK(code_of(caf::error{}) == ec::none);
}

TEST_CASE("errors of CAF have a code and a plain text") {
  auto timeout = caf::make_error(caf::sec::request_timeout);
  CHECK(code_of(timeout) == ec::timeout);
  CHECK(text_of(timeout) == "no answer within the deadline");
  auto gone = caf::make_error(caf::sec::request_receiver_down);
  CHECK(code_of(gone) == ec::overloaded);
  CHECK(text_of(gone).find("restarting") != std::string::npos);
  auto other = caf::make_error(caf::sec::runtime_error, "secret");
  CHECK(code_of(other) == ec::internal);
  CHECK(text_of(other) == "internal error");
}
