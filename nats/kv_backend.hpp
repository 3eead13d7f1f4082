#pragma once

#include "nats/backend_state.hpp"

#include <memory>

namespace aiops {

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
  /// Stores the watchlist, then asks the backend. When the backend surely did
  /// not get it, what stood in the store before is put back; when that is
  /// unknown, everything stays.
  caf::result<std::string> train(const backend_submission& what,
                                 caf::timespan timeout) override;

  caf::result<backend_report> status() override;

  caf::result<workload_list> watchlist() override;

  caf::result<void> check() override;

  caf::result<stored_model> get() override;

  caf::result<void> put(const model_status& x) override;

  caf::result<void> forget() override;

private:
  /// One submission under way.
  struct attempt {
    caf::typed_response_promise<std::string> promise;
    /// What is stored and sent.
    std::string payload;
    /// When the backend is no longer waited for, and when the caller has to
    /// have an answer.
    time_point last_word;
    time_point deadline;
    /// What stood in the store before.
    kv_entry before = {};
  };

  using attempt_ptr = std::shared_ptr<attempt>;

  void store_parameters(const attempt_ptr& x);

  void ask_backend(const attempt_ptr& x);

  /// Puts back what stood there before, then answers `reason`.
  void undo(const attempt_ptr& x, const caf::error& reason);

  void put_back(const attempt_ptr& x, const kv_entry& found,
                const caf::error& reason);

  void fail_undo(const attempt_ptr& x, const caf::error& reason,
                 const caf::error& problem);

  /// What remains until then; at least a millisecond.
  caf::timespan until(time_point when) const;
};

backend_actor::behavior_type
kv_backend(backend_actor::stateful_pointer<kv_backend_state> self,
           bus_actor bus, kv_store_actor kv_store,
           const backend_config& config);

} // namespace aiops
