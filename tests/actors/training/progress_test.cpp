#include "actors/training/progress.hpp"

#include <doctest/doctest.h>

#include <limits>

using namespace aiops;

namespace {

constexpr auto not_a_number = std::numeric_limits<double>::quiet_NaN();
constexpr auto infinity = std::numeric_limits<double>::infinity();
constexpr auto max_integer = std::numeric_limits<int64_t>::max();

/// The statistics of a report with this one number.
reported_statistics of(const integer_field& field, const reported_number& x) {
  reported_statistics result;
  REQUIRE(result.set(field, x));
  return result;
}

int64_t taken(const integer_field& field, const reported_number& x) {
  return (of(field, x).*field.member).value();
}

const integer_field& percentage = integer_fields[1];

} // namespace

TEST_CASE("numbers in range are taken as they are") {
  for (auto& field : integer_fields) {
    CAPTURE(field.name);
    for (int64_t x : {int64_t{0}, int64_t{1}, field.max}) {
      CHECK(taken(field, x) == x);
      CHECK(of(field, x).corrections.empty());
    }
    CHECK(taken(field, 42.0) == 42);
    CHECK(of(field, 42.0).corrections.empty());
  }
}

TEST_CASE("numbers out of range are clamped") {
  for (auto& field : integer_fields) {
    CAPTURE(field.name);
    CHECK(taken(field, int64_t{-1}) == 0);
    CHECK(taken(field, -1e300) == 0);
    CHECK(taken(field, 1e300) == field.max);
    CHECK(of(field, int64_t{-5}).corrections
          == std::vector{report_correction{field.name, "-5", false}});
  }
  CHECK(taken(percentage, int64_t{101}) == 100);
  CHECK(taken(percentage, max_integer) == 100);
}

TEST_CASE("a field that is not a number keeps its last value") {
  training_statistics before{1, 2, 3, 4, 0.5, "train"};
  reported_statistics x;
  x.stage = "later";
  for (auto& field : integer_fields)
    for (auto number : {not_a_number, infinity, -infinity})
      CHECK(x.set(field, number));
  x.set_accuracy(not_a_number);
  CHECK(x.over(before) == training_statistics{1, 2, 3, 4, 0.5, "later"});
  CHECK(x.over({}) == training_statistics{0, 0, 0, 0, 0.0, "later"});
  REQUIRE(x.corrections.size() == 13);
  CHECK(x.corrections.front() == report_correction{"timeElapsed", "nan", true});
  CHECK(x.corrections.back()
        == report_correction{"modelAccuracy", "nan", true});
}

TEST_CASE("all fields of a report replace those before") {
  training_statistics after{9, 8, 7, 6, 0.25, ""};
  CHECK(reported_statistics{after}.over({1, 2, 3, 4, 0.5, "train"}) == after);
  CHECK(reported_statistics{}.over(after) == training_statistics{});
}

TEST_CASE("an integer has no fraction") {
  reported_statistics x;
  CHECK(!x.set(percentage, 1.5));
  x.set_accuracy(int64_t{1});
  CHECK(x.model_accuracy == 1.0);
}

TEST_CASE("each kind of correction is logged once") {
  correction_log log;
  CHECK(log.report("test", of(percentage, int64_t{101})) == 1);
  CHECK(log.report("test", of(percentage, int64_t{-1})) == 0);
  CHECK(log.report("test", of(percentage, not_a_number)) == 1);
  CHECK(log.report("test", of(percentage, infinity)) == 0);
  CHECK(log.report("test", of(integer_fields[0], int64_t{-1})) == 1);
  CHECK(log.report("test", of(integer_fields[0], int64_t{1})) == 0);
}
