#pragma once

#include "actors/actors.hpp"

namespace aiops {

struct store_config {
  /// Deadline of each request to the key-value store, which keeps its own.
  caf::timespan request_timeout = std::chrono::seconds{5};
};

/// Knows in which bucket and under which key the progress of the training
/// lives, and as what JSON.
class store_state {
public:
  static inline const char* name = "store";

  explicit store_state(store_actor::pointer self);

  void init(kv_store_actor kv_store, store_config config);

  store_actor::behavior_type make_behavior();

private:
  caf::result<stored_statistics> get_statistics();

  caf::result<uint64_t> put_statistics(const training_statistics& x,
                                       std::optional<uint64_t> expected);

  store_actor::pointer self_;
  kv_store_actor kv_store_;
  store_config config_;
};

store_actor::behavior_type
store(store_actor::stateful_pointer<store_state> self, kv_store_actor kv_store,
      store_config config);

} // namespace aiops
