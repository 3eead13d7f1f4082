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
  /// How long one question to backend or store may take; at least what these
  /// take themselves before they give up.
  milliseconds request_timeout{5'000};
  /// How long a caller waits for a silent backend if there is a status known
  /// to answer instead.
  milliseconds patience{2'000};
  /// How often the backend is asked how it is, and how often while it is
  /// about to complete a training.
  milliseconds poll_interval{5'000};
  milliseconds completion_interval{500};
  /// What is shown when nothing is trained; differs by protocol.
  std::string idle_text = std::string{model_text::not_started};
  /// The wall clock.
  std::function<std::chrono::system_clock::time_point()> wall_clock
    = std::chrono::system_clock::now;
};

/// Puts together what the backend says and what is in the book.
class training_status_state {
public:
  static inline const char* name = "training-status";

  explicit training_status_state(training_status_actor::pointer self)
    : self_(self) {
    // nop
  }

  training_status_actor::behavior_type
  make_behavior(backend_actor backend, training_jobs_actor jobs, bus_actor bus,
                events_actor events, const training_status_config& cfg);

private:
  using answer = snapshot_ptr<model_status>;
  using read_promise = caf::typed_response_promise<answer>;

  struct caller {
    read_promise promise;
    /// When to answer what is known.
    caf::actor_clock::time_point deadline;
  };

  /// One read in flight.
  struct read {
    /// In order of their deadlines.
    std::deque<caller> callers;
    /// Id of the job that we knew when we asked.
    std::string job_id;
    std::optional<backend_report> report;
    std::optional<training_book> book;
  };

  using read_ptr = std::shared_ptr<read>;

  /// Whoever must not get the answer of the read in flight.
  struct waiting_caller : caller {
    /// The last put before the question: the read has to start after the end
    /// of this one and all before it. Later ones do not matter, or a steady
    /// stream of them would starve the caller.
    uint64_t put;
  };

  // -- what the compatibility surface shows -----------------------------------

  caf::result<answer> get();

  caf::result<void> put(job_progress progress);

  void ended_put(uint64_t put);

  /// Starts a read for those that wait, unless there is one in flight.
  void start();

  /// Goes on once both parts are there.
  void progress(const read_ptr& source);

  void show(const read_ptr& source);

  void fail(const read_ptr& source, const caf::error& err);

  /// Answers the callers of the read in flight and starts the next one.
  template <class T>
  void finish(const T& result);

  /// The status as known without asking; null when nothing is known.
  answer last_known();

  /// Makes a new answer unless it is the last one.
  answer remember(model_status status);

  /// Answers the callers that have waited long enough, if a status is known.
  void answer_impatient();

  /// Wakes us up at the next deadline of a caller.
  void arm_timer();

  /// Enters in the book what the backend tells, if that says something new;
  /// `then` gets the book after that.
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

  /// Makes a new overview of what changed, and tells the hub.
  void refresh();

  std::string known_job() const;

  /// Whether the backend was heard of so lately that it has to be there.
  bool heard_of() const;

  change_context context() const;

  training_status_actor::pointer self_;
  backend_actor backend_;
  training_jobs_actor jobs_;
  events_actor events_;
  training_status_config cfg_;

  /// Null when no read is in flight.
  read_ptr current_;
  /// Whether something was stored since the read in flight began: whoever
  /// asks now must not get its answer.
  bool outdated_ = false;
  /// In order of arrival.
  std::deque<waiting_caller> waiting_;
  /// Puts are numbered as they come.
  uint64_t last_put_ = 0;
  std::set<uint64_t> puts_in_flight_;
  correction_log corrections_;
  /// The last answer, handed out again while nothing changes so that its
  /// bytes stay.
  answer last_;
  /// Whether we will be woken up for a caller's deadline.
  bool timer_ = false;
  /// What the backend answered last, and what the book said then.
  struct {
    std::optional<std::string> text;
    std::string job_id;
    model_status model;
  } told_;

  /// Nothing before the book was read once.
  std::optional<stored_book> book_;
  word_clock clock_;
  backend_health backend_health_;
  std::string stale_reason_;
  bool polling_ = false;
  caf::actor_clock::time_point next_poll_;
  snapshot_ptr<training_overview> overview_;
};

training_status_actor::behavior_type training_status(
  training_status_actor::stateful_pointer<training_status_state> self,
  backend_actor backend, training_jobs_actor jobs, bus_actor bus,
  events_actor events, const training_status_config& cfg);

} // namespace aiops
