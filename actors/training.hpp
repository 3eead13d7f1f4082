#pragma once

#include "actors/actors.hpp"
#include "actors/config.hpp"
#include "actors/error.hpp"

#include <deque>
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
  milliseconds train_timeout{15'000};
  /// Submissions that may wait while one is at work.
  size_t max_waiting = 16;
};

/// How much longer than the backend's own deadline we wait for its answer.
inline constexpr milliseconds training_grace{100};

/// Estimate of the remaining time, in seconds, until the backend reports one.
inline constexpr int64_t initial_remaining_time = 3600;

/// Submits watchlists one at a time, in the order in which they came. What has
/// to be known about the past is asked in the same go: one round trip.
class training_state {
public:
  static inline const char* name = "training";

  explicit training_state(training_actor::pointer self) : self_(self) {
    // nop
  }

  training_actor::behavior_type make_behavior(backend_actor backend,
                                              store_actor store,
                                              training_status_actor status,
                                              const training_config& cfg);

private:
  using clock = caf::actor_clock;

  struct submission {
    workload_list workloads;
    caf::typed_response_promise<training_result> promise;
    clock::time_point deadline;
    /// Answers that have to come before the caller gets his.
    size_t open = 3;
    std::string response{};
    /// The watchlist and the revision of the statistics before this
    /// submission, or why they are not known.
    caf::expected<workload_list> before{caf::error{}};
    caf::expected<uint64_t> revision{caf::error{}};
  };

  using submission_ptr = std::shared_ptr<submission>;

  caf::result<training_result> submit(workload_list workloads);

  /// Starts with the next submission unless one is at work.
  void work();

  /// Asks what was before and sends the watchlist, all at once.
  void send(const submission_ptr& job);

  /// Counts an answer; the last one ends the submission.
  void settle(const submission_ptr& job);

  void succeed(const submission_ptr& job);

  /// Decides what the submission was; never a training on a guess.
  training_action action_of(const submission& job) const;

  /// Shows a fresh training until the backend reports progress.
  void store_initial(const submission& job);

  void fail(const submission_ptr& job, const caf::error& err);

  caf::timespan remaining(const submission& job) const;

  training_actor::pointer self_;
  backend_actor backend_;
  store_actor store_;
  training_status_actor status_;
  training_config cfg_;
  submission_ptr current_;
  std::deque<submission_ptr> waiting_;
};

training_actor::behavior_type
training(training_actor::stateful_pointer<training_state> self,
         backend_actor backend, store_actor store, training_status_actor status,
         const training_config& cfg);

} // namespace aiops
