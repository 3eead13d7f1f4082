#pragma once

#include "actors/caf_compat.hpp"
#include "actors/progress.hpp"
#include "actors/workload.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

/// @file
/// The life of a training job, as pure logic: which state may follow which,
/// and what a change makes of the book that all replicas share.

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
  /// The difference to the watchlist before.
  workload_diff changes;
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
  /// Whether the backend may still report progress of the job before.
  bool contested = false;

  friend bool operator==(const training_job&, const training_job&) = default;
};

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

/// Whether it is not known yet if the backend got the job: its submission has
/// no outcome.
bool pending(const training_job& job);

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

// -- the book -----------------------------------------------------------------

/// What is stored as one value, so that it changes at once or not at all.
struct training_book {
  /// The current job or, when it has ended, the last one.
  std::optional<training_job> job;
  /// The one before it, until it stands in the history.
  std::optional<training_job> before;
  /// Number of the latest job.
  uint64_t last_number = 0;
  /// What the compatibility surface shows, if the protocol does not have the
  /// backend tell it.
  model_status model;

  friend bool operator==(const training_book&, const training_book&) = default;
};

/// The watchlist as last submitted; empty when there is none.
shared_workloads watchlist_of(const training_book& book);

// -- changes ------------------------------------------------------------------

/// A watchlist is about to be sent.
struct job_submission {
  std::string id;
  training_action action = training_action::train;
  shared_workloads workloads;
  workload_diff changes;
  /// Whether it may take the place of a job that runs.
  bool force = false;
};

/// The backend accepted the watchlist.
struct job_acceptance {
  std::string id;
  std::string response;
};

/// The backend surely did not get the watchlist: everything is as before.
struct job_rejection {
  std::string id;
  std::string reason;
  /// The book before the submission.
  training_book before;
};

/// The backend may have got the watchlist.
struct job_doubt {
  std::string id;
  std::string reason;
};

/// The backend reports progress.
struct job_progress {
  /// Of the job that it is about; empty when the backend does not say.
  std::string id = {};
  /// The text of the status; nothing when it does not say.
  std::optional<std::string> status = {};
  std::optional<reported_statistics> statistics = {};
};

/// The backend answered our question for the status with this text. Says less
/// than progress: it may be about an earlier job.
struct job_observation {
  std::string status;
};

/// Somebody gives the job up.
struct job_cancellation {};

/// Time to look whether the backend has been silent for too long.
struct job_silence {
  std::chrono::milliseconds limit{0};
};

using job_change
  = std::variant<job_submission, job_acceptance, job_rejection, job_doubt,
                 job_progress, job_observation, job_cancellation, job_silence>;

/// What a change is judged by.
struct change_context {
  training_job::time_point now;
  /// Identity for a job that was not submitted through us.
  std::string fresh_id;
  /// What to show as status when no model was trained or asked for.
  std::string idle_text;
  /// What to show of a training before its first progress: by default of the
  /// request-reply protocol, an hour to go.
  training_statistics initial = {0, 0, 3600, 0, 0.0, {}};
  /// How long the outcome of a submission may take to come.
  std::chrono::milliseconds outcome_time{60'000};
};

/// What the compatibility surface shows when the backend tells `told`: its
/// word, unless that would lock the dashboard for a training that is none.
std::string shown_status(const training_book& book, const std::string& told,
                         const change_context& context);

/// The book to begin with when there is none, but a program before us stored
/// the model's status at that time.
training_book import_model(const model_status& model,
                           training_job::time_point stored_at,
                           const change_context& context);

/// How long after a submission the backend's answers may still be about an
/// earlier job.
inline constexpr std::chrono::seconds settling_time{30};

/// The book after a change; equal to `book` when there is nothing to change.
/// Fails with `conflict` for what the table refuses, an update of an older job
/// and a submission while a job runs.
caf::expected<training_book> apply_change(const training_book& book,
                                          const job_change& change,
                                          const change_context& context);

} // namespace aiops
