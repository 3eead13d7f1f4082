#include "actors/training/training_invariants.hpp"

#include <set>

namespace aiops {

namespace {

bool valid_percentage(const training_statistics& x) {
  return x.percentage_completed >= 0 && x.percentage_completed <= 100;
}

/// Whether the list of a job was not found when the book was read. An old copy
/// of the store may have answered, so the next read may find it.
bool unread(const training_job& job) {
  return !job.list_id.empty() && job.workloads.empty();
}

/// Describes the invariant that a single book breaks.
std::string broken_invariant(const training_book& book) {
  std::set<uint64_t> numbers;
  std::set<std::string> ids;
  for (auto* job : jobs_of(book)) {
    if (!numbers.insert(job->number).second || !ids.insert(job->id).second)
      return "two jobs have the same number or id";
    if (job->number > book.last_number)
      return "a job has a number that was not given";
    if (ended(job->state) != job->ended_at.has_value())
      return "only a job that has ended has the time of its end";
    if (!valid_percentage(job->statistics))
      return "a percentage is between 0 and 100";
  }
  if (book.submission && ended(book.submission->state))
    return "a submission that is settled leaves its place";
  if (book.training && book.training->action != training_action::train)
    return "the training trains";
  for (auto& job : book.leaving) {
    if (!ended(job.state))
      return "only a job that has ended leaves";
    if (job.id == book.watchlist.job_id && job.state == job_state::failed
        && job.response.empty() && !job.progressed)
      return "a refused watchlist is not accepted";
  }
  auto& job = book.training;
  if (job && job->state == job_state::completed
      && job->statistics.percentage_completed != 100)
    return "a completed training is at 100 percent";
  return {};
}

} // namespace

std::string broken_invariant(const training_book& before,
                             const training_book& after) {
  if (auto broken = broken_invariant(after); !broken.empty())
    return broken;
  if (after.last_number < before.last_number)
    return "numbers never repeat";
  if (after.watchlist.number < before.watchlist.number)
    return "the accepted watchlist never goes back";
  for (auto* job : jobs_of(after))
    if (auto last = find_job(before, job->id)) {
      if (last->number != job->number)
        return "a job keeps its number";
      if (last->workloads != job->workloads && !unread(*last) && !unread(*job))
        return "a job keeps its watchlist: " + job->id + " had "
               + std::to_string(last->workloads.size()) + " workloads (list "
               + last->list_id + ") and has "
               + std::to_string(job->workloads.size()) + " (list "
               + job->list_id + ")";
      if (ended(last->state) && last->state != job->state)
        return "the end of a job is final";
      if (last->response.empty() < job->response.empty())
        return "the backend's answer is never forgotten";
    }
  return {};
}

std::string broken_sequence(const stored_book& before,
                            const stored_book& after) {
  if (after.revision <= before.revision || after.losses != before.losses)
    return {};
  // A book of revision 0 was never stored. It has the numbers that were noted.
  // Those of jobs that were never stored are free.
  return broken_invariant(before.revision != 0 ? before.value : training_book{},
                          after.value);
}

std::string broken_step(const training_book& before,
                        const training_book& after) {
  if (auto broken = broken_invariant(before, after); !broken.empty())
    return broken;
  for (auto* job : jobs_of(before))
    if (!ended(job->state) && !find_job(after, job->id))
      return "a job that has not ended never vanishes";
  return {};
}

} // namespace aiops
