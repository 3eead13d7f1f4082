#include "actors/training/job_history.hpp"

#include <algorithm>
#include <utility>

namespace aiops {

namespace {

bool in_book(const training_book& book, uint64_t number) {
  auto jobs = jobs_of(book);
  return std::any_of(jobs.begin(), jobs.end(),
                     [number](auto* job) { return job->number == number; });
}

/// Number of the oldest job that is listed.
uint64_t oldest(const training_book& book) {
  return book.last_number - std::min(book.last_number, listed_jobs) + 1;
}

} // namespace

void job_history::add(job_summaries jobs) {
  for (auto& x : jobs)
    jobs_.insert_or_assign(x.job.number, std::move(x));
  while (jobs_.size() > listed_jobs)
    jobs_.erase(jobs_.begin());
}

void job_history::read(const training_book& book, job_summaries jobs) {
  add(std::move(jobs));
  // Jobs in the book may not be in the stored history yet.
  complete_up_to_ = book.last_number;
  for (auto* job : jobs_of(book))
    complete_up_to_ = std::min(complete_up_to_, job->number - 1);
  absent_.clear();
  for (auto n = complete_up_to_ + 1; n <= book.last_number; ++n)
    if (!in_book(book, n) && !jobs_.contains(n))
      absent_.insert(n);
}

bool job_history::complete(const training_book& book) const {
  for (auto n = std::max(complete_up_to_ + 1, oldest(book));
       n <= book.last_number; ++n)
    if (!in_book(book, n) && !jobs_.contains(n) && !absent_.contains(n))
      return false;
  return true;
}

job_summaries job_history::last_jobs(const training_book& book) const {
  auto jobs = jobs_;
  for (auto* job : jobs_of(book))
    jobs.insert_or_assign(job->number, summary_of(*job));
  job_summaries result;
  for (auto i = jobs.rbegin(); i != jobs.rend() && result.size() < listed_jobs;
       ++i)
    result.push_back(std::move(i->second));
  return result;
}

bool job_history::contains(const std::string& id) const {
  return std::any_of(jobs_.begin(), jobs_.end(),
                     [&](auto& x) { return x.second.job.id == id; });
}

std::set<std::string> job_history::lists() const {
  std::set<std::string> result;
  for (auto& [number, x] : jobs_)
    result.insert({x.job.list_id, x.job.base_id});
  return result;
}

void job_history::clear() {
  jobs_.clear();
  absent_.clear();
  complete_up_to_ = 0;
}

} // namespace aiops
