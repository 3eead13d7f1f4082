#pragma once

#include "actors/actors.hpp"

#include <functional>
#include <string>

namespace aiops::nats {

struct storage_watch_config {
  /// Deadline of a write; the key-value store has its own.
  caf::timespan request_timeout = std::chrono::seconds{5};
  /// Pause after a write that succeeded, and after one that failed.
  caf::timespan interval = std::chrono::seconds{5};
  caf::timespan retry_interval = std::chrono::seconds{1};
  /// Gets the outcome of each write: an error text, empty on success.
  std::function<void(const std::string&)> report = {};
};

/// STORAGE WATCH checks whether the embedded server stores values.
using storage_watch_actor = typed_actor<
  // INTERNAL: time to write.
  caf::result<void>(tick_atom)>;

/// Writes a small value at regular intervals. A server whose disk was full
/// answers pings and even some requests, so only a write shows that it stores
/// values.
class storage_watch_state {
public:
  static inline const char* name = "storage-watch";

  explicit storage_watch_state(storage_watch_actor::pointer self)
    : self_(self) {
    // nop
  }

  storage_watch_actor::behavior_type make_behavior(kv_store_actor kv_store,
                                                   storage_watch_config cfg);

private:
  void write();

  void report(const std::string& failure);

  storage_watch_actor::pointer self_;
  kv_store_actor kv_store_;
  storage_watch_config cfg_;
};

/// Spawn it detached: `report` may start the server again.
storage_watch_actor::behavior_type
storage_watch(storage_watch_actor::stateful_pointer<storage_watch_state> self,
              kv_store_actor kv_store, storage_watch_config cfg);

} // namespace aiops::nats
