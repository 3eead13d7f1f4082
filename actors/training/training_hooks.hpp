#pragma once

#include "actors/actors.hpp"
#include "base/backoff.hpp"
#include "base/time.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace aiops {

struct training_hooks_config {
  /// Deadline of one attempt of a hook, and of one request to another actor.
  milliseconds request_timeout{5'000};
  /// Pause after the first failed attempt; doubles up to `last_backoff`.
  milliseconds first_backoff{1'000};
  milliseconds last_backoff{60'000};
  /// How long to try to deliver one job to one hook.
  milliseconds give_up{60 * 60'000};
};

/// INTERNAL: also continues after a pause.
using internal_training_hooks_actor
  = training_hooks_actor::extend<caf::replies_to<tick_atom>::with<void>>;

/// Notifies all hooks of every training that has ended, one job after another
/// in the order of their numbers. Stores the number of a job only after all
/// hooks have taken it or their time is over. So after a restart, or when
/// another replica takes the lease, a job may be sent again, but none is
/// missed.
class training_hooks_state {
public:
  static inline const char* name = "training-hooks";

  explicit training_hooks_state(internal_training_hooks_actor::pointer self)
    : self_(self) {
    // nop
  }

  internal_training_hooks_actor::behavior_type
  make_behavior(training_jobs_actor jobs, job_store_actor store,
                lease_actor lease, std::vector<job_hook_actor> hooks,
                const training_hooks_config& cfg);

private:
  using clock = caf::actor_clock;

  /// The current step. An answer that arrives after its step is ignored.
  enum class step {
    /// Nothing is to be done, or another replica holds the lease.
    idle,
    /// Reading the number of the last job that was sent to the hooks.
    reading,
    /// Asking for the jobs.
    listing,
    /// Notifying the hooks of a job.
    notifying,
    /// Storing that all hooks were notified.
    storing,
    /// Waiting before the failed step is tried again.
    pausing,
  };

  /// The state of one hook for the current job.
  struct delivery {
    job_hook_actor hook;
    bool done = false;
    aiops::backoff<milliseconds> backoff = {};
    /// When to try again; nothing while an attempt is in flight.
    std::optional<clock::time_point> next_try;
  };

  // -- following the others ----------------------------------------------------

  void subscribe();

  void update(const stored_book& book);

  void handle_lease(const lease_status& lease);

  bool holds_lease() const;

  void tick();

  // -- one step after another --------------------------------------------------

  /// Begins with the next step, if there is one.
  void proceed();

  void read_number();

  /// Continues with the next job, from the book if that has it.
  void choose_next();

  void list_jobs();

  /// Begins with the next job.
  void choose(const job_summaries& newest_first);

  /// The next job to send to the hooks; null when there is none yet.
  const training_job* next_of(const job_summaries& newest_first);

  /// Gets the job with its lists and begins with it.
  void load(const training_job& listed);

  void begin(const training_job& job);

  void store_number(uint64_t number);

  /// Whether there may be a job to send to the hooks.
  bool has_next_job() const;

  // -- notifying ---------------------------------------------------------------

  void attempt(size_t index);

  void failed(size_t index, const caf::error& err);

  void finish_when_all_done();

  // -- steps -------------------------------------------------------------------

  /// Enters a step; answers to earlier steps are ignored from now on.
  uint64_t enter(step next);

  /// Whether an answer to that step is still valid; stops when the lease has
  /// ended.
  bool current(uint64_t generation);

  /// Leaves the step, which has failed, and begins again after a pause.
  void pause(const char* what, const caf::error& err);

  void stop();

  void wake_at(clock::time_point when);

  internal_training_hooks_actor::pointer self_;
  training_jobs_actor jobs_;
  job_store_actor store_;
  lease_actor lease_edge_;
  training_hooks_config cfg_;
  lease_status lease_;
  /// The book as last received.
  training_book book_;
  step step_ = step::idle;
  /// Counts the steps.
  uint64_t generation_ = 0;
  /// The hooks were notified of all jobs up to this number; nothing before it
  /// was read.
  std::optional<uint64_t> notified_;
  /// The next value of `notified_`, until it is stored.
  std::optional<uint64_t> unstored_;
  /// Whether the list of jobs was read since the number was read.
  bool listed_ = false;
  /// Whether the book changed since the list was requested.
  bool changed_ = false;
  training_job job_;
  std::vector<delivery> deliveries_;
  /// When to stop trying to deliver the current job.
  clock::time_point deadline_;
  /// When to subscribe again after a failure.
  std::optional<clock::time_point> next_subscribe_;
  /// When the pause ends, and its length.
  clock::time_point resume_at_;
  backoff<milliseconds> backoff_;
};

internal_training_hooks_actor::behavior_type training_hooks(
  internal_training_hooks_actor::stateful_pointer<training_hooks_state> self,
  training_jobs_actor jobs, job_store_actor store, lease_actor lease,
  std::vector<job_hook_actor> hooks, const training_hooks_config& cfg);

} // namespace aiops
