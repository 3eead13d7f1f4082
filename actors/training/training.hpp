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
  /// How long one question to backend or store may take; at least what these
  /// take themselves before they give up.
  milliseconds request_timeout{5'000};
  /// How long a submission may take, counted from its arrival. The answer
  /// comes at most `training_grace` later.
  milliseconds train_timeout{60'000};
  /// Submissions that may wait while one is at work.
  size_t max_waiting = 16;
  /// Whether the last watchlist is looked up in the book once it has one: what
  /// the backend finds in the store is what we wrote there ourselves, so it
  /// says nothing of the backend.
  bool compare_by_book = false;
  /// Pause before it is looked again whether another submission is settled, or
  /// a store is back.
  milliseconds retry_pause{200};
  std::function<std::string()> make_id = make_uuid;
};

/// How much longer than the backend's own deadline we wait for its answer.
inline constexpr milliseconds training_grace{100};

/// INTERNAL: time to go on with the submission at work.
using internal_training_actor
  = training_actor::extend<caf::replies_to<restart_atom>::with<void>>;

/// Submits watchlists one at a time, in the order in which they came: asks for
/// the last one, enters the job in the book, asks the backend, enters what
/// came of it. A book with a submission that is not settled, also that of
/// another replica, is waited for.
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

  struct submission {
    training_request request;
    caf::typed_response_promise<training_result> promise;
    clock::time_point deadline;
    training_result result{};
    /// What the comparison was made with.
    stored_book book{};
    shared_workloads base{};
    /// Steps of the comparison that are still to come, and why one failed.
    int open = 0;
    caf::error failure{};
  };

  using submission_ptr = std::shared_ptr<submission>;

  caf::result<training_result> submit(training_request request);

  /// Starts with the next submission unless one is at work.
  void work();

  /// Begins with the book as it stands in the store.
  void begin_afresh(const submission_ptr& job);

  /// Finds out what there is to do, and stores the list meanwhile.
  void compare(const submission_ptr& job);

  void ask_for_base(const submission_ptr& job);

  void store_list(const submission_ptr& job);

  void end_step(const submission_ptr& job, const caf::error& err);

  /// Says what a submission would do.
  void preview(const submission_ptr& job);

  /// Enters the job in the book.
  void enter(const submission_ptr& job);

  /// Sees to it that a job which may be in the book is not waited for.
  void give_up(const submission_ptr& job, const caf::error& err);

  /// The book does not take the job as it is now.
  void not_entered(const submission_ptr& job, const caf::error& err);

  /// Sends the watchlist.
  void send(const submission_ptr& job);

  void accepted(const submission_ptr& job, std::string response);

  void refused(const submission_ptr& job, const caf::error& err);

  /// The backend may have got the watchlist: what it has now tells.
  void read_back(const submission_ptr& job, const caf::error& err);

  /// Enters the outcome, again and again while there is time; after that it is
  /// the book's keeper who owes it.
  void settle(const submission_ptr& job, job_change outcome);

  void settled(const submission_ptr& job, const book_update& update);

  /// Does it again after a pause, while there is time.
  void later(const submission_ptr& job, std::function<void()> what,
             const caf::error& why);

  void answer(const submission_ptr& job);

  void fail(const submission_ptr& job, const caf::error& err);

  void finish();

  /// What is left of the time for a submission, but not more than a question
  /// may take.
  caf::timespan patience(const submission& job) const;

  caf::timespan remaining(const submission& job) const;

  internal_training_actor::pointer self_;
  backend_actor backend_;
  training_jobs_actor jobs_;
  job_store_actor store_;
  training_config cfg_;
  /// The book as last seen.
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
