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

/// Writes counts as one generation of shards: `begin`, the shards, their index,
/// the manifest. Holds only as many of the values at a time as are on their
/// way.
class generation_writer
  : public std::enable_shared_from_this<generation_writer> {
public:
  struct plan {
    std::string bucket;
    /// Prefix of all keys.
    std::string prefix;
    /// Without the numbers that are found by writing.
    manifest head;
    /// Largest value in bytes, 16 KiB or more.
    size_t limit = 0;
    /// Writes on their way at the same time.
    size_t window = 8;
    /// Asked before each write; when it says no, no more is written.
    std::function<bool()> allowed;
  };

  using done_fun = std::function<void(caf::error)>;

  generation_writer(key_access keys, breakdown_ptr counts, plan what,
                    done_fun done);

  /// Writes; `done` is called once, with an error unless all is stored.
  void start();

  /// Stops; `done` is not called any more.
  void cancel();

private:
  enum class phase { begin, shards, index, manifest, end };

  /// The next write of this phase, if there is one left.
  std::optional<kv_write> next();

  std::optional<kv_write> next_shard();

  /// Writes as much as may be on its way.
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
  std::optional<shard_cutter> cutter_;
  std::vector<shard_list> shards_;
  /// What this phase still has to write, last one first.
  std::vector<kv_write> queue_;
};

/// Reads a generation of shards.
class generation_reader
  : public std::enable_shared_from_this<generation_reader> {
public:
  /// An error says that the generation is not there (any more), not whole or
  /// not readable.
  using done_fun
    = std::function<void(caf::expected<std::pair<breakdown_ptr, manifest>>)>;

  generation_reader(key_access keys, std::string manifest_key, size_t window,
                    done_fun done);

  void start();

private:
  void read_manifest(const kv_entry& entry);

  void read_index(const kv_entry& entry);

  void read_shard(const kv_entry& entry);

  /// Reads as much of `queue_` as may be on its way; goes on when all is read.
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
  /// Keys to be read, last one first, and what is done with each value.
  std::vector<std::string> queue_;
  void (generation_reader::*take_)(const kv_entry&) = nullptr;
  void (generation_reader::*next_)() = nullptr;
  size_t in_flight_ = 0;

  void list_index();

  void list_shards();

  void complete();
};

} // namespace aiops::nats
