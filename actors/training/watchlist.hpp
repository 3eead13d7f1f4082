#pragma once

#include "actors/actors.hpp"
#include "base/time.hpp"

#include <vector>

namespace aiops {

struct watchlist_config {
  /// Deadline of one request to the backend; not shorter than its own
  /// deadline.
  milliseconds request_timeout{5'000};
};

/// Asks the backend for its watchlist, once for all waiting callers, and keeps
/// the list that the gateways submitted last.
class watchlist_state {
public:
  static inline const char* name = "watchlist";

  explicit watchlist_state(watchlist_actor::pointer self) : self_(self) {
    // nop
  }

  watchlist_actor::behavior_type make_behavior(backend_actor backend,
                                               training_jobs_actor jobs,
                                               const watchlist_config& cfg);

private:
  using answer = snapshot_ptr<workload_list>;

  caf::result<answer> get();

  void succeed(workload_list workloads);

  void fail(const caf::error& err);

  caf::result<snapshot_ptr<watchlist_overview>> submitted() const;

  void update(const stored_book& book);

  watchlist_actor::pointer self_;
  backend_actor backend_;
  watchlist_config cfg_;
  /// Callers that wait for the request in flight; empty when there is none.
  std::vector<caf::typed_response_promise<answer>> waiting_;
  /// The last answer, returned again while nothing changes, so that its encoded
  /// bytes are kept.
  answer last_;
  /// Null before the book was received.
  snapshot_ptr<watchlist_overview> submitted_;
};

watchlist_actor::behavior_type
watchlist(watchlist_actor::stateful_pointer<watchlist_state> self,
          backend_actor backend, training_jobs_actor jobs,
          const watchlist_config& cfg);

} // namespace aiops
