#pragma once

#include "nats/training/backend_state.hpp"

namespace aiops::nats {

/// What the dashboard shows for backends of this protocol when no model is
/// trained.
inline constexpr std::string_view request_reply_idle_text = "not started";

/// Implements the request-reply generation of the training backend (Opni 0.7 to
/// 0.8), which answers requests for everything except the statistics.
class request_reply_backend_state : public backend_state {
public:
  static inline const char* name = "backend";

  using backend_state::backend_state;

protected:
  caf::result<std::string> train(const backend_submission& what,
                                 caf::timespan timeout) override;

  caf::result<backend_report> status() override;

  caf::result<workload_list> watchlist() override;

  caf::result<void> check() override;

  caf::result<stored_model> get() override;

  caf::result<void> put(const model_status& x) override;

  caf::result<void> forget() override;

  /// Does nothing: such a backend stores its watchlist itself.
  caf::result<void> put_watchlist(const backend_submission& what,
                                  uint64_t expected) override;
};

internal_backend_actor::behavior_type request_reply_backend(
  internal_backend_actor::stateful_pointer<request_reply_backend_state> self,
  bus_actor bus, kv_store_actor kv_store, const backend_config& config);

} // namespace aiops::nats
