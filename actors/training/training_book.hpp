#pragma once

#include "actors/training/training_job.hpp"

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <variant>
#include <vector>

/// @file
/// The book that all replicas share, as pure logic: the effect of each change.
///
/// The book has three parts. The *watchlist* is the list that the backend
/// accepted last. The *training* runs, or ran last. The *submission* has no
/// outcome yet. A submission becomes the training (or, when nothing is to be
/// trained, only the watchlist) when the backend is known to have it; a refused
/// one only leaves an entry in the history.

namespace aiops {

using std::chrono::milliseconds;

/// Maximum size of the stored book in bytes, so that there is always room for
/// the next change. Texts from outside are cut to fit.
inline constexpr size_t max_book_size = 4096;

/// Maximum length of the id of a job from outside, in bytes of JSON.
inline constexpr size_t max_job_id = 40;

/// Maximum number of jobs in the book that wait to be added to the history.
inline constexpr size_t max_leaving = 2;

/// The watchlist that the backend accepted last.
struct accepted_watchlist {
  /// The id of the job that it came with; empty before the first one.
  std::string job_id;
  uint64_t number = 0;
  training_action action = training_action::none;
  training_job::time_point submitted_at;
  shared_workloads workloads;
  /// As in `training_job`.
  std::string list_id;
  /// Whether its training was cancelled by request since.
  bool cancelled = false;

  friend bool operator==(const accepted_watchlist&, const accepted_watchlist&)
    = default;
};

/// The book. It is stored as one value, so each change is atomic.
struct training_book {
  accepted_watchlist watchlist;
  /// The training that runs or, when none runs, ran last.
  std::optional<training_job> training;
  /// The submission that is not settled.
  std::optional<training_job> submission;
  /// The jobs that left these places, until they are in the history; at most
  /// `max_leaving` in the store.
  std::vector<training_job> leaving;
  /// Number of the latest job.
  uint64_t last_number = 0;
  /// What the compatibility API shows, if the backends of this protocol do not
  /// report it.
  model_status model;

  friend bool operator==(const training_book&, const training_book&) = default;
};

/// Every job in the book.
std::vector<const training_job*> jobs_of(const training_book& book);

/// The job to show: the submission, or else the training; null without both.
const training_job* current_job(const training_book& book);

/// The job with that id; null when it is not in the book.
const training_job* find_job(const training_book& book, const std::string& id);

/// Whether there is a submission without an outcome.
bool pending(const training_book& book);

/// Whether a job runs that only a forced submission may replace.
bool busy(const training_book& book);

/// Whether other programs should find no status of the training.
bool forgotten(const training_book& book);

/// The list that a submission is compared with when the backend does not answer
/// its own.
shared_workloads basis_list(const training_book& book);

/// The state of the book that a submission was compared with. When the book has
/// another basis by the time of the entry, the submission is compared again.
struct book_basis {
  uint64_t last_number = 0;
  /// The id of the job of the watchlist, and whether its training was
  /// cancelled.
  std::string job_id;
  bool cancelled = false;
  /// Whether the last training did not complete, so that the same list is
  /// trained again.
  bool no_model = false;

  friend bool operator==(const book_basis&, const book_basis&) = default;
};

book_basis basis_of(const training_book& book);

/// The action of a submission of `workloads` when the backend has the list
/// `base`. An equal list is trained again when its last training did not
/// complete.
training_action action_on(const training_book& book, const workload_list& base,
                          const workload_list& workloads);

// -- changes ------------------------------------------------------------------

/// A watchlist is about to be sent.
struct job_submission {
  std::string id;
  training_action action = training_action::train;
  shared_workloads workloads;
  /// The difference to `base`, the list that it was compared with.
  workload_diff changes;
  /// Whether it may replace a running job.
  bool force = false;
  book_basis basis = {};
  shared_workloads base = {};
};

/// The backend accepted the watchlist.
struct job_acceptance {
  std::string id;
  std::string response;
};

/// The backend certainly did not get the watchlist, or refused it.
struct job_rejection {
  std::string id;
  std::string reason;
};

/// The backend may have got the watchlist.
struct job_doubt {
  std::string id;
  std::string reason;
};

/// The backend reports progress.
struct job_progress {
  /// The id of the job that it is about; empty when the backend does not report
  /// one.
  std::string id = {};
  /// The text of the status; nothing when the backend does not report one.
  std::optional<std::string> status = {};
  std::optional<reported_statistics> statistics = {};
};

/// The backend answered a request for its status with this text. This is weaker
/// than progress: it may be about an earlier job.
struct job_observation {
  std::string status;
};

/// The job is cancelled by request.
struct job_cancellation {};

/// Checks whether the backend has been silent for too long.
struct job_silence {
  /// A training that has not reported for this long has stalled.
  milliseconds limit{0};
  /// A submission that has had no outcome for this long is settled by any
  /// replica.
  milliseconds outcome_time{60'000};
};

using job_change
  = std::variant<job_submission, job_acceptance, job_rejection, job_doubt,
                 job_progress, job_observation, job_cancellation, job_silence>;

/// Whether the change is an outcome of a submission, which must be stored
/// eventually.
bool settles(const job_change& what);

/// What the effect of a change depends on besides the book.
struct change_context {
  /// Wall clock, for the times that are shown. The wall clocks of two replicas
  /// may differ by minutes, so no decision depends on it alone.
  training_job::time_point now;
  /// The id for a job that no gateway submitted.
  std::string fresh_id;
  /// The status to show when no model was trained or requested.
  std::string idle_text;
  /// The statistics to show of a training before its first progress. The
  /// default is that of the request-reply protocol: an hour remains.
  training_statistics initial = {0, 0, 3600, 0, 0.0, {}};
  /// Time since this replica saw the last report about the training, since it
  /// saw the training begin, and since it saw the submission; on its monotonic
  /// clock, so not longer than the true time.
  milliseconds quiet{0};
  milliseconds training_age{0};
  milliseconds submission_age{0};
  /// Whether it saw the beginning of the training and of the submission without
  /// delay, so that these ages are close to the true ones.
  bool training_age_is_exact = false;
  bool submission_age_is_exact = false;
  /// Time since it saw the watchlist accepted; not longer than the true time.
  milliseconds list_age{0};
  /// The highest number that was given to a job, even if the store has lost
  /// that job.
  uint64_t last_given_number = 0;
};

/// What the compatibility API shows when the backend reports `status`: this
/// text, unless it would lock the dashboard although no training runs.
std::string shown_status(const training_book& book, const std::string& status,
                         const change_context& context);

/// The first book, when an earlier program stored the status of the model at
/// that time.
training_book import_model(const model_status& model,
                           training_job::time_point stored_at,
                           const change_context& context);

/// How long after a submission the backend's answers may still be about an
/// earlier job.
inline constexpr std::chrono::seconds settling_time{30};

/// The book after a change; equal to `book` when there is nothing to change.
/// Fails with `conflict` for a transition that is not allowed, a report about
/// an older job, a submission while a job runs or another submission is not
/// settled, and a submission that was compared with another basis.
caf::expected<training_book> apply_change(const training_book& book,
                                          const job_change& change,
                                          const change_context& context);

/// Measures how late this replica sees a stored value. The clocks of the store
/// and of this process have different origins. The smallest recent difference
/// between them is that of a value without delay.
class lateness {
public:
  using time_point = caf::actor_clock::time_point;

  /// A value that was stored at `stored_at`, by the store's clock, is seen.
  /// While there is none to compare it with, its delay has no limit: the first
  /// value may have been stored at any time, and the next one may be late
  /// itself.
  milliseconds of(training_job::time_point stored_at, time_point now);

private:
  /// Number of values over which the smallest difference is taken.
  static constexpr size_t window = 64;

  bool started_ = false;
  std::deque<milliseconds> differences_;
};

/// Measures the times of a `change_context` from the books that a replica sees.
class report_clock {
public:
  using time_point = caf::actor_clock::time_point;

  /// The replica sees this book, with this delay.
  void see(const training_book& book, time_point now,
           milliseconds late = milliseconds{0});

  /// Enters the times in `context`.
  void measure(change_context& context, time_point now) const;

private:
  struct sighting {
    std::string id;
    training_job::time_point reported_at;
    time_point since;
    bool exact = false;
  };

  bool started_ = false;

  std::optional<sighting> training_;
  std::optional<sighting> report_;
  std::optional<sighting> submission_;
  std::optional<sighting> submission_report_;
  std::optional<sighting> list_;
};

} // namespace aiops
