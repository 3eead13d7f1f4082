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
  /// Who we are; no two replicas have the same.
  std::string owner;
  /// A lease that was not renewed for so long is free.
  caf::timespan duration = std::chrono::seconds{10};
};

/// A name for this process that no other replica has.
std::string replica_id();

/// Holds a lease that stands under a key, or waits until it is free.
///
/// Nobody's clock is compared with another's. Whoever waits counts the time
/// since *it* saw the key change; the holder counts from the moment at which it
/// *sent* the renewal, and only to three quarters of the duration. So the
/// holder has stopped before anybody can take over, even when it stood still
/// meanwhile. Every write names the revision it replaces, so of two that want
/// the lease one gets it.
class lease_state {
public:
  static inline const char* name = "lease";

  explicit lease_state(lease_actor::pointer self) : self_(self) {
    // nop
  }

  lease_actor::behavior_type make_behavior(kv_store_actor kv_store,
                                           const lease_config& cfg);

private:
  using clock = caf::actor_clock;

  void add_listener(const lease_listener_actor& listener);

  void tick();

  /// Looks how the lease stands; takes it if it is free.
  void look();

  void handle_entry(const kv_entry& entry);

  /// Writes the key over revision `expected`.
  void write(uint64_t expected);

  void written(clock::time_point sent, uint64_t revision);

  void lose(const std::string& why);

  void tell();

  /// Leaves the lease to whoever comes first, and ends.
  void release(const caf::error& reason);

  bool held() const noexcept {
    return status_.held;
  }

  void wake_at(clock::time_point when);

  lease_actor::pointer self_;
  kv_store_actor kv_store_;
  lease_config cfg_;
  subscribers<lease_listener_actor> listeners_;
  lease_status status_;
  /// Revision of the key: of our last write when we hold the lease, else as
  /// last seen, and since when.
  uint64_t revision_ = 0;
  clock::time_point seen_;
  /// Whether an answer is awaited.
  bool busy_ = false;
  /// Whether we are about to end.
  bool leaving_ = false;
  /// When the timer goes off that counts; earlier ones do nothing.
  std::optional<clock::time_point> timer_;
};

lease_actor::behavior_type
lease(lease_actor::stateful_pointer<lease_state> self, kv_store_actor kv_store,
      const lease_config& cfg);

} // namespace aiops::nats
