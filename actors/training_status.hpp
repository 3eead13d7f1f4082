#pragma once

#include "actors/actors.hpp"
#include "actors/config.hpp"

#include <cstdint>
#include <deque>
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
};

/// Puts together what the backend says and what is stored.
class training_status_state {
public:
  static inline const char* name = "training-status";

  explicit training_status_state(training_status_actor::pointer self)
    : self_(self) {
    // nop
  }

  training_status_actor::behavior_type
  make_behavior(backend_actor backend, store_actor store,
                const training_status_config& cfg);

private:
  using answer = snapshot_ptr<model_status>;
  using read_promise = caf::typed_response_promise<answer>;

  /// One read in flight.
  struct read {
    std::vector<read_promise> callers;
    std::optional<std::string> status;
    std::optional<training_statistics> statistics;
  };

  using read_ptr = std::shared_ptr<read>;

  /// Whoever must not get the answer of the read in flight.
  struct waiting_caller {
    read_promise caller;
    /// The last put before the question: the read has to start after the end
    /// of this one and all before it. Later ones do not matter, or a steady
    /// stream of them would starve the caller.
    uint64_t put;
  };

  caf::result<answer> get();

  caf::result<void> put(const model_status_update& update);

  /// Has the store put something.
  template <class... Ts>
  caf::result<void> write(const Ts&... xs);

  void ended(uint64_t put);

  /// Starts a read for those that wait, unless there is one in flight.
  void start();

  /// Answers once both parts are there.
  void progress(const read_ptr& source);

  void fail(const read_ptr& source, const caf::error& err);

  /// Answers the callers of the read in flight and starts the next one.
  template <class T>
  void finish(const T& result);

  training_status_actor::pointer self_;
  backend_actor backend_;
  store_actor store_;
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
  /// The last answer, handed out again while nothing changes so that its
  /// bytes stay.
  answer last_;
};

training_status_actor::behavior_type training_status(
  training_status_actor::stateful_pointer<training_status_state> self,
  backend_actor backend, store_actor store, const training_status_config& cfg);

} // namespace aiops
