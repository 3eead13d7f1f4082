#pragma once

#include "nats/training/backend_state.hpp"

#include <map>
#include <memory>

namespace aiops::nats {

/// What the dashboard shows for backends of this protocol when no model is
/// trained.
inline constexpr std::string_view kv_idle_text = "no model trained";

/// What the dashboard of such a backend shows for a training before its first
/// progress.
inline training_statistics kv_initial_statistics() {
  return {0, 0, 0, 0, 0.0, std::string{fetching_stage}};
}

/// Implements the key-value generation of the training backend (Opni 0.9.2 to
/// 0.12). The backend gets a request, reads the watchlist from the store, and
/// reports by HTTP.
class kv_backend_state : public backend_state {
public:
  static inline const char* name = "backend";

  using backend_state::backend_state;

protected:
  /// Stores the watchlist, then sends the request, and repeats it while there
  /// is no responder: a backend that starts meanwhile reads the stored
  /// watchlist. Whatever the outcome, the watchlist stays stored; the replica
  /// that keeps the book corrects it.
  caf::result<std::string> train(const backend_submission& what,
                                 caf::timespan timeout) override;

  caf::result<backend_report> status() override;

  caf::result<workload_list> watchlist() override;

  caf::result<void> check() override;

  caf::result<stored_model> get() override;

  caf::result<void> put(const model_status& x) override;

  caf::result<void> forget() override;

  caf::result<void> put_watchlist(const backend_submission& what,
                                  uint64_t expected) override;

private:
  /// One submission in flight.
  struct attempt {
    caf::typed_response_promise<std::string> promise;
    /// The payload that is stored and sent.
    std::string payload;
    /// When the wait for the backend ends.
    time_point end;
    /// Revision of the value that was stored before.
    uint64_t before = 0;
  };

  using attempt_ptr = std::shared_ptr<attempt>;

  void store_parameters(const attempt_ptr& x);

  void ask_backend(const attempt_ptr& x);

  /// Repeats the request after a notice of no responders.
  void ask_again(const attempt_ptr& x, const caf::error& reason);

  /// The time until then; at least a millisecond.
  caf::timespan until(time_point when) const;
};

internal_backend_actor::behavior_type
kv_backend(internal_backend_actor::stateful_pointer<kv_backend_state> self,
           bus_actor bus, kv_store_actor kv_store,
           const backend_config& config);

} // namespace aiops::nats
