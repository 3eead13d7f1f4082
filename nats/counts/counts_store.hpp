#pragma once

#include "actors/actors.hpp"
#include "base/backoff.hpp"
#include "base/subscribers.hpp"
#include "nats/counts/generation.hpp"

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace aiops::nats {

struct counts_store_config {
  /// Name of this replica, as in the lease.
  std::string owner;
  /// Deadline of a request. Requests to the key-value store may take twice as
  /// long.
  caf::timespan request_timeout = std::chrono::seconds{5};
  /// Maximum number of concurrent reads or writes.
  size_t window = 8;
  /// Maximum size of a shard in bytes; the limit of the NATS server may be
  /// lower.
  size_t max_shard = 256 * 1024;
  /// Pause before a failed read of a generation is retried: doubles from the
  /// first to the second value.
  caf::timespan first_backoff = std::chrono::milliseconds{250};
  caf::timespan last_backoff = std::chrono::seconds{5};
  /// The wall clock.
  std::function<std::chrono::system_clock::time_point()> wall_clock
    = std::chrono::system_clock::now;
};

/// INTERNAL: also receives updates of keys and of the lease.
using internal_counts_store_actor = counts_store_actor::
  extend_with<kv_listener_actor>::extend_with<lease_listener_actor>::extend<
    // Reads the counts again.
    caf::replies_to<tick_atom>::with<void>,
    // Stores the failure again.
    caf::replies_to<put_atom>::with<void>>;

/// Stores counts of any size under the key that Opni uses: as one value if they
/// fit, otherwise as a generation of shards to which that value points.
///
/// A generation is written completely before the key points to it, and never
/// changes afterwards, so no reader mixes two generations. Only the replica
/// that holds the lease writes the key, by conditional writes.
class counts_store_state {
public:
  static inline const char* name = "counts-store";

  explicit counts_store_state(internal_counts_store_actor::pointer self)
    : self_(self) {
    // nop
  }

  internal_counts_store_actor::behavior_type
  make_behavior(bus_actor bus, kv_store_actor kv_store, lease_actor lease,
                const counts_store_config& cfg);

private:
  /// Counts that are being stored.
  struct publication {
    breakdown_ptr counts;
    caf::typed_response_promise<stored_breakdown> promise;
    uint64_t term = 0;
    /// Maximum size of a value in bytes.
    size_t limit = 0;
    /// Prefix of the generation; empty for counts in one value.
    std::string prefix;
    std::shared_ptr<generation_writer> writer;
    /// The new value of the key.
    std::string value;
    int tries = 0;
  };

  using publication_ptr = std::shared_ptr<publication>;

  key_access access(std::string bucket);

  /// Whether this replica holds the lease in that term.
  bool holds(uint64_t term) const;

  // -- writing ------------------------------------------------------------------

  caf::result<stored_breakdown> put(const breakdown_ptr& counts);

  void encode(const publication_ptr& what);

  void write_generation(const publication_ptr& what);

  void write_root(const publication_ptr& what);

  /// Reads the key to find out whether a write was stored.
  void verify_root(const publication_ptr& what, caf::error err);

  void published(const publication_ptr& what, uint64_t revision);

  /// @param what by value: it may be `publication_`, which changes here.
  void failed(publication_ptr what, caf::error err);

  // -- the failure of counting ----------------------------------------------------

  void handle_lease(const lease_status& status);

  /// Stores `text` for all replicas while this replica holds the lease.
  void put_failure(std::string text);

  /// Writes the wanted failure unless it is stored or being written.
  void write_failure();

  /// Schedules another attempt to read and write the failure.
  void retry_failure();

  void reread_failure();

  void handle_failure(const kv_entry& entry);

  // -- removing old generations ---------------------------------------------------

  /// Keeps the current generation and the previous one, and removes older ones.
  void retire(std::string prefix);

  /// Removes generations of earlier terms that are not in use.
  void sweep(uint64_t term);

  void remove(const std::string& prefix);

  // -- following ------------------------------------------------------------------

  void add_listener(const breakdown_listener_actor& listener);

  void handle_entry(const kv_entry& entry);

  void handle_root(const kv_entry& entry);

  void read_generation(const std::string& manifest_key);

  void retry_read();

  /// Why counting failed; empty if there are newer counts.
  std::string failure() const;

  /// Publishes counts that were read from `root` or from its generation.
  void show(const kv_entry& root, breakdown_ptr counts,
            std::chrono::system_clock::time_point created);

  void publish();

  // -- history --------------------------------------------------------------------

  caf::result<std::vector<history_point>> get_history();

  internal_counts_store_actor::pointer self_;
  bus_actor bus_;
  kv_store_actor kv_store_;
  counts_store_config cfg_;
  lease_status lease_;
  subscribers<breakdown_listener_actor> listeners_;

  /// The key as last read or written; nothing before the first read.
  std::optional<kv_entry> root_;
  /// The counts that listeners have; nothing before the first read.
  std::optional<stored_breakdown> current_;
  /// Revision and time of the value from which `current_` was read.
  std::optional<std::pair<uint64_t, std::chrono::system_clock::time_point>>
    shown_;
  /// Whether `current_` was written by this replica and not read since.
  bool own_ = false;
  /// The failure of counting as last read or written.
  std::string failure_;
  uint64_t failure_revision_ = 0;
  /// When it was stored.
  std::chrono::system_clock::time_point failed_at_;
  /// Whether the result of the last write is unknown. The next write resolves
  /// this: it is refused if the last one was stored first. Otherwise, the last
  /// one is refused.
  bool failure_in_doubt_ = false;
  /// The failure to store; nothing while another replica counts.
  std::optional<std::string> wanted_failure_;
  /// Whether it is being written, or a pause before the next attempt is
  /// running.
  bool writing_failure_ = false;
  backoff<caf::timespan> failure_backoff_;

  std::shared_ptr<generation_reader> reader_;
  /// Whether `root_` changed while reading.
  bool read_again_ = false;
  backoff<caf::timespan> backoff_;

  publication_ptr publication_;
  uint64_t last_number_ = 0;
  uint64_t swept_term_ = 0;
  /// Prefixes of the current generation and the previous one; empty for counts
  /// in one value.
  std::deque<std::string> generations_;
};

/// Spawn it detached, because a million counts take long to encode or decode.
/// @param lease may be null: then this replica only reads.
internal_counts_store_actor::behavior_type counts_store(
  internal_counts_store_actor::stateful_pointer<counts_store_state> self,
  bus_actor bus, kv_store_actor kv_store, lease_actor lease,
  const counts_store_config& cfg);

} // namespace aiops::nats
