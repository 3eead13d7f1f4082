#pragma once

#include "actors/actors.hpp"
#include "base/time.hpp"

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace aiops {

struct training_status_config {
  /// Deadline of one request to backend or store; not shorter than their own
  /// deadlines.
  milliseconds request_timeout{5'000};
  /// How long a caller waits for a silent backend before it gets the last known
  /// status, if there is one.
  milliseconds patience{2'000};
  /// Interval at which the backend is asked for its status, and the interval
  /// while it is about to complete a training.
  milliseconds poll_interval{5'000};
  milliseconds completion_interval{500};
  /// The status when nothing is trained; differs by protocol.
  std::string idle_text = std::string{model_text::not_started};
  /// The wall clock.
  std::function<std::chrono::system_clock::time_point()> wall_clock
    = std::chrono::system_clock::now;
};

/// INTERNAL: what TRAINING STATUS sends to itself.
using internal_training_status_actor = training_status_actor::extend<
  // Asks the backend for its status.
  caf::replies_to<tick_atom>::with<void>,
  // Answers the callers whose wait has ended.
  caf::replies_to<check_atom>::with<void>>;

/// Combines the backend's status with the book.
class training_status_state {
public:
  static inline const char* name = "training-status";

  explicit training_status_state(internal_training_status_actor::pointer self)
    : self_(self) {
    // nop
  }

  internal_training_status_actor::behavior_type
  make_behavior(backend_actor backend, training_jobs_actor jobs, bus_actor bus,
                events_actor events, const training_status_config& cfg);

private:
  using answer = snapshot_ptr<model_status>;
  using read_promise = caf::typed_response_promise<answer>;

  struct caller {
    read_promise promise;
    /// When to answer the last known status.
    caf::actor_clock::time_point deadline;
  };

  /// One read in flight.
  struct read {
    /// In order of their deadlines.
    std::deque<caller> callers;
    /// Id of the job in the known book at the time of the request.
    std::string job_id;
    std::optional<backend_report> report;
    std::optional<training_book> book;
  };

  using read_ptr = std::shared_ptr<read>;

  /// A caller that must not get the answer of the read in flight.
  struct waiting_caller : caller {
    /// The last put before this request: the read has to start after the end of
    /// this put and all before it. It does not wait for later puts, because a
    /// steady stream of them would starve the caller.
    uint64_t put;
  };

  // -- what the compatibility API shows ----------------------------------------

  caf::result<answer> get();

  caf::result<void> put(job_progress progress);

  void ended_put(uint64_t put);

  /// Starts a read for the waiting callers, unless one is in flight.
  void start();

  /// Continues when both parts have arrived.
  void progress(const read_ptr& source);

  void show(const read_ptr& source);

  void fail(const read_ptr& source, const caf::error& err);

  /// Answers the callers of the read in flight and starts the next one.
  template <class T>
  void finish(const T& result);

  /// The status from memory; null when nothing is known.
  answer last_known();

  /// Makes a new answer unless it is the last one.
  answer remember(model_status status);

  /// Answers the callers whose deadline has passed, if a status is known.
  void answer_overdue();

  /// Schedules a message for the next deadline of a caller.
  void arm_timer();

  /// Enters the backend's status in the book, if that changes the book; `then`
  /// gets the book after that.
  void observe(const std::string& status, const std::string& job_id,
               const training_book& book,
               std::function<void(const training_book&)> then);

  // -- everything, from memory ------------------------------------------------

  caf::result<snapshot_ptr<training_overview>> overview();

  void update_book(stored_book book);

  void update_bus(const bus_status& status);

  /// Asks the backend now, and again after a while.
  void tick();

  void poll();

  void check();

  void reached();

  void not_reached(const caf::error& err);

  /// Makes a new overview if something changed, and publishes it.
  void refresh();

  std::string known_job() const;

  /// Whether the backend has reported progress so recently that it must be
  /// running.
  bool reported_recently() const;

  change_context context() const;

  internal_training_status_actor::pointer self_;
  backend_actor backend_;
  training_jobs_actor jobs_;
  events_actor events_;
  training_status_config cfg_;

  /// Null when no read is in flight.
  read_ptr current_;
  /// Whether something was stored since the read in flight began: later callers
  /// must not get its answer.
  bool outdated_ = false;
  /// In order of arrival.
  std::deque<waiting_caller> waiting_;
  /// Number of the latest put.
  uint64_t last_put_ = 0;
  std::set<uint64_t> puts_in_flight_;
  correction_log corrections_;
  /// The last answer, returned again while nothing changes, so that its encoded
  /// bytes are kept.
  answer last_;
  /// Whether a message for a caller's deadline is scheduled.
  bool timer_ = false;
  /// The last status of the backend, and the state of the book at that time.
  struct {
    std::optional<std::string> text;
    std::string job_id;
    model_status model;
  } reported_;

  /// Nothing before the book was received.
  std::optional<stored_book> book_;
  report_clock clock_;
  backend_health backend_health_;
  std::string stale_reason_;
  bool polling_ = false;
  caf::actor_clock::time_point next_poll_;
  snapshot_ptr<training_overview> overview_;
};

internal_training_status_actor::behavior_type training_status(
  internal_training_status_actor::stateful_pointer<training_status_state> self,
  backend_actor backend, training_jobs_actor jobs, bus_actor bus,
  events_actor events, const training_status_config& cfg);

} // namespace aiops
