#pragma once

#include "actors/messages.hpp"
#include "base/error.hpp"
#include "nats/counts/counts_json.hpp"
#include "nats/counts/key_access.hpp"

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace aiops::nats {

/// Writes counts as one generation: the key `begin`, the shards, the index and
/// the manifest. Only the values that are being written are in memory.
class generation_writer
  : public std::enable_shared_from_this<generation_writer> {
public:
  struct plan {
    std::string bucket;
    /// Prefix of all keys.
    std::string prefix;
    /// The manifest. The writer adds the number of workloads and index values.
    manifest head;
    /// Largest value in bytes, 16 KiB or more.
    size_t limit = 0;
    /// Maximum number of concurrent writes.
    size_t window = 8;
    /// Checked before each write. If false, writing ends with an error.
    std::function<bool()> allowed;
  };

  using done_fun = std::function<void(caf::error)>;

  generation_writer(key_access keys, breakdown_ptr counts, plan what,
                    done_fun done);

  /// Starts writing. `done` is called once, with an error unless all is stored.
  void start();

  /// Stops writing. `done` is not called afterwards.
  void cancel();

private:
  enum class phase { begin, shards, index, manifest, end };

  /// The next write of this phase; nothing when there is none left.
  std::optional<kv_write> next();

  std::optional<kv_write> next_shard();

  /// Starts as many writes as `window` allows.
  void proceed();

  void put(kv_write what, int tries);

  void finish(caf::error err);

  kv_write write_of(std::string key, std::string value) const;

  key_access keys_;
  breakdown_ptr counts_;
  plan plan_;
  done_fun done_;
  phase phase_ = phase::begin;
  size_t in_flight_ = 0;
  decltype(breakdown::clusters)::const_iterator cluster_;
  std::optional<shard_splitter> splitter_;
  std::vector<shard_list> shards_;
  /// The remaining writes of this phase, in reverse order.
  std::vector<kv_write> queue_;
};

/// Reads a generation of shards.
class generation_reader
  : public std::enable_shared_from_this<generation_reader> {
public:
  /// An error means that the generation does not exist (any more), is
  /// incomplete or is invalid.
  using done_fun
    = std::function<void(caf::expected<std::pair<breakdown_ptr, manifest>>)>;

  generation_reader(key_access keys, std::string manifest_key, size_t window,
                    done_fun done);

  void start();

private:
  void read_manifest(const kv_entry& entry);

  void read_index(const kv_entry& entry);

  void read_shard(const kv_entry& entry);

  /// Starts as many reads of `queue_` as `window_` allows. When all are done,
  /// goes on with `next_`.
  void proceed();

  void finish(caf::error err);

  key_access keys_;
  std::string manifest_key_;
  std::string prefix_;
  size_t window_;
  done_fun done_;
  manifest manifest_;
  std::vector<shard_list> shards_;
  breakdown_builder builder_;
  /// The keys to read, in reverse order, and the function for each value.
  std::vector<std::string> queue_;
  void (generation_reader::*handle_)(const kv_entry&) = nullptr;
  void (generation_reader::*next_)() = nullptr;
  size_t in_flight_ = 0;

  void list_index();

  void list_shards();

  void complete();
};

} // namespace aiops::nats
