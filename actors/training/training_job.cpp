#include "actors/training/training_job.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

namespace aiops {

namespace {

using std::chrono::duration_cast;
using std::chrono::seconds;
using time_point = training_job::time_point;

constexpr std::array<std::string_view, job_state_count> names = {
  "submitted", "fetching data", "training",  "completed",
  "failed",    "stalled",       "cancelled", "superseded",
};

constexpr unsigned bit(job_state x) {
  return 1u << static_cast<unsigned>(x);
}

constexpr unsigned reported = bit(job_state::fetching_data)
                              | bit(job_state::training)
                              | bit(job_state::completed)
                              | bit(job_state::failed);

constexpr unsigned set_by_gateway = bit(job_state::stalled)
                                    | bit(job_state::cancelled)
                                    | bit(job_state::superseded);

/// The states that may follow each state, in the order of the states. A backend
/// that restarts fetches its data again, and a silent one may report again.
constexpr std::array<unsigned, job_state_count> followers = {
  bit(job_state::submitted) | reported | set_by_gateway,
  reported | set_by_gateway,
  reported | set_by_gateway,
  0,
  0,
  reported | set_by_gateway,
  0,
  0,
};

} // namespace

// -- states -------------------------------------------------------------------

std::string_view to_string(job_state state) {
  return names[static_cast<size_t>(state)];
}

std::optional<job_state> job_state_of(std::string_view text) {
  auto i = std::find(names.begin(), names.end(), text);
  if (i == names.end())
    return std::nullopt;
  return static_cast<job_state>(i - names.begin());
}

bool can_follow(job_state from, job_state to) {
  return (followers[static_cast<size_t>(from)] & bit(to)) != 0;
}

bool running(job_state state) {
  return state == job_state::submitted || state == job_state::fetching_data
         || state == job_state::training;
}

bool ended(job_state state) {
  return followers[static_cast<size_t>(state)] == 0;
}

// -- its lists ----------------------------------------------------------------

std::string base_list_id(const std::string& id) {
  return id + ".base";
}

workload_list base_of(const training_job& job) {
  workload_list kept;
  auto& all = job.workloads.get();
  auto& added = job.changes.added.get();
  std::set_difference(all.begin(), all.end(), added.begin(), added.end(),
                      std::back_inserter(kept));
  workload_list result;
  auto& removed = job.changes.removed.get();
  std::set_union(kept.begin(), kept.end(), removed.begin(), removed.end(),
                 std::back_inserter(result));
  return result;
}

// -- a job --------------------------------------------------------------------

int64_t elapsed_of(const training_job& job, time_point now) {
  if (job.statistics.time_elapsed > 0)
    return job.statistics.time_elapsed;
  auto until = job.ended_at.value_or(now);
  return std::max<int64_t>(
    0, duration_cast<seconds>(until - job.started_at).count());
}

std::optional<remaining_time> remaining_of(const training_job& job,
                                           time_point now) {
  if (!running(job.state) || job.action != training_action::train)
    return std::nullopt;
  auto& known = job.statistics;
  if (known.remaining_time > 0)
    return remaining_time{known.remaining_time, !job.progressed};
  if (known.percentage_completed <= 0 || known.percentage_completed >= 100)
    return std::nullopt;
  // The time that was left at the last report, less the time since.
  auto elapsed = static_cast<double>(elapsed_of(job, job.updated_at));
  if (elapsed <= 0)
    return std::nullopt;
  auto done = static_cast<double>(known.percentage_completed);
  auto since = duration_cast<seconds>(now - job.updated_at).count();
  // Bounded, so that it fits for any reported value.
  auto whole = std::min(elapsed * (100. - done) / done, 1e15);
  auto left = static_cast<int64_t>(whole) - since;
  return remaining_time{std::max<int64_t>(0, left), true};
}

job_summary summary_of(training_job job) {
  auto workloads = std::exchange(job.workloads, {}).size();
  auto changes = std::exchange(job.changes, {});
  return {std::move(job), workloads, changes.added.size(),
          changes.removed.size()};
}

} // namespace aiops
