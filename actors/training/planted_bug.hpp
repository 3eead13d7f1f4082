#pragma once

#include <chrono>
#include <string>
#include <string_view>

/// @file
/// Bugs that the simulation plants to show that it would find them
/// (`scripts/simulate --planted`). In every other build `planted` is a constant
/// `false`, so that nothing of this is left in the program.

namespace aiops {

enum class planted_bug {
  none,

  // -- numbered bugs, which an early review found ------------------------------

  /// 1: the outcome of a submission is written once, and the caller is answered
  /// even if that failed.
  outcome_written_once,
  /// 1: the backend's status completes a job that has no answer.
  observation_completes_unanswered,
  /// 2: kv: when the backend does not answer, the parameters that the gateway
  /// stored itself are taken for the backend's acceptance.
  own_echo_is_acceptance,
  /// 3: kv: DELETE removes the parameters of any job.
  unfenced_removal,
  /// 4: progress of another training overrides a certain rejection.
  guess_beats_rejection,
  /// 5: a rejection also undoes the progress of the running training since the
  /// submission.
  undo_takes_progress,
  /// 6: the action is judged by a watchlist that may be out of date when the
  /// job is entered.
  stale_comparison,
  /// 7: a job does not know that an older training may still report.
  stale_progress_not_inherited,
  /// 8: an update replaces the running training.
  update_replaces_training,
  /// 9: the mirror is not compared with the book at the start.
  mirror_not_compared_at_start,
  /// 10: a text from outside is entered in the book at full length, so that
  /// there may be no room for later changes.
  text_not_cut,
  /// 11: the age of a job is the difference of the wall clocks of two replicas.
  age_by_wall_clock,
  /// 12: after a book was lost or is unreadable, numbers begin with 1 again.
  numbers_not_recovered,

  // -- the path of a write to the store ----------------------------------------

  /// Writes name no expected revision.
  write_without_revision,
  /// The conflict of nats-server 2.11 (10164) counts as a refusal.
  race_code_is_refusal,
  /// A submission that timed out is taken for refused.
  timeout_is_not_done,
  /// A write that is tried again does not recognise its own value.
  retry_without_identity,
  /// After a failure of the storage, a write is taken for not done.
  storage_failure_is_certain,
  /// The store still takes a removed bucket for present.
  bucket_cache_kept,

  // -- the knowledge of a replica ----------------------------------------------

  /// Keys are not read again after a new connection.
  no_reread_after_reconnect,
  /// An older revision of the book replaces a newer one.
  older_revision_accepted,
  /// The lease of another replica is measured by wall clocks.
  lease_by_wall_clock,
  /// The lease is renewed over any value.
  lease_without_revision,
  /// The check for silence is not repeated.
  stall_timer_not_rearmed,

  // -- submissions and progress -------------------------------------------------

  /// The job is entered in the book only when the backend has answered.
  book_after_backend,
  /// Progress is entered for the current job, whatever job it names.
  progress_without_job_id,
  /// A report that cannot be stored is never answered.
  promise_dropped,
  /// A notification is stored as done before the hooks are called.
  notified_before_hook,

  count,
};

/// Its name on the command line.
constexpr std::string_view to_string(planted_bug bug) {
  constexpr std::string_view names[] = {
    "none",
    "outcome_written_once",
    "observation_completes_unanswered",
    "own_echo_is_acceptance",
    "unfenced_removal",
    "guess_beats_rejection",
    "undo_takes_progress",
    "stale_comparison",
    "stale_progress_not_inherited",
    "update_replaces_training",
    "mirror_not_compared_at_start",
    "text_not_cut",
    "age_by_wall_clock",
    "numbers_not_recovered",
    "write_without_revision",
    "race_code_is_refusal",
    "timeout_is_not_done",
    "retry_without_identity",
    "storage_failure_is_certain",
    "bucket_cache_kept",
    "no_reread_after_reconnect",
    "older_revision_accepted",
    "lease_by_wall_clock",
    "lease_without_revision",
    "stall_timer_not_rearmed",
    "book_after_backend",
    "progress_without_job_id",
    "promise_dropped",
    "notified_before_hook",
  };
  static_assert(sizeof(names) / sizeof(names[0])
                == static_cast<size_t>(planted_bug::count));
  return names[static_cast<size_t>(bug)];
}

#ifdef AIOPS_SIMULATION

/// The bug of this run.
inline planted_bug current_planted_bug = planted_bug::none;

inline bool planted(planted_bug bug) {
  return current_planted_bug == bug;
}

/// Receives the description of a broken invariant; a debug build ends there.
inline void (*simulated_invariant_check)(const std::string&) = nullptr;

/// How far the wall clock of the owner of a lease is ahead.
inline std::chrono::milliseconds (*simulated_clock_offset)(const std::string&)
  = nullptr;

inline std::chrono::milliseconds
planted_clock_offset(const std::string& owner) {
  return planted(planted_bug::lease_by_wall_clock) && simulated_clock_offset
           ? simulated_clock_offset(owner)
           : std::chrono::milliseconds{0};
}

#else

constexpr bool planted(planted_bug) {
  return false;
}

inline std::chrono::milliseconds planted_clock_offset(const std::string&) {
  return std::chrono::milliseconds{0};
}

#endif

} // namespace aiops
