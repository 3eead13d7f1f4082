#include "actors/training/training_book.hpp"
#include "actors/workload.hpp"

#include <doctest/doctest.h>

using namespace aiops;

namespace {

const workload a{"c1", "n1", "a"};
const workload b{"c1", "n1", "b"};
const workload c{"c2", "n1", "a"};

std::string repeat(std::string_view what, size_t times) {
  std::string result;
  while (times-- > 0)
    result += what;
  return result;
}

} // namespace

TEST_CASE("a normalized list is sorted and has no duplicates") {
  CHECK(normalize({c, b, a, b, a}) == workload_list{a, b, c});
  CHECK(normalize({}) == workload_list{});
  CHECK(normalize({{"b", "a", "a"}, {"a", "b", "a"}, {"a", "a", "b"}})
        == workload_list{{"a", "a", "b"}, {"a", "b", "a"}, {"b", "a", "a"}});
}

TEST_CASE("a difference lists added and removed workloads") {
  auto d = diff({a, b}, {b, c});
  CHECK(d.added == workload_list{c});
  CHECK(d.removed == workload_list{a});
  CHECK(diff({a}, {a}).added.empty());
  CHECK(diff({a}, {a}).removed.empty());
}

TEST_CASE("the difference determines the action of a submission") {
  CHECK(action_for({}, {a}) == training_action::train);
  CHECK(action_for({a}, {a, b}) == training_action::train);
  CHECK(action_for({a, b}, {b, c}) == training_action::train);
  CHECK(action_for({a, b}, {a}) == training_action::update);
  CHECK(action_for({a, b}, {a, b}) == training_action::none);
  CHECK(action_for({a}, {}) == training_action::reset);
  CHECK(action_for({}, {}) == training_action::reset);
}

TEST_CASE("every action has a name") {
  CHECK(to_string(training_action::train) == "train");
  CHECK(to_string(training_action::update) == "update");
  CHECK(to_string(training_action::reset) == "reset");
  CHECK(to_string(training_action::none) == "none");
}

TEST_CASE("a name is 1 to 253 characters") {
  CHECK_FALSE(valid_name(""));
  CHECK(valid_name("x"));
  CHECK(valid_name("kube-system.with dots_and spaces"));
  CHECK(valid_name(std::string(max_name_length, 'x')));
  CHECK_FALSE(valid_name(std::string(max_name_length + 1, 'x')));
  // The limit is in characters, not bytes.
  CHECK(valid_name(repeat("ü", max_name_length)));
  CHECK_FALSE(valid_name(repeat("ü", max_name_length + 1)));
}

TEST_CASE("a name has no control characters") {
  using namespace std::string_view_literals;
  CHECK_FALSE(valid_name("a\nb"));
  CHECK_FALSE(valid_name("a\0b"sv));
  CHECK_FALSE(valid_name("\x1f"));
  CHECK(valid_name("\x20"));
  CHECK_FALSE(valid_name("\x7f"));
  CHECK_FALSE(valid_name("\xc2\x80"));
  CHECK_FALSE(valid_name("\xc2\x9f"));
  CHECK(valid_name("\xc2\xa0"));
}

TEST_CASE("a name is valid UTF-8") {
  CHECK(valid_name("\xdf\xbf"));
  CHECK(valid_name("\xe0\xa0\x80"));
  CHECK(valid_name("\xef\xbf\xbd"));
  CHECK(valid_name("\xf0\x90\x80\x80"));
  CHECK(valid_name("\xf4\x8f\xbf\xbf"));
  for (auto bad : {
         "\x80",             // continuation byte without a lead byte
         "\xbf",             //
         "\xc3",             // truncated
         "\xe2\x82",         //
         "\xf0\x9f\x98",     //
         "\xc3 ",            // lead byte without a continuation byte
         "\xe2\x28\xa1",     //
         "\xc0\xaf",         // overlong forms
         "\xc1\xbf",         //
         "\xe0\x9f\xbf",     //
         "\xf0\x8f\xbf\xbf", //
         "\xed\xa0\x80",     // surrogates
         "\xed\xbf\xbf",     //
         "\xf4\x90\x80\x80", // above U+10FFFF
         "\xf8\x88\x80\x80\x80",
         "\xfe",
         "\xff",
       }) {
    CAPTURE(bad);
    CHECK_FALSE(valid_name(bad));
    CHECK_FALSE(valid_name(std::string{"x"} + bad));
  }
}

TEST_CASE("copies of a list share their elements") {
  shared_workloads none;
  CHECK(none.empty());
  CHECK(none == workload_list{});
  shared_workloads xs = workload_list{{"c", "n", "d"}};
  auto copy = xs;
  CHECK(&copy.get() == &xs.get());
  CHECK(copy == xs);
  CHECK(copy == workload_list{{"c", "n", "d"}});
  CHECK(copy != none);
  // A book is copied for each change and each reader.
  training_book book;
  book.training.emplace().workloads = xs;
  auto other = book;
  CHECK(&other.training->workloads.get() == &xs.get());
}

TEST_CASE("a summary has the lengths of the lists") {
  training_job job;
  job.id = "1";
  job.workloads = {{"c", "n", "d"}, {"c", "n", "e"}, {"c", "n", "f"}};
  job.changes = {{{"c", "n", "e"}, {"c", "n", "f"}}, {{"c", "n", "x"}}};
  auto summary = summary_of(job);
  CHECK(summary.job.id == "1");
  CHECK(summary.job.workloads.empty());
  CHECK(summary.job.changes == workload_diff{});
  CHECK(summary.workloads == 3);
  CHECK(summary.added == 2);
  CHECK(summary.removed == 1);
}
