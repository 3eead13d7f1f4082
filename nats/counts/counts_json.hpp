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
/// The JSON of counts in JetStream, see `docs/nats.md`. Writers keep values
/// below a limit in bytes. Readers do not throw; they return nothing for
/// invalid input.

namespace aiops::nats {

// -- one value ----------------------------------------------------------------

/// `{"ByCluster":{…}}`; nothing if that needs more than `limit` bytes.
std::optional<std::string> encode_breakdown(const breakdown& x, size_t limit);

breakdown_ptr decode_breakdown(std::string_view text);

/// The value that replaces it when the counts are in shards.
std::string encode_pointer(std::string_view bucket, std::string_view manifest);

/// The key of the manifest if `text` is a pointer into `bucket`.
std::optional<std::string> decode_pointer(std::string_view text,
                                          std::string_view bucket);

// -- a generation of shards ---------------------------------------------------

/// Splits the counts of one cluster into shards.
class shard_splitter {
public:
  /// `counts` must outlive this object. `limit` is 16 KiB or more.
  shard_splitter(const cluster_counts& counts, size_t limit)
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

/// Adds the counts of a shard, and returns the number of its workloads.
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

/// Appends the entries of one value of an index.
bool decode_index(std::string_view text, std::vector<shard_list>& to);

/// Describes a complete generation.
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

/// Adds one part and returns the number of parts. If `to` already has a time,
/// nothing is returned for a part with another time.
std::optional<size_t> decode_history(std::string_view text, history_point& to);

} // namespace aiops::nats
