#pragma once

#include "nats/training/backend_state.hpp"

#include <map>
#include <memory>

namespace aiops::nats {

/// What the dashboard shows of backends of this protocol when no model is
/// trained.
inline constexpr std::string_view kv_idle_text = "no model trained";

/// What such a backend's dashboard shows of a training before its first
/// progress.
inline training_statistics kv_initial_statistics() {
  return {0, 0, 0, 0, 0.0, std::string{fetching_stage}};
}

/// Speaks the key-value generation of the training backend (Opni 0.9.2 to
/// 0.12): it finds the watchlist in the store, is told of it by a request, and
/// reports by HTTP.
class kv_backend_state : public backend_state {
public:
  static inline const char* name = "backend";

  using backend_state::backend_state;

protected:
  /// Stores the watchlist, then asks the backend, and again while nobody
  /// listens: one that starts meanwhile reads what is stored. What was stored
  /// stays, whatever comes of it; whoever keeps the book puts it right.
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
  /// One submission under way.
  struct attempt {
    caf::typed_response_promise<std::string> promise;
    /// What is stored and sent.
    std::string payload;
    /// When the backend is no longer waited for.
    time_point end;
    /// Of what stood in the store before.
    uint64_t before = 0;
  };

  using attempt_ptr = std::shared_ptr<attempt>;

  void store_parameters(const attempt_ptr& x);

  void ask_backend(const attempt_ptr& x);

  /// Nobody listened.
  void ask_again(const attempt_ptr& x, const caf::error& reason);

  /// What remains until then; at least a millisecond.
  caf::timespan until(time_point when) const;
};

backend_actor::behavior_type
kv_backend(backend_actor::stateful_pointer<kv_backend_state> self,
           bus_actor bus, kv_store_actor kv_store,
           const backend_config& config);

} // namespace aiops::nats
