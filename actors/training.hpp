#pragma once

#include "actors/actors.hpp"
#include "actors/config.hpp"
#include "actors/error.hpp"
#include "actors/uuid.hpp"

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
  std::function<std::string()> make_id = make_uuid;
};

/// How much longer than the backend's own deadline we wait for its answer.
inline constexpr milliseconds training_grace{100};

/// Submits watchlists one at a time, in the order in which they came: asks for
/// the last one, enters the job in the book, asks the backend, enters what
/// came of it.
class training_state {
public:
  static inline const char* name = "training";

  explicit training_state(training_actor::pointer self) : self_(self) {
    // nop
  }

  training_actor::behavior_type make_behavior(backend_actor backend,
                                              training_jobs_actor jobs,
                                              const training_config& cfg);

private:
  using clock = caf::actor_clock;

  struct submission {
    training_request request;
    caf::typed_response_promise<training_result> promise;
    clock::time_point deadline;
    training_result result{};
    /// The book before the job was entered.
    training_book before{};
  };

  using submission_ptr = std::shared_ptr<submission>;

  caf::result<training_result> submit(training_request request);

  /// Starts with the next submission unless one is at work.
  void work();

  /// Finds out what there is to do; `then` comes unless that fails.
  void compare(const submission_ptr& job, std::function<void()> then);

  /// Says what a submission would do.
  void preview(const submission_ptr& job);

  /// Enters the job in the book.
  void enter(const submission_ptr& job);

  /// Sends the watchlist.
  void send(const submission_ptr& job);

  void accepted(const submission_ptr& job, std::string response);

  void refused(const submission_ptr& job, const caf::error& err);

  /// The backend may have got the watchlist: what it has now tells.
  void read_back(const submission_ptr& job, const caf::error& err);

  /// Enters what became of the job; then the next one may come.
  void settle(const submission_ptr& job, job_change outcome);

  void stands_in_the_way(const submission_ptr& job, const caf::error& err);

  void answer(const submission_ptr& job);

  void fail(const submission_ptr& job, const caf::error& err);

  void finish();

  /// What is left of the time for a submission, but not more than a question
  /// may take.
  caf::timespan patience(const submission& job) const;

  caf::timespan remaining(const submission& job) const;

  training_actor::pointer self_;
  backend_actor backend_;
  training_jobs_actor jobs_;
  training_config cfg_;
  submission_ptr current_;
  std::deque<submission_ptr> waiting_;
};

training_actor::behavior_type
training(training_actor::stateful_pointer<training_state> self,
         backend_actor backend, training_jobs_actor jobs,
         const training_config& cfg);

} // namespace aiops
