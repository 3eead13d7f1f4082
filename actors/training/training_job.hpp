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
/// A submission of a watchlist and the training that it may start: its data,
/// and which states may follow each state.

namespace aiops {

// -- what the backend reports -------------------------------------------------

/// What the dashboard shows of the model.
struct model_status {
  /// Free text; known backends send `training`, `completed`, `not started`,
  /// `training failed` and `no model trained`. Empty: unknown.
  std::string status;
  training_statistics statistics;

  friend bool operator==(const model_status&, const model_status&) = default;
};

/// The texts of a status that the gateway acts on.
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
  /// The backend has been silent for too long; it may report again.
  stalled,
  /// Cancelled by request.
  cancelled,
  /// Replaced by a later submission.
  superseded,
};

inline constexpr size_t job_state_count = 8;

/// For example `fetching data`.
std::string_view to_string(job_state state);

std::optional<job_state> job_state_of(std::string_view text);

/// Whether state `to` may follow state `from`. A state may follow itself until
/// the job has ended.
bool can_follow(job_state from, job_state to);

/// Whether a job in this state runs, so that another submission needs force.
bool running(job_state state);

/// Whether no state can follow this one.
bool ended(job_state state);

/// Stages that known backends report.
inline constexpr std::string_view fetching_stage = "fetching data";
inline constexpr std::string_view training_stage = "train";

/// One submission of a watchlist and the training that followed.
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
  /// The id of the watchlist in the store: that of the job that it came with.
  std::string list_id;
  /// The difference to the watchlist that it was compared with.
  workload_diff changes;
  /// The id of that other watchlist in the store; empty for the empty list.
  std::string base_id;
  time_point started_at;
  /// Time of the last report of the backend, or of the last change by a
  /// gateway.
  time_point updated_at;
  /// Nothing until it has ended.
  std::optional<time_point> ended_at;
  /// Why it is in this state, as text; may be empty.
  std::string reason;
  /// The backend's response to the submission; empty before.
  std::string response;
  /// As last reported; zeros before the first report.
  training_statistics statistics;
  /// Whether the backend reported progress of this job.
  bool progressed = false;
  /// Whether the backend, when asked, answered that it trains.
  bool confirmed = false;
  /// Whether the backend may still report progress of the job before, and its
  /// `timeElapsed` at the last report; 0 when it gave none.
  bool may_receive_stale_progress = false;
  int64_t stale_progress_elapsed = 0;
  /// Whether no gateway submitted it: the backend started the training itself.
  bool adopted = false;
  /// The status in the last report; empty when there was none.
  std::string reported_status;
  /// Whether the backend reported a complete model, but possibly about another
  /// submission.
  bool completion_reported = false;

  friend bool operator==(const training_job&, const training_job&) = default;
};

/// The id in the store of a list that came with no job: the one that the
/// watchlist of job `id` was compared with.
std::string base_list_id(const std::string& id);

/// The list that the watchlist of a job was compared with.
workload_list base_of(const training_job& job);

/// A job without its lists, which may be megabytes.
struct job_summary {
  /// Its lists are empty.
  training_job job;
  /// Their lengths.
  size_t workloads = 0;
  size_t added = 0;
  size_t removed = 0;

  friend bool operator==(const job_summary&, const job_summary&) = default;
};

job_summary summary_of(training_job job);

using job_summaries = std::vector<job_summary>;

/// The time until the training ends.
struct remaining_time {
  int64_t seconds = 0;
  /// Whether the gateway estimated it from the progress, not the backend.
  bool estimated = false;
};

/// The backend's estimate, or else one from the progress; nothing when neither
/// is possible, or the job does not run.
std::optional<remaining_time> remaining_of(const training_job& job,
                                           training_job::time_point now);

/// Seconds since the training began, as the backend reports it if it does.
int64_t elapsed_of(const training_job& job, training_job::time_point now);

} // namespace aiops
