#include "base/error.hpp"

#include <doctest/doctest.h>

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
