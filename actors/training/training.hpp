#pragma once

#include "actors/actors.hpp"
#include "base/error.hpp"
#include "base/time.hpp"
#include "base/uuid.hpp"

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace aiops {

struct training_config {
  /// Deadline of one request to backend or store; not shorter than their own
  /// deadlines.
  milliseconds request_timeout{5'000};
  /// How long a submission may take, counted from its arrival. The answer
  /// comes at most `training_grace` later.
  milliseconds train_timeout{60'000};
  /// Maximum number of submissions that wait while one is processed.
  size_t max_waiting = 16;
  /// Whether to use the watchlist of the book, once it has one, instead of
  /// asking the backend: the backend would answer the list that the gateway
  /// stored for it, which shows nothing about the backend.
  bool compare_by_book = false;
  /// Pause before the next check whether another submission is settled or the
  /// store can be reached again.
  milliseconds retry_pause{200};
  std::function<std::string()> make_id = make_uuid;
};

/// How much longer than the backend's own deadline to wait for its answer.
inline constexpr milliseconds training_grace{100};

/// INTERNAL: also continues with the current submission.
using internal_training_actor
  = training_actor::extend<caf::replies_to<restart_atom>::with<void>>;

/// Submits watchlists one at a time, in the order of their arrival: gets the
/// last watchlist, enters the job in the book, asks the backend, enters the
/// outcome. Waits while the book has a submission that is not settled, also one
/// of another replica.
class training_state {
public:
  static inline const char* name = "training";

  explicit training_state(internal_training_actor::pointer self) : self_(self) {
    // nop
  }

  internal_training_actor::behavior_type
  make_behavior(backend_actor backend, training_jobs_actor jobs,
                job_store_actor store, const training_config& cfg);

private:
  using clock = caf::actor_clock;

  struct pending_submission {
    training_request request;
    caf::typed_response_promise<training_result> promise;
    clock::time_point deadline;
    training_result result{};
    /// The book and the watchlist that this one was compared with.
    stored_book book{};
    shared_workloads base{};
    /// Number of steps of the comparison that have not ended, and why one
    /// failed.
    int open = 0;
    caf::error failure{};
  };

  using submission_ptr = std::shared_ptr<pending_submission>;

  caf::result<training_result> submit(training_request request);

  /// Starts with the next submission unless one is being processed.
  void work();

  /// Begins again with the book in the store.
  void begin_with_fresh_book(const submission_ptr& submission);

  /// Determines the action, and stores the list at the same time.
  void compare(const submission_ptr& submission);

  void ask_for_base(const submission_ptr& submission);

  void store_list(const submission_ptr& submission);

  void end_step(const submission_ptr& submission, const caf::error& err);

  /// Answers what a submission would do.
  void preview(const submission_ptr& submission);

  /// Enters the job in the book.
  void enter(const submission_ptr& submission);

  /// Settles a job that may be in the book although entering it failed, so that
  /// later submissions do not wait for it.
  void withdraw(const submission_ptr& submission, const caf::error& err);

  /// The book in its current state does not accept the job.
  void not_entered(const submission_ptr& submission, const caf::error& err);

  /// Sends the watchlist.
  void send(const submission_ptr& submission);

  void accepted(const submission_ptr& submission, std::string response);

  void refused(const submission_ptr& submission, const caf::error& err);

  /// The backend may have got the watchlist: asks which one it has now.
  void read_back(const submission_ptr& submission, const caf::error& err);

  /// Enters the outcome, repeatedly until the deadline; after that TRAINING
  /// JOBS stores it later.
  void settle(const submission_ptr& submission, job_change outcome);

  void settled(const submission_ptr& submission, const book_update& update);

  /// Tries again after a pause, until the deadline.
  void later(const submission_ptr& submission, std::function<void()> what,
             const caf::error& why);

  void answer(const submission_ptr& submission);

  void fail(const submission_ptr& submission, const caf::error& err);

  void finish();

  /// The rest of the time for a submission, but not more than the deadline of
  /// one request.
  caf::timespan request_time(const pending_submission& submission) const;

  caf::timespan remaining(const pending_submission& submission) const;

  internal_training_actor::pointer self_;
  backend_actor backend_;
  training_jobs_actor jobs_;
  job_store_actor store_;
  training_config cfg_;
  /// The book as last received.
  std::optional<stored_book> book_;
  std::function<void()> postponed_;
  submission_ptr current_;
  std::deque<submission_ptr> waiting_;
};

internal_training_actor::behavior_type
training(internal_training_actor::stateful_pointer<training_state> self,
         backend_actor backend, training_jobs_actor jobs, job_store_actor store,
         const training_config& cfg);

} // namespace aiops
