#pragma once

#include "actors/training/progress.hpp"
#include "actors/workload.hpp"
#include "base/caf_compat.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// @file
/// A submission of a watchlist and the training that it may start: what is
/// known of it, and which state may follow which.

namespace aiops {

// -- what the backend tells ---------------------------------------------------

/// What the dashboard shows of the model.
struct model_status {
  /// Free text; in the field `training`, `completed`, `not started`,
  /// `training failed`, `no model trained`. Empty: nothing is known.
  std::string status;
  training_statistics statistics;

  friend bool operator==(const model_status&, const model_status&) = default;
};

/// The texts of a status that we act on.
namespace model_text {

inline constexpr std::string_view training = "training";
inline constexpr std::string_view completed = "completed";
inline constexpr std::string_view failed = "training failed";
inline constexpr std::string_view not_started = "not started";
inline constexpr std::string_view no_model = "no model trained";

} // namespace model_text

// -- a job --------------------------------------------------------------------

enum class job_state : uint8_t {
  /// Sent to the backend, which has not reported progress yet.
  submitted,
  /// The backend collects the log messages to train with.
  fetching_data,
  training,
  completed,
  failed,
  /// The backend has been silent for too long; it may come back.
  stalled,
  /// Somebody gave it up.
  cancelled,
  /// A later submission took its place.
  superseded,
};

inline constexpr size_t job_state_count = 8;

/// For example `fetching data`.
std::string_view to_string(job_state state);

std::optional<job_state> job_state_of(std::string_view text);

/// Whether a job in state `from` may come into state `to`: the table of all
/// transitions. A state may follow itself until the job has ended.
bool can_follow(job_state from, job_state to);

/// Whether the job is under way, so that another one needs force.
bool running(job_state state);

/// Whether nothing can follow.
bool ended(job_state state);

/// Stages in the field.
inline constexpr std::string_view fetching_stage = "fetching data";
inline constexpr std::string_view training_stage = "train";

/// One submission of a watchlist and what became of it.
struct training_job {
  using time_point = std::chrono::system_clock::time_point;

  /// A UUID.
  std::string id;
  /// Counts the jobs, from 1.
  uint64_t number = 0;
  job_state state = job_state::submitted;
  training_action action = training_action::train;
  /// The watchlist; normalized.
  shared_workloads workloads;
  /// Under which id the store keeps it: that of the job which brought it.
  std::string list_id;
  /// The difference to the watchlist that it was compared with.
  workload_diff changes;
  /// Under which id the store keeps that one; empty for the empty list.
  std::string base_id;
  time_point started_at;
  /// The last word of the backend, or our own last act.
  time_point updated_at;
  /// Nothing while it has not ended.
  std::optional<time_point> ended_at;
  /// Why it is in this state, for a person; empty when there is nothing to
  /// say.
  std::string reason;
  /// The backend's own words on the submission; empty before.
  std::string response;
  /// As last reported; zeros before.
  training_statistics statistics;
  /// Whether the backend reported progress of this job.
  bool progressed = false;
  /// Whether the backend, when asked, said that it trains.
  bool confirmed = false;
  /// Whether the backend may still report progress of the job before, and its
  /// `timeElapsed` at the last report; 0 when it gave none.
  bool contested = false;
  int64_t contested_elapsed = 0;
  /// Whether nobody submitted it: the backend trained unasked.
  bool adopted = false;
  /// The status that came with the last report; empty when there was none.
  std::string told;
  /// Whether the backend said that there is a model in a way that may have been
  /// about something else.
  bool completion_told = false;

  friend bool operator==(const training_job&, const training_job&) = default;
};

/// Under which id the store keeps a list that came with nobody's job: the one
/// with which the watchlist of job `id` was compared.
std::string base_list_id(const std::string& id);

/// The list with which the watchlist of a job was compared.
workload_list base_of(const training_job& job);

/// A job without its lists, which may be megabytes.
struct job_summary {
  /// Its lists are empty.
  training_job job;
  /// How long they are.
  size_t workloads = 0;
  size_t added = 0;
  size_t removed = 0;

  friend bool operator==(const job_summary&, const job_summary&) = default;
};

job_summary summary_of(training_job job);

using job_summaries = std::vector<job_summary>;

/// How long the training still takes.
struct remaining_time {
  int64_t seconds = 0;
  /// Whether it is our estimate from the progress so far, not the backend's.
  bool estimated = false;
};

/// The backend's word, or else our own estimate; nothing when neither is
/// possible, or the job does not run.
std::optional<remaining_time> remaining_of(const training_job& job,
                                           training_job::time_point now);

/// Seconds since the training began: the backend's word if there is one.
int64_t elapsed_of(const training_job& job, training_job::time_point now);

} // namespace aiops
