#pragma once

#include "actors/actors.hpp"
#include "actors/config.hpp"

#include <memory>
#include <optional>
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
  using promises = std::vector<caf::typed_response_promise<answer>>;

  /// One read in flight.
  struct read {
    std::optional<std::string> status;
    std::optional<training_statistics> statistics;
  };

  using read_ptr = std::shared_ptr<read>;

  caf::result<answer> get();

  caf::result<void> put(const training_statistics& statistics);

  caf::result<void> put(const model_status_update& update);

  void start();

  /// Answers once both parts are there.
  void progress(const read_ptr& source);

  void fail(const read_ptr& source, const caf::error& err);

  /// Ends the read in flight and starts the one that callers wait for.
  promises finish();

  training_status_actor::pointer self_;
  backend_actor backend_;
  store_actor store_;
  training_status_config cfg_;
  /// Null when no read is in flight.
  read_ptr current_;
  /// Whether something was stored since the read in flight began: whoever
  /// asks now must not get its answer.
  bool outdated_ = false;
  /// Answered by the read in flight.
  promises waiting_;
  /// Answered by the read after it.
  promises next_;
  /// The last answer, handed out again while nothing changes so that its
  /// bytes stay.
  answer last_;
};

training_status_actor::behavior_type training_status(
  training_status_actor::stateful_pointer<training_status_state> self,
  backend_actor backend, store_actor store, const training_status_config& cfg);

} // namespace aiops
