#pragma once

#include "actors/actors.hpp"

namespace aiops {

struct store_config {
  /// Deadline of each request to the key-value store, which keeps its own.
  caf::timespan request_timeout = std::chrono::seconds{5};
};

/// INTERNAL: also listens to the counts in the key-value store.
using internal_store_actor = store_actor::extend_with<kv_listener_actor>;

/// Knows in which bucket and under which key each piece of state lives, and as
/// what JSON.
class store_state {
public:
  static inline const char* name = "store";

  explicit store_state(internal_store_actor::pointer self);

  void init(kv_store_actor kv_store, store_config config);

  internal_store_actor::behavior_type make_behavior();

private:
  caf::result<stored_statistics> get_statistics();

  caf::result<uint64_t> put_statistics(const training_statistics& x,
                                       std::optional<uint64_t> expected);

  caf::result<uint64_t> put_breakdown(const breakdown_ptr& x);

  void add_listener(breakdown_listener_actor& listener);

  void handle_entry(const kv_entry& entry);

  internal_store_actor::pointer self_;
  kv_store_actor kv_store_;
  store_config config_;
  std::vector<breakdown_listener_actor> listeners_;
  /// The counts as last read; nothing before the first read.
  std::optional<stored_breakdown> breakdown_;
};

internal_store_actor::behavior_type
store(internal_store_actor::stateful_pointer<store_state> self,
      kv_store_actor kv_store, store_config config);

} // namespace aiops
