#pragma once

#include "actors/actors.hpp"
#include "base/subscribers.hpp"

#include <chrono>
#include <optional>
#include <string>

namespace aiops::nats {

struct lease_config {
  std::string bucket;
  std::string key;
  /// The name of this replica; no two replicas have the same.
  std::string owner;
  /// A lease that was not renewed for this long is free.
  caf::timespan duration = std::chrono::seconds{10};
};

/// A name for this process that no other replica has.
std::string replica_id();

/// INTERNAL: also a message of LEASE to itself.
using internal_lease_actor = lease_actor::extend<
  // Renews the lease, or checks whether it is free.
  caf::replies_to<tick_atom>::with<void>>;

/// Holds a lease that is stored in a key, or waits until it is free.
///
/// Clocks of different replicas are never compared. A waiting replica measures
/// the time since *it* saw the key change. The holder measures from the moment
/// at which it *sent* the renewal, and only to three quarters of the duration.
/// So the holder stops before another replica can take the lease, even when the
/// holder was suspended meanwhile. Every write contains the revision that it
/// replaces, so only one of two concurrent writes succeeds.
class lease_state {
public:
  static inline const char* name = "lease";

  explicit lease_state(internal_lease_actor::pointer self) : self_(self) {
    // nop
  }

  internal_lease_actor::behavior_type make_behavior(kv_store_actor kv_store,
                                                    const lease_config& cfg);

private:
  using clock = caf::actor_clock;

  void add_listener(const lease_listener_actor& listener);

  void tick();

  /// Reads the lease and takes it if it is free.
  void read();

  void handle_entry(const kv_entry& entry);

  /// Writes the key over revision `expected`.
  void write(uint64_t expected);

  void written(clock::time_point sent, uint64_t revision);

  void lose(const std::string& why);

  void notify();

  /// Frees the lease for other replicas and ends.
  void release(const caf::error& reason);

  bool held() const noexcept {
    return status_.held;
  }

  void wake_at(clock::time_point when);

  internal_lease_actor::pointer self_;
  kv_store_actor kv_store_;
  lease_config cfg_;
  subscribers<lease_listener_actor> listeners_;
  lease_status status_;
  /// Revision of the key, and since when: of the last own write if this replica
  /// holds the lease, otherwise as last seen.
  uint64_t revision_ = 0;
  clock::time_point seen_;
  /// Whether a request to the store is in flight.
  bool busy_ = false;
  /// Whether this actor is about to end.
  bool leaving_ = false;
  /// When the current timer expires; earlier timers do nothing.
  std::optional<clock::time_point> timer_;
};

internal_lease_actor::behavior_type
lease(internal_lease_actor::stateful_pointer<lease_state> self,
      kv_store_actor kv_store, const lease_config& cfg);

} // namespace aiops::nats
