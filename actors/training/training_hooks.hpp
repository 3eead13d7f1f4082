#pragma once

#include "actors/actors.hpp"
#include "base/backoff.hpp"
#include "base/time.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace aiops {

struct training_hooks_config {
  /// How long one try of a hook may take, and a question to the others.
  milliseconds request_timeout{5'000};
  /// The pause after a try that failed: at first, and at most. It doubles.
  milliseconds first_backoff{1'000};
  milliseconds last_backoff{60'000};
  /// How long to try with one hook and one job.
  milliseconds give_up{60 * 60'000};
};

/// Tells all hooks of every training that has ended, one job after another in
/// the order of their numbers. Remembers in the store how far it is, and only
/// after all hooks took the job or were given up: so whoever goes on, after a
/// restart or with the lease of another, tells of a job once more rather than
/// never.
class training_hooks_state {
public:
  static inline const char* name = "training-hooks";

  explicit training_hooks_state(training_hooks_actor::pointer self)
    : self_(self) {
    // nop
  }

  training_hooks_actor::behavior_type
  make_behavior(training_jobs_actor jobs, job_store_actor store,
                lease_actor lease, std::vector<job_hook_actor> hooks,
                const training_hooks_config& cfg);

private:
  using clock = caf::actor_clock;

  /// What we are at. Whatever it is, an answer that comes later is ignored.
  enum class step {
    /// Nothing is to be done, or the lease is another's.
    idle,
    /// Reading how far the world was told.
    reading,
    /// Asking for the jobs.
    listing,
    /// Telling the hooks of a job.
    telling,
    /// Storing that all of them were told.
    storing,
    /// Waiting to try again what failed.
    pausing,
  };

  /// How far one hook is with the job at work.
  struct delivery {
    job_hook_actor hook;
    bool done = false;
    aiops::backoff<milliseconds> backoff = {};
    /// When to try again; nothing while a try is under way.
    std::optional<clock::time_point> next_try;
  };

  // -- following the others ----------------------------------------------------

  void subscribe();

  void update(const stored_book& book);

  void handle_lease(const lease_status& lease);

  bool holds_lease() const;

  void tick();

  // -- one step after another --------------------------------------------------

  /// Begins with whatever is to be done next.
  void proceed();

  void read_number();

  /// Goes on with the next job, from the book if that has it.
  void choose_next();

  void list_jobs();

  /// Begins with the next job.
  void choose(const job_summaries& newest_first);

  /// The next job to tell of; null when there is none yet.
  const training_job* next_of(const job_summaries& newest_first);

  /// Gets the job with its lists and begins with it.
  void load(const training_job& listed);

  void begin(const training_job& job);

  void store_number(uint64_t number);

  /// Whether the book has a job that the world may have to be told of.
  bool something_to_tell() const;

  // -- telling -----------------------------------------------------------------

  void attempt(size_t index);

  void failed(size_t index, const caf::error& err);

  void finish_when_all_done();

  // -- steps -------------------------------------------------------------------

  /// Enters a step, which makes all answers to earlier ones void.
  uint64_t enter(step next);

  /// Whether an answer to that step counts; stops when the lease is over.
  bool current(uint64_t generation);

  /// Leaves the step that failed and begins again after a pause.
  void pause(const char* what, const caf::error& err);

  void stop();

  void wake_at(clock::time_point when);

  training_hooks_actor::pointer self_;
  training_jobs_actor jobs_;
  job_store_actor store_;
  lease_actor lease_edge_;
  training_hooks_config cfg_;
  lease_status lease_;
  /// The book as last heard of.
  training_book book_;
  step step_ = step::idle;
  /// Counts the steps.
  uint64_t generation_ = 0;
  /// All jobs up to this number are done with; nothing before it was read.
  std::optional<uint64_t> told_;
  /// The next such number, while it is not stored.
  std::optional<uint64_t> unstored_;
  /// Whether the list of jobs was looked at since the number was read.
  bool looked_ = false;
  /// Whether the book changed since the list was asked for.
  bool changed_ = false;
  training_job job_;
  std::vector<delivery> deliveries_;
  /// When to give up on the job at work.
  clock::time_point deadline_;
  /// When to subscribe again, after it failed.
  std::optional<clock::time_point> next_subscribe_;
  /// When a pause is over, and how long the last one was.
  clock::time_point resume_at_;
  backoff<milliseconds> backoff_;
};

training_hooks_actor::behavior_type training_hooks(
  training_hooks_actor::stateful_pointer<training_hooks_state> self,
  training_jobs_actor jobs, job_store_actor store, lease_actor lease,
  std::vector<job_hook_actor> hooks, const training_hooks_config& cfg);

} // namespace aiops
