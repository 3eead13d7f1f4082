#pragma once

#include "actors/actors.hpp"
#include "actors/training/job_history.hpp"
#include "actors/training/training_mirror.hpp"
#include "base/time.hpp"
#include "base/uuid.hpp"

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace aiops {

struct training_jobs_config {
  /// How long one question to store or backend may take; at least what these
  /// take themselves before they give up.
  milliseconds request_timeout{5'000};
  /// Without word from the backend for so long, a training has stalled.
  milliseconds stall_after{10 * 60'000};
  /// What is shown when nothing is trained; differs by protocol.
  std::string idle_text = std::string{model_text::not_started};
  /// See `change_context` and `job_silence`.
  training_statistics initial = change_context{}.initial;
  milliseconds outcome_time = job_silence{}.outcome_time;
  /// Changes that may wait while one is at work.
  size_t max_waiting = 256;
  /// How often a change is judged again because others were faster, and the
  /// pause before the first of these times; each is twice as long, up to
  /// `last_backoff`.
  int max_tries = 16;
  milliseconds first_backoff{2};
  milliseconds last_backoff{500};
  /// How often what other programs read is compared with the book.
  milliseconds compare_interval{30'000};
  /// How often watchlists that nothing refers to are looked for.
  milliseconds sweep_interval{300'000};
  /// The wall clock.
  std::function<std::chrono::system_clock::time_point()> wall_clock
    = std::chrono::system_clock::now;
  std::function<std::string()> make_id = make_uuid;
};

/// Holds the book of jobs. Any replica may change it: a change is judged by
/// the book that we know, and stored over the revision that this one has; if
/// another replica was faster, the change is judged again by its book.
///
/// What became of a submission has to be stored: it is kept until it is, and
/// made part of every change before. A submission that its replica cannot
/// settle any more is settled by whichever sees that.
class training_jobs_state {
public:
  static inline const char* name = "training-jobs";

  explicit training_jobs_state(training_jobs_actor::pointer self)
    : self_(self) {
    // nop
  }

  training_jobs_actor::behavior_type
  make_behavior(job_store_actor store, backend_actor backend,
                const training_jobs_config& cfg);

private:
  /// A change at work.
  struct pending_change {
    job_change what;
    caf::typed_response_promise<book_update> promise;
    /// Whether the book is known to have been the store's since the change
    /// came: only then it may be refused.
    bool fresh = false;
    int tries = 0;
    milliseconds backoff{0};
    /// Why a write failed that may have been stored all the same, and the time
    /// that the training had taken in the book before it.
    caf::error uncertain;
    int64_t elapsed = 0;
  };

  using change_ptr = std::shared_ptr<pending_change>;
  using on_done = std::function<void(const caf::error&)>;

  // -- changes ----------------------------------------------------------------

  caf::result<book_update> change(job_change what);

  /// Starts with the next change unless one is at work.
  void work();

  /// Judges the change at work by a book of the store.
  void judge(const change_ptr& job, const stored_book& base);

  /// The book after the outcomes that were not stored yet, then the change.
  caf::expected<training_book> apply(const training_book& base,
                                     const job_change& what) const;

  /// Whether the change is a report that may be stored already, and the book
  /// shows the reports of a training that has begun since.
  static bool outrun(const pending_change& job, const training_book& base);

  /// Stores an older book than the one we know once more: if the store takes
  /// it, that is all that is left, and the change is judged by it.
  void touch(const change_ptr& job, const stored_book& base);

  /// Reads the book, then judges the change by it.
  void judge_afresh(const change_ptr& job);

  /// Likewise after a pause, because others were faster.
  void judge_later(const change_ptr& job);

  /// Sees to it that the jobs that wait for it are in the history.
  void archive_first(const change_ptr& job, const stored_book& base);

  void write(const change_ptr& job, const stored_book& base,
             const training_book& next);

  void succeed(const change_ptr& job, const training_book& before,
               stored_book after, milliseconds late = milliseconds{0});

  void fail(const change_ptr& job, const caf::error& err);

  /// Keeps an outcome that could not be stored.
  void owe(const job_change& what);

  void find_nothing_to_do(const change_ptr& job, const stored_book& base);

  /// Stores outcomes that could not be stored before.
  void settle_debts();

  void finish();

  caf::result<stored_book> forget();

  // -- the book ---------------------------------------------------------------

  caf::result<stored_book> get();

  using on_book = std::function<void(const caf::expected<stored_book>&)>;

  /// Reads the book from the store.
  void read(on_book then);

  /// Likewise; concurrent callers share one read.
  void read_shared(on_book then);

  /// What was read, unless we know something newer: what we saw does not go
  /// back.
  caf::expected<stored_book>
  latest(const caf::expected<stored_book>& got) const;

  /// Begins with what a program before us stored, if there is no book.
  void import_first(stored_book got, on_book then);

  /// The store's book changed, by whomever.
  void handle_update(stored_book got);

  /// Takes over what the store shows, unless it is older than what we know.
  void learn(stored_book got);

  /// @param late How long ago it may have come to be.
  void know(stored_book book, milliseconds late = milliseconds{0});

  change_context context() const;

  // -- what follows a change --------------------------------------------------

  /// Puts the jobs that have left the book into the history.
  void archive();

  void note_archived(const std::string& id);

  bool archived(const std::string& id) const;

  /// Removes watchlists that nothing refers to.
  void sweep();

  void remove_unused(const std::vector<std::string>& ids);

  // -- the history ------------------------------------------------------------

  caf::result<snapshot_ptr<job_summaries>> list();

  caf::result<training_job> find(const std::string& id);

  /// Reads the history unless it is known; concurrent callers share one read.
  void with_history(on_done then);

  void tick();

  training_jobs_actor::pointer self_;
  job_store_actor store_;
  backend_actor backend_;
  training_jobs_config cfg_;
  std::vector<book_listener_actor> listeners_;

  /// The book as last seen in the store; nothing before the first time.
  std::optional<stored_book> known_;
  /// When we saw what in it.
  word_clock clock_;
  /// How late that was, and the last revision of which we know.
  lateness lateness_;
  uint64_t measured_ = 0;
  /// The highest number that we saw, in whichever book.
  uint64_t last_number_ = 0;
  /// What there was before the first job, once we looked.
  std::optional<training_book> imported_;
  /// Callers that wait for the read in flight; empty when there is none.
  std::vector<on_book> readers_;

  change_ptr current_;
  std::deque<change_ptr> waiting_;
  /// What became of submissions, as far as it is not in the store; bounded.
  std::vector<job_change> debts_;

  training_mirror mirror_;
  caf::actor_clock::time_point next_compare_;
  /// Ids of jobs that stand in the history, the latest last.
  std::deque<std::string> archived_;
  bool archiving_ = false;
  job_history history_;
  /// Callers that wait for the history; empty when it is not being read.
  std::vector<on_done> history_readers_;
  caf::actor_clock::time_point next_sweep_;
  /// Watchlists that nothing referred to the last time.
  std::set<std::string> unused_;
  snapshot_ptr<job_summaries> last_list_;
};

training_jobs_actor::behavior_type
training_jobs(training_jobs_actor::stateful_pointer<training_jobs_state> self,
              job_store_actor store, backend_actor backend,
              const training_jobs_config& cfg);

} // namespace aiops
