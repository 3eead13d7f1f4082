#pragma once

#include "actors/actors.hpp"
#include "nats/counts/generation.hpp"

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace aiops::nats {

struct counts_store_config {
  /// Who we are, as in the lease.
  std::string owner;
  /// Deadline of each request to the key-value store, which keeps its own.
  caf::timespan request_timeout = std::chrono::seconds{5};
  /// Values on their way at the same time.
  size_t window = 8;
  /// Largest shard in bytes; the broker's limit may be lower.
  size_t max_shard = 256 * 1024;
  /// Wait before a generation that could not be read is tried again: doubles
  /// from the first to the second value.
  caf::timespan first_backoff = std::chrono::milliseconds{250};
  caf::timespan last_backoff = std::chrono::seconds{5};
  /// The wall clock.
  std::function<std::chrono::system_clock::time_point()> wall_clock
    = std::chrono::system_clock::now;
};

/// INTERNAL: what we follow.
using internal_counts_store_actor = counts_store_actor::
  extend_with<kv_listener_actor>::extend_with<lease_listener_actor>::extend<
    // Time to try again to read the counts.
    caf::replies_to<tick_atom>::with<void>,
    // Time to try again to store the failure.
    caf::replies_to<put_atom>::with<void>>;

/// Keeps the counts of any size under the original's key: as one value while
/// that fits, else that value points to a generation of shards.
///
/// That one key is the switch: a generation is written whole before the key
/// points to it and never changes after, so no reader mixes two. The key is
/// only written by who holds the lease, over the revision that he knows.
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
  /// Counts on their way into the store.
  struct publication {
    breakdown_ptr counts;
    caf::typed_response_promise<stored_breakdown> promise;
    uint64_t term = 0;
    /// Largest value in bytes.
    size_t limit = 0;
    /// Prefix of the generation; empty for counts in one value.
    std::string prefix;
    std::shared_ptr<generation_writer> writer;
    /// What the key is to hold.
    std::string value;
    int tries = 0;
  };

  using publication_ptr = std::shared_ptr<publication>;

  key_access access(std::string bucket);

  /// Whether we hold the lease, in that term.
  bool holds(uint64_t term) const;

  // -- writing ------------------------------------------------------------------

  caf::result<stored_breakdown> put(const breakdown_ptr& counts);

  void encode(const publication_ptr& what);

  void write_generation(const publication_ptr& what);

  void write_root(const publication_ptr& what);

  /// Finds out what became of a write of which we do not know it.
  void verify_root(const publication_ptr& what, caf::error err);

  void published(const publication_ptr& what, uint64_t revision);

  /// @param what by value: it may be `publication_`, which changes here.
  void failed(publication_ptr what, caf::error err);

  // -- the failure of counting ----------------------------------------------------

  void handle_lease(const lease_status& status);

  /// Sees to it that all replicas learn of `text`, as long as we hold the
  /// lease.
  void put_failure(std::string text);

  /// Writes the wanted failure unless it is stored or a write is under way.
  void write_failure();

  /// Reads and writes the failure again after a pause.
  void retry_failure();

  void reread_failure();

  void handle_failure(const kv_entry& entry);

  // -- removing what is old -------------------------------------------------------

  /// Remembers what the key pointed to until now, and removes what it pointed
  /// to before that.
  void retire(std::string prefix);

  /// Removes what those before us left behind.
  void sweep(uint64_t term);

  void remove(const std::string& prefix);

  // -- following ------------------------------------------------------------------

  void add_listener(const breakdown_listener_actor& listener);

  void handle_entry(const kv_entry& entry);

  void handle_root(const kv_entry& entry);

  void read_generation(const std::string& manifest_key);

  void retry_read();

  /// Why the counts cannot be renewed; empty when they were since.
  std::string failure() const;

  /// Shows what was read by way of `root`.
  void show(const kv_entry& root, breakdown_ptr counts,
            std::chrono::system_clock::time_point created);

  void tell();

  // -- history --------------------------------------------------------------------

  caf::result<std::vector<history_point>> get_history();

  internal_counts_store_actor::pointer self_;
  bus_actor bus_;
  kv_store_actor kv_store_;
  counts_store_config cfg_;
  lease_status lease_;
  std::vector<breakdown_listener_actor> listeners_;

  /// The key as last read or written; nothing before the first read.
  std::optional<kv_entry> root_;
  /// What listeners know; nothing before the first read.
  std::optional<stored_breakdown> current_;
  /// Revision and time of the key's value that `current_` was read from.
  std::optional<std::pair<uint64_t, std::chrono::system_clock::time_point>>
    shown_;
  /// Whether `current_` is what we wrote and did not read since.
  bool own_ = false;
  /// The failure of counting as last read or written.
  std::string failure_;
  uint64_t failure_revision_ = 0;
  /// When the store took it.
  std::chrono::system_clock::time_point failed_at_;
  /// Whether a write may have been stored, or may still be, without our
  /// knowledge. Only the next write ends that: it is refused if the other one
  /// came first, and refuses the other one if not.
  bool failure_in_doubt_ = false;
  /// What is to be stored; nothing while another replica counts.
  std::optional<std::string> wanted_failure_;
  /// Whether a write of it, or the pause after one, is under way.
  bool writing_failure_ = false;
  caf::timespan failure_backoff_{0};

  std::shared_ptr<generation_reader> reader_;
  /// Whether `root_` changed while reading.
  bool read_again_ = false;
  caf::timespan backoff_{0};

  publication_ptr publication_;
  uint64_t last_number_ = 0;
  uint64_t swept_term_ = 0;
  /// Prefixes of the generation that the key points to and the one before it;
  /// empty for counts in one value.
  std::deque<std::string> generations_;
};

/// Spawn it detached: a million counts take a while to write or read.
/// @param lease may be null: then this replica only reads.
internal_counts_store_actor::behavior_type counts_store(
  internal_counts_store_actor::stateful_pointer<counts_store_state> self,
  bus_actor bus, kv_store_actor kv_store, lease_actor lease,
  const counts_store_config& cfg);

} // namespace aiops::nats
