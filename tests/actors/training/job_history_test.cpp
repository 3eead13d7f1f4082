#include "actors/training/job_history.hpp"

#include <doctest/doctest.h>

using namespace aiops;

namespace {

training_job job(uint64_t number, job_state state = job_state::completed) {
  training_job result;
  result.id = std::to_string(number);
  result.number = number;
  result.state = state;
  result.list_id = result.id;
  return result;
}

job_summaries summaries(uint64_t first, uint64_t last) {
  job_summaries result;
  for (auto n = first; n <= last; ++n)
    result.push_back(summary_of(job(n)));
  return result;
}

/// A training that runs since job `number`, and later jobs.
training_book book_with(uint64_t number, uint64_t last) {
  training_book book;
  book.training = job(number, job_state::training);
  book.last_number = last;
  return book;
}

} // namespace

TEST_CASE("a history detects missing jobs") {
  job_history aut;
  auto book = book_with(3, 5);
  CHECK(aut.complete(training_book{}));
  CHECK_FALSE(aut.complete(book));
  SUBCASE("read") {
    auto jobs = summaries(1, 2);
    jobs.push_back(summary_of(job(4)));
    jobs.push_back(summary_of(job(5)));
    aut.read(book, jobs);
    CHECK(aut.complete(book));
    // Another job ended meanwhile, which this history did not get.
    book.last_number = 6;
    CHECK_FALSE(aut.complete(book));
    aut.add({summary_of(job(6))});
    CHECK(aut.complete(book));
  }
  SUBCASE("a number without a job does not count as missing") {
    aut.read(book, summaries(1, 2));
    CHECK(aut.complete(book));
    aut.clear();
    CHECK_FALSE(aut.complete(book));
  }
}

TEST_CASE("the last jobs, the newest first") {
  job_history aut;
  auto book = book_with(120, 121);
  aut.read(book, summaries(1, 119));
  auto jobs = aut.last_jobs(book);
  REQUIRE(jobs.size() == listed_jobs);
  CHECK(jobs.front().job.number == 120);
  CHECK(jobs.front().job.state == job_state::training);
  CHECK(jobs.back().job.number == 21);
  CHECK(aut.contains("119"));
  CHECK_FALSE(aut.contains("1"));
  CHECK(aut.lists().contains("119"));
}
