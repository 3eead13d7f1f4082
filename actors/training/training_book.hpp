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
/// The training book that all replicas share, as pure logic: what a change
/// makes of it.
///
/// The book tells three things apart. The *watchlist* is the list that the
/// backend accepted last. The *training* runs, or ran last. The *submission*
/// has no outcome yet. A submission becomes the training (or, when nothing is
/// to be trained, only the watchlist) when the backend is known to have it; a
/// refused one leaves no trace but in the history.

namespace aiops {

using std::chrono::milliseconds;

/// The book is always smaller than this, in bytes as it is stored: so a change
/// that must follow has room. Texts from outside are cut to fit.
inline constexpr size_t max_book_size = 4096;

/// Longest id of a job from outside, in bytes of JSON.
inline constexpr size_t max_job_id = 40;

/// Jobs that may wait in the book for their place in the history.
inline constexpr size_t max_leaving = 2;

/// The watchlist that the backend accepted last.
struct accepted_watchlist {
  /// Of the job that it came with; empty when there was none yet.
  std::string job_id;
  uint64_t number = 0;
  training_action action = training_action::none;
  training_job::time_point submitted_at;
  shared_workloads workloads;
  /// As in `training_job`.
  std::string list_id;
  /// Whether somebody gave up the training of it since.
  bool given_up = false;

  friend bool operator==(const accepted_watchlist&, const accepted_watchlist&)
    = default;
};

/// What is stored as one value, so that it changes at once or not at all.
struct training_book {
  accepted_watchlist watchlist;
  /// The training that runs or, when none does, ran last.
  std::optional<training_job> training;
  /// The submission that is not settled.
  std::optional<training_job> submission;
  /// The jobs that left these places, until they stand in the history; at most
  /// `max_leaving` in the store.
  std::vector<training_job> leaving;
  /// Number of the latest job.
  uint64_t last_number = 0;
  /// What the compatibility surface shows, if the protocol does not have the
  /// backend tell it.
  model_status model;

  friend bool operator==(const training_book&, const training_book&) = default;
};

/// Every job in the book.
std::vector<const training_job*> jobs_of(const training_book& book);

/// The job to show: the submission, or else the training; null without both.
const training_job* current_job(const training_book& book);

/// The job with that id; null when it is not in the book.
const training_job* find_job(const training_book& book, const std::string& id);

/// Whether it is not known yet what becomes of the submission.
bool pending(const training_book& book);

/// Whether a job runs that only a forced submission may displace.
bool busy(const training_book& book);

/// Whether there is nothing that other programs should read of the training.
bool forgotten(const training_book& book);

/// The list with which a submission is compared when the backend cannot tell
/// its own.
shared_workloads basis_list(const training_book& book);

/// What a submission was compared with. It is part of what is compared and set:
/// who finds the book with another basis compares again.
struct book_basis {
  uint64_t last_number = 0;
  /// Of the watchlist, and whether somebody gave it up since.
  std::string job_id;
  bool given_up = false;
  /// Whether the last training did not end well, so that the same list is
  /// trained again.
  bool no_model = false;

  friend bool operator==(const book_basis&, const book_basis&) = default;
};

book_basis basis_of(const training_book& book);

/// What a submission of `workloads` asks of the backend whose list is `base`:
/// the same list again is trained anew when the last training of it did not
/// end well.
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
  /// Whether it may take the place of a job that runs.
  bool force = false;
  book_basis basis = {};
  shared_workloads base = {};
};

/// The backend accepted the watchlist.
struct job_acceptance {
  std::string id;
  std::string response;
};

/// The backend surely did not get the watchlist, or refused it.
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
  /// After so long without a word a training has stalled.
  milliseconds limit{0};
  /// After so long a submission without outcome is settled by whoever sees it.
  milliseconds outcome_time{60'000};
};

using job_change
  = std::variant<job_submission, job_acceptance, job_rejection, job_doubt,
                 job_progress, job_observation, job_cancellation, job_silence>;

/// Whether the change says what became of a submission, so that it has to be
/// stored whatever happens.
bool settles(const job_change& what);

/// What a change is judged by.
struct change_context {
  /// Wall clock, for what is shown. Those of two replicas may differ by
  /// minutes, so nothing is decided by it alone.
  training_job::time_point now;
  /// Identity for a job that was not submitted through us.
  std::string fresh_id;
  /// What to show as status when no model was trained or asked for.
  std::string idle_text;
  /// What to show of a training before its first progress: by default of the
  /// request-reply protocol, an hour to go.
  training_statistics initial = {0, 0, 3600, 0, 0.0, {}};
  /// Time since this replica saw the last word about the training, since it saw
  /// the training begin, and since it saw the submission; on its monotonic
  /// clock, so at most as long as in truth.
  milliseconds quiet{0};
  milliseconds training_age{0};
  milliseconds submission_age{0};
  /// Whether it saw the training and the submission come, and not late, so that
  /// these ages are about the true ones.
  bool training_came = false;
  bool submission_came = false;
  /// Time since it saw the watchlist accepted; at most as long as in truth.
  milliseconds list_age{0};
  /// Numbers that were given to jobs which the store may have lost.
  uint64_t least_number = 0;
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
/// Fails with `conflict` for what the table refuses, an update of an older job,
/// a submission while a job runs or another one is not settled, and one that
/// was compared with another basis.
caf::expected<training_book> apply_change(const training_book& book,
                                          const job_change& change,
                                          const change_context& context);

/// How late something that was stored came to be seen. The store's clock and
/// ours count from different moments; the least difference between them that
/// was seen lately is what the way takes when nothing holds it up.
class lateness {
public:
  using time_point = caf::actor_clock::time_point;

  /// Something that was stored then, by the store's clock, is seen. While there
  /// is nothing to compare it with, it counts as late without limit: what is
  /// seen first was stored at any time before, and the next one may be late
  /// itself.
  milliseconds of(training_job::time_point stored_at, time_point now);

private:
  /// So many in a row may come late after a pause.
  static constexpr size_t window = 64;

  bool started_ = false;
  std::deque<milliseconds> differences_;
};

/// Measures the times of a `change_context` from the books that a replica sees.
class word_clock {
public:
  using time_point = caf::actor_clock::time_point;

  /// The replica sees this book, which came to it so late.
  void see(const training_book& book, time_point now,
           milliseconds late = milliseconds{0});

  /// Enters the times in `context`.
  void measure(change_context& context, time_point now) const;

private:
  struct sighting {
    std::string id;
    training_job::time_point word;
    time_point since;
    bool came = false;
  };

  bool started_ = false;

  std::optional<sighting> training_;
  std::optional<sighting> word_;
  std::optional<sighting> submission_;
  std::optional<sighting> submission_word_;
  std::optional<sighting> list_;
};

} // namespace aiops
