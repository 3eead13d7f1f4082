#pragma once

#include "tests/simulation/backend_model.hpp"
#include "tests/simulation/book_view.hpp"
#include "tests/simulation/replica.hpp"

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace aiops::simulation {

/// An invariant that did not hold, and the details.
struct violation {
  std::string invariant;
  std::string detail;
};

/// Parts of the names of invariants that are not checked (`--ignore`).
extern std::vector<std::string> ignored_invariants;

/// The answer to a POST.
struct post_answer {
  size_t replica = 0;
  time_point asked;
  training_result result;
  /// `none` for a 200 or a 409.
  ec code = ec::none;
};

/// Records what really happened, and compares it with what the gateways store,
/// answer and send to hooks.
///
/// Progress without a job id is ambiguous. The rule: a report may be entered
/// for another job than the one whose training sent it only if it names no job
/// and its `timeElapsed` is not more than that job's age plus `start_tolerance`
/// (backends begin to count at different moments). The same holds for the end
/// of a training without statistics, which has no `timeElapsed` at all.
class ledger : public backend_observer, public gateway_observer {
public:
  static constexpr seconds start_tolerance{31};

  /// The longest time that a write may take (`fault::write_late`).
  static constexpr seconds longest_write{9};

  ledger(timeline& time, faults& what, jetstream_model& store,
         const setup& config);

  /// Called with the first violation.
  std::function<void(violation)> on_violation;

  /// Called with each line for the printed history, if it was requested.
  std::function<void(std::string)> note;

  void set_backend(const backend_model& backend) {
    backend_ = &backend;
  }

  // -- events --------------------------------------------------------------------

  void on_received(const std::string& job, effect what,
                   bool by_request) override;

  void on_answered(const std::string& job, bool good) override;

  void on_report_answered(const true_training& which, const sent_report& report,
                          ec code) override;

  void on_submission(size_t replica, const backend_submission& what) override;

  void on_hook(size_t replica, const training_job& job) override;

  void on_lease(size_t replica, const lease_status& lease) override;

  void on_book_shown(size_t replica, const stored_book& book) override;

  /// A replica made or saw a book that breaks an invariant of
  /// `actors/training_invariants.hpp`.
  void on_broken_book(const std::string& broken);

  void on_stored(const jetstream_model::change& x);

  void on_went_back(time_point since);

  void on_bucket_removed(const std::string& bucket);

  /// An operator removed the book, or made it unreadable.
  /// @param replicas Number of replicas.
  void on_book_lost(size_t replicas);

  void on_crash(size_t replica);

  void on_post_answered(const post_answer& x);

  void on_status_shown(const model_status& x);

  void on_late_answer(const std::string& request, milliseconds after);

  /// The job whose list a replica has sent last.
  std::string job_of(size_t replica, const std::string& payload) const;

  // -- invariants after the faults have stopped -----------------------------------

  /// Why the training has not settled yet; empty when it has.
  std::string unrest() const;

  /// How the values that other programs read differ from the book; or empty.
  std::string mirror_difference() const;

  /// "waiting" while a submission is not settled and its deadline has not
  /// passed: `limit` after its entry or after `since`. Any other text means
  /// that the deadline has passed.
  std::string overdue(time_point since, caf::timespan limit) const;

  void check_outcomes();

  /// A completed training for which no hook was notified.
  std::string missing_hook() const;

  /// Whether something else ended this job: a DELETE, a later submission, the
  /// end of another training that named no job, or a write from before a loss.
  bool disturbed(const std::string& id) const;

  /// Whether a write from before a loss took any job out of the book.
  bool undone() const {
    return !undone_.empty();
  }

  /// Running replicas that knew what the store has lost.
  const std::set<size_t>& witnesses() const {
    return witnesses_;
  }

  /// Whether the store, or an operator, lost anything that gateways knew.
  bool lost() const {
    return lost_at_ != time_point{};
  }

  /// Whether a replica sent this job to the backend.
  bool submitted(const std::string& id) const;

  void fail(std::string invariant, std::string detail);

private:
  struct receipt {
    effect what = effect::none;
    time_point at;
    bool by_request = true;
  };

  struct true_job {
    size_t replica = 0;
    workload_list workloads;
    time_point sent;
    std::vector<receipt> receipts;
    bool answered_good = false;
    /// Whether a client received 200.
    bool confirmed = false;
    /// When the book first had it, and first had it as accepted.
    std::optional<time_point> entered;
    std::optional<time_point> accepted_in_book;
    /// Whether the book took it for one that the backend may have.
    bool doubted = false;
    /// The last version in the book or history.
    std::optional<job_state> state;
    uint64_t number = 0;
    training_action action = training_action::train;
    std::string reason;
    /// The epochs that it has shown, in order.
    std::vector<int64_t> epochs;
    /// When the book received new information of it from the backend, in order.
    /// The store may lose the last ones.
    std::vector<time_point> heard;
  };

  /// Notes the jobs that a write from before a loss takes out of the book. The
  /// book that it replaces must still be known, and when the store lost it.
  void check_undone(const book_view& next);

  void check_book(const book_view& next);

  /// The store accepts a book over a newer one that has the revision of a lost
  /// book, if the change was compared with the lost one. This is another loss.
  void check_reused_revision(const book_view& next);

  /// For kv: the parameters of a valid submission are not removed.
  void check_parameters(const jetstream_model::change& x);

  void check_job(const job_view& x, const book_view& book);

  void check_number(const job_view& x);

  void check_transition(const job_view& x, true_job& known,
                        const book_view& book);

  void check_completion(const std::string& id, const std::string& where);

  /// Whether the last training of the watchlist runs or has completed.
  bool trained_well(const book_view& book) const;

  /// Whether the last report that it shows names no job.
  bool told_without_name(const true_job& x) const;

  /// Whether the backend began a training of its own, or ended another training
  /// without naming it, while a job waited whose submission was not refused, or
  /// sent a report without an id while no gateway had an answer. A gateway
  /// cannot know whether this is about that job.
  bool seems_trained(const true_job& x) const;

  /// Whether the reports of the backend can mean that the training of a job
  /// that it accepted has completed.
  bool may_have_completed(const std::string& id) const;

  void check_progress(const job_view& x, true_job& known);

  void check_action(const job_view& x, const book_view& before);

  bool accepted(const std::string& id) const;

  /// Whether a submission was refused for a conflict although only its own
  /// watchlist was stored meanwhile.
  bool conflicts_with_itself(const post_answer& x) const;

  /// Whether the book shows later progress of what may be the same training.
  bool is_outdated(const true_training& which, const sent_report& report) const;

  /// Whether nothing has ended or replaced a training, in reality or in the
  /// book, so that its reports must be accepted and shown.
  bool is_healthy(const true_training& which) const;

  true_job& job(const std::string& id) {
    return jobs_[id];
  }

  std::string name_of(const std::string& id) const;

  timeline& time_;
  faults& faults_;
  jetstream_model& store_;
  const setup& config_;
  const backend_model* backend_ = nullptr;
  std::map<std::string, true_job> jobs_;
  /// The lists that each replica has sent, the latest last.
  std::map<size_t, std::vector<std::pair<std::string, std::string>>> sent_;
  /// Jobs by number, and when the number was first used.
  std::map<uint64_t, std::pair<std::string, time_point>> numbers_;
  std::optional<book_view> book_;
  /// When which book was written, and the writes that the store lost.
  std::map<std::string, time_point> book_writes_;
  std::set<std::string> lost_writes_;
  std::set<int64_t> stored_epochs_;
  /// Jobs that a write from before a loss took out of the book.
  std::set<std::string> undone_;
  /// Jobs in the history.
  std::set<std::string> archived_;
  /// The job of the parameters in the store.
  std::string parameters_job_;
  /// The time of each write of the parameters, and its job; empty when they
  /// were removed.
  std::vector<std::pair<time_point, std::string>> parameter_writes_;
  /// The state, and the number of the job.
  std::map<std::string, std::pair<job_state, uint64_t>> notified_;
  std::map<size_t, lease_status> leases_;
  /// What each replica knows of the book.
  struct shown_book {
    uint64_t revision = 0;
    uint64_t number = 0;
  };

  std::map<size_t, shown_book> shown_;
  /// Replicas that knew what the store has lost.
  std::set<size_t> witnesses_;
  uint64_t last_archived_ = 0;
  bool store_lost_ = false;
  /// When that was last.
  time_point lost_at_{};
  bool failed_ = false;
};

} // namespace aiops::simulation
