#pragma once

#include "actors/actors.hpp"
#include "actors/config.hpp"
#include "actors/uuid.hpp"

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
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
  /// See `change_context`.
  training_statistics initial = change_context{}.initial;
  milliseconds outcome_time = change_context{}.outcome_time;
  /// Changes that may wait while one is at work.
  size_t max_waiting = 256;
  /// How often a change is judged again because others were faster.
  int max_tries = 16;
  /// The wall clock.
  std::function<std::chrono::system_clock::time_point()> wall_clock
    = std::chrono::system_clock::now;
  std::function<std::string()> make_id = make_uuid;
};

/// Holds the book of jobs. Any replica may change it: a change is judged by
/// the book that we know, and stored over the revision that this one has; if
/// another replica was faster, the change is judged again by its book.
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
  };

  using change_ptr = std::shared_ptr<pending_change>;

  // -- changes ----------------------------------------------------------------

  caf::result<book_update> change(job_change what);

  /// Starts with the next change unless one is at work.
  void work();

  /// Judges the change at work by the book that we know.
  void judge(const change_ptr& job);

  /// Reads the book, then judges the change by it.
  void judge_afresh(const change_ptr& job);

  /// Sees to it that the job that falls out of the book is in the history.
  void archive_first(const change_ptr& job, training_book next);

  void write(const change_ptr& job, const training_book& next);

  /// A write whose answer got lost: the store knows what became of it.
  void read_back(const change_ptr& job, const training_book& before,
                 const training_book& next, const caf::error& why);

  void succeed(const change_ptr& job, const training_book& before,
               stored_book after);

  void fail(const change_ptr& job, const caf::error& err);

  void finish();

  caf::result<stored_book> forget();

  // -- the book ---------------------------------------------------------------

  caf::result<stored_book> get();

  using on_book = std::function<void(caf::expected<stored_book>)>;

  /// Reads the book from the store.
  void read(on_book then);

  /// Likewise; concurrent callers share one read.
  void read_shared(on_book then);

  /// Begins with what a program before us stored, if there is no book.
  void import_first(stored_book got, on_book then);

  /// The store's book changed, by whomever.
  void handle_update(stored_book got);

  void know(stored_book book);

  change_context context() const;

  // -- what follows a change --------------------------------------------------

  /// Shows the model's status to programs that read buckets.
  void mirror();

  /// Puts the job that has ended into the history.
  void archive();

  // -- the history ------------------------------------------------------------

  using history_reader = std::function<void(const caf::error&)>;

  caf::result<snapshot_ptr<job_summaries>> list();

  caf::result<training_job> find(const std::string& id);

  /// The jobs that are answered, the newest first, from the history and the
  /// book. Both have to be known.
  job_summaries last_jobs() const;

  /// Reads the history unless it is known; concurrent callers share one read.
  void with_history(history_reader then);

  /// Whether each of the last jobs is in the book that we know or in
  /// `history_`.
  bool history_known() const;

  /// Keeps jobs that have ended for good.
  void remember(job_summaries jobs);

  void tick();

  training_jobs_actor::pointer self_;
  job_store_actor store_;
  backend_actor backend_;
  training_jobs_config cfg_;
  std::vector<book_listener_actor> listeners_;

  /// The backend may have had nobody to speak to while we were away, so its
  /// silence does not count before.
  caf::actor_clock::time_point patient_until_;
  /// The book as last seen in the store; nothing before the first time.
  std::optional<stored_book> known_;
  /// What there was before the first job, once we looked.
  std::optional<training_book> imported_;
  /// Our writes so far, and whether one is under way: a read that overlaps
  /// with one may show the book before it.
  uint64_t writes_ = 0;
  bool writing_ = false;
  /// Callers that wait for the read in flight; empty when there is none.
  std::vector<on_book> readers_;

  change_ptr current_;
  std::deque<change_ptr> waiting_;

  /// Id of a job that stands in the history.
  std::string archived_;
  /// What we had the backend's edge store last; nothing while that is another
  /// replica's task.
  std::optional<model_status> mirrored_;
  bool mirroring_ = false;
  /// Called when what we changed last can be seen by all.
  std::vector<std::function<void()>> after_mirror_;
  /// Jobs that left the book, by number. They never change again, whichever
  /// replica stored them, so this needs no renewal: it can only lack jobs.
  std::map<uint64_t, job_summary> history_;
  /// The store has no other jobs up to this number.
  uint64_t complete_up_to_ = 0;
  /// Callers that wait for the history; empty when it is not being read.
  std::vector<history_reader> history_readers_;
  snapshot_ptr<job_summaries> last_list_;
};

training_jobs_actor::behavior_type
training_jobs(training_jobs_actor::stateful_pointer<training_jobs_state> self,
              job_store_actor store, backend_actor backend,
              const training_jobs_config& cfg);

} // namespace aiops
