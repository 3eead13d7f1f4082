#pragma once

#include "actors/counts/breakdown.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// @file
/// The JSON in which counts are kept in JetStream, see `docs/nats.md`. Writers
/// keep below a limit in bytes; readers never throw and answer nothing for what
/// they cannot read.

namespace aiops::nats {

// -- one value ----------------------------------------------------------------

/// `{"ByCluster":{…}}`; nothing when that takes more than `limit` bytes.
std::optional<std::string> encode_breakdown(const breakdown& x, size_t limit);

breakdown_ptr decode_breakdown(std::string_view text);

/// What stands in that place when the counts are in shards.
std::string encode_pointer(std::string_view bucket, std::string_view manifest);

/// The manifest's key if `text` is a pointer into `bucket`.
std::optional<std::string> decode_pointer(std::string_view text,
                                          std::string_view bucket);

// -- a generation of shards ---------------------------------------------------

/// Cuts the counts of one cluster into shards.
class shard_cutter {
public:
  /// Both have to outlive this object. `limit` is 16 KiB or more.
  shard_cutter(const cluster_counts& counts, size_t limit)
    : counts_(counts), limit_(limit) {
    // nop
  }

  bool done() const noexcept {
    return next_ == counts_.size();
  }

  /// `{"cluster":"<c>","namespaces":{"<ns>":{"<d>":123,…},…}}`
  std::string next();

private:
  const cluster_counts& counts_;
  size_t limit_;
  size_t next_ = 0;
};

/// Adds the counts of a shard; answers how many workloads there were.
std::optional<size_t> decode_shard(std::string_view text,
                                   breakdown_builder& to);

/// The shards of one cluster.
struct shard_list {
  std::string cluster_id;
  size_t parts = 0;

  friend bool operator==(const shard_list&, const shard_list&) = default;
};

/// `{"shards":[["<c>",2],…]}`, one value or more.
std::vector<std::string> encode_index(const std::vector<shard_list>& xs,
                                      size_t limit);

/// Appends what one value of an index lists.
bool decode_index(std::string_view text, std::vector<shard_list>& to);

/// What a complete generation consists of.
struct manifest {
  uint64_t term = 0;
  std::string owner;
  size_t index_values = 0;
  size_t workloads = 0;
  std::chrono::system_clock::time_point aggregated_at;
};

std::string encode_manifest(const manifest& x);

std::optional<manifest> decode_manifest(std::string_view text);

// -- history ------------------------------------------------------------------

/// `{"at":"<RFC 3339>","part":0,"parts":1,"counts":{"<c>":123,…}}`, one value
/// or more.
std::vector<std::string> encode_history(const history_point& x, size_t limit);

/// Adds one part; answers how many parts there are. A part of another time
/// than `to` has (once it has one) is no answer.
std::optional<size_t> decode_history(std::string_view text, history_point& to);

} // namespace aiops::nats
