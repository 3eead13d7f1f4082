#pragma once

#include "actors/actors.hpp"
#include "actors/training/job_history.hpp"
#include "actors/training/training_mirror.hpp"
#include "base/backoff.hpp"
#include "base/subscribers.hpp"
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
  /// Deadline of one request to store or backend; not shorter than their own
  /// deadlines.
  milliseconds request_timeout{5'000};
  /// A training that has not reported for this long has stalled.
  milliseconds stall_after{10 * 60'000};
  /// The status when nothing is trained; differs by protocol.
  std::string idle_text = std::string{model_text::not_started};
  /// See `change_context` and `job_silence`.
  training_statistics initial = change_context{}.initial;
  milliseconds outcome_time = job_silence{}.outcome_time;
  /// Maximum number of changes that wait while one is processed.
  size_t max_waiting = 256;
  /// How many times a change is judged again after conflicts, and the pause
  /// before the first time; doubles up to `last_backoff`.
  int max_tries = 16;
  milliseconds first_backoff{2};
  milliseconds last_backoff{500};
  /// Interval at which the mirror is compared with the book.
  milliseconds compare_interval{30'000};
  /// Interval at which unused watchlists are removed.
  milliseconds sweep_interval{300'000};
  /// The wall clock.
  std::function<std::chrono::system_clock::time_point()> wall_clock
    = std::chrono::system_clock::now;
  std::function<std::string()> make_id = make_uuid;
};

/// Keeps the book. Any replica may change it: a change is judged by the known
/// book and stored by a conditional write over its revision; after a conflict,
/// the change is judged again by the newer book.
///
/// The outcome of a submission must be stored. If that fails, it is kept and
/// stored with the next change. A submission that its own replica cannot settle
/// any more is settled by another replica.
class training_jobs_state {
public:
  static inline const char* name = "training-jobs";

  explicit training_jobs_state(internal_training_jobs_actor::pointer self)
    : self_(self) {
    // nop
  }

  internal_training_jobs_actor::behavior_type
  make_behavior(job_store_actor store, backend_actor backend,
                const training_jobs_config& cfg);

private:
  /// A change that waits or is processed.
  struct pending_change {
    job_change what;
    caf::typed_response_promise<book_update> promise;
    /// Whether the book was read from the store since the change arrived: only
    /// then the change may be refused.
    bool fresh = false;
    int tries = 0;
    aiops::backoff<milliseconds> backoff = {};
    /// Why a write of it failed that may have been stored nevertheless, and the
    /// elapsed time of the training in the book before it.
    caf::error uncertain = {};
    int64_t elapsed = 0;
  };

  using change_ptr = std::shared_ptr<pending_change>;
  using on_done = std::function<void(const caf::error&)>;

  // -- changes ----------------------------------------------------------------

  caf::result<book_update> change(job_change what);

  /// Starts with the next change unless one is being processed.
  void work();

  /// Judges the current change by a stored book.
  void judge(const change_ptr& change, const stored_book& base);

  /// The book after the outcomes that are not stored yet and after the change.
  caf::expected<training_book> apply(const training_book& base,
                                     const job_change& what) const;

  /// Whether the change is a report that may already be stored, and the book
  /// has the reports of a training that has begun since.
  static bool overtaken(const pending_change& change,
                        const training_book& base);

  /// Writes a book that is older than the known one again. If the store accepts
  /// it, it has lost the newer one, and the change is judged by the older one.
  void touch(const change_ptr& change, const stored_book& base);

  /// Reads the book, then judges the change by it.
  void judge_by_fresh_book(const change_ptr& change);

  /// The same after a pause, because of a conflict.
  void judge_later(const change_ptr& change);

  /// Adds the next leaving job to the history, then judges the change.
  void archive_first(const change_ptr& change, const stored_book& base);

  void write(const change_ptr& change, const stored_book& base,
             const training_book& next);

  void succeed(const change_ptr& change, const training_book& before,
               stored_book after, milliseconds late = milliseconds{0});

  void fail(const change_ptr& change, const caf::error& err);

  /// Keeps an outcome that could not be stored.
  void keep_outcome(const job_change& what);

  void find_nothing_to_do(const change_ptr& change, const stored_book& base);

  /// Stores outcomes that could not be stored before.
  void store_outcomes();

  void finish();

  caf::result<stored_book> forget();

  // -- the book ---------------------------------------------------------------

  caf::result<stored_book> get();

  using on_book = std::function<void(const caf::expected<stored_book>&)>;

  /// Reads the book from the store.
  void read(on_book then);

  /// The same; concurrent callers share one read.
  void read_shared(on_book then);

  /// The book that was read, or the known one if that is newer.
  caf::expected<stored_book>
  latest(const caf::expected<stored_book>& got) const;

  /// Begins with the values of an earlier program, if there is no book.
  void import_first(stored_book got, on_book then);

  /// This or another replica changed the book in the store.
  void handle_update(stored_book got);

  /// Takes over the book of the store, unless it is older than the known one.
  void learn(stored_book got);

  /// @param late How long ago it may have been stored.
  void know(stored_book book, milliseconds late = milliseconds{0});

  change_context context() const;

  // -- what follows a change --------------------------------------------------

  /// Adds the jobs that leave the book to the history.
  void archive();

  void note_archived(const std::string& id);

  bool archived(const std::string& id) const;

  /// Removes watchlists that nothing refers to.
  void sweep();

  void remove_unused(const std::vector<std::string>& ids);

  // -- the history ------------------------------------------------------------

  caf::result<snapshot_ptr<job_summaries>> list();

  caf::result<training_job> find(const std::string& id);

  /// Reads the history unless it is in memory; concurrent callers share one
  /// read.
  void with_history(on_done then);

  void tick();

  internal_training_jobs_actor::pointer self_;
  job_store_actor store_;
  backend_actor backend_;
  training_jobs_config cfg_;
  subscribers<book_listener_actor> listeners_;

  /// The latest book of the store; nothing before the first read.
  std::optional<stored_book> known_;
  /// When this replica saw which change.
  report_clock clock_;
  /// Measures how late this replica sees changes, up to this revision.
  lateness lateness_;
  uint64_t measured_ = 0;
  /// The highest number in all books that this replica saw.
  uint64_t last_number_ = 0;
  /// The book for a store without one; nothing before it is known.
  std::optional<training_book> imported_;
  /// Callers that wait for the read in flight; empty when there is none.
  std::vector<on_book> readers_;

  change_ptr current_;
  std::deque<change_ptr> waiting_;
  /// Outcomes of submissions that are not stored yet; bounded.
  std::vector<job_change> unstored_outcomes_;

  training_mirror mirror_;
  caf::actor_clock::time_point next_compare_;
  /// Ids of jobs in the history, the latest last.
  std::deque<std::string> archived_;
  bool archiving_ = false;
  job_history history_;
  /// Callers that wait for the history; empty when it is not being read.
  std::vector<on_done> history_readers_;
  caf::actor_clock::time_point next_sweep_;
  /// Watchlists that were unused at the last sweep.
  std::set<std::string> unused_;
  snapshot_ptr<job_summaries> last_list_;
};

internal_training_jobs_actor::behavior_type training_jobs(
  internal_training_jobs_actor::stateful_pointer<training_jobs_state> self,
  job_store_actor store, backend_actor backend,
  const training_jobs_config& cfg);

} // namespace aiops
