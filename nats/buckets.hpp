#pragma once

#include "actors/actors.hpp"
#include "base/backoff.hpp"

#include <chrono>
#include <deque>
#include <string>
#include <vector>

namespace aiops::nats {

struct buckets_config {
  std::vector<std::string> names;
  /// Deadline of the key-value store to find or create one bucket.
  caf::timespan request_timeout = std::chrono::seconds{5};
  /// Pause after a failure; doubles up to the largest.
  caf::timespan min_backoff = std::chrono::seconds{1};
  caf::timespan max_backoff = std::chrono::seconds{30};
};

/// INTERNAL: also wakes up to try again.
using buckets_actor
  = bus_listener_actor::extend<caf::replies_to<tick_atom>::with<void>>;

/// Creates the missing buckets after each new connection, because other
/// programs look for them before the gateway writes anything. Does not change a
/// bucket that exists. Repeats this until all buckets exist.
class buckets_state {
public:
  static inline const char* name = "buckets";

  explicit buckets_state(buckets_actor::pointer self) : self_(self) {
    // nop
  }

  buckets_actor::behavior_type
  make_behavior(bus_actor bus, kv_store_actor kv_store, buckets_config cfg);

private:
  void update(const bus_status& status);

  /// Checks the next bucket unless a check is in flight.
  void work();

  void fail(const std::string& bucket, const caf::error& err);

  buckets_actor::pointer self_;
  kv_store_actor kv_store_;
  buckets_config cfg_;
  /// Number of the connection, 0 without one.
  int64_t connection_ = 0;
  /// Buckets that were not checked on this connection yet.
  std::deque<std::string> missing_;
  bool checking_ = false;
  /// 0 unless the last check failed.
  backoff<caf::timespan> backoff_;
};

buckets_actor::behavior_type
buckets(buckets_actor::stateful_pointer<buckets_state> self, bus_actor bus,
        kv_store_actor kv_store, buckets_config cfg);

} // namespace aiops::nats
