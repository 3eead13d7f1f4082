#pragma once

#include "actors/messages.hpp"

#include <nlohmann/json_fwd.hpp>

#include <optional>
#include <string>
#include <string_view>

/// @file
/// The JSON of messages over NATS and of values in JetStream. Readers never
/// throw: they return nothing for input that they cannot read.

namespace aiops::nats {

/// Parses without throwing; a discarded value when `text` is not JSON.
nlohmann::json parse_json(std::string_view text);

/// Writes without throwing: bytes that are not UTF-8 are replaced.
std::string dump_json(const nlohmann::json& x);

/// A number, or a string that contains one; nothing for other values.
std::optional<double> number_of(const nlohmann::json& x);

/// An integer, or a string that contains one, within the range of the type;
/// nothing for other values.
std::optional<int64_t> integer_of(const nlohmann::json& x);

/// Reads a member of an object. `out` does not change when the member is absent
/// or null. Returns false when the member is not a string.
bool read_text(const nlohmann::json& object, const char* key, std::string& out);

/// The integer in a member of an object; 0 when there is none.
int64_t integer_at(const nlohmann::json& object, const char* key);

// -- the training backend -----------------------------------------------------

/// `{"<cluster>":{"<namespace>":["<deployment>",...]}}`; `{}` when empty.
std::string encode_workloads(const workload_list& xs);

std::optional<workload_list> decode_workloads(std::string_view text);

nlohmann::json workloads_to_json(const workload_list& xs);

std::optional<workload_list> workloads_from_json(const nlohmann::json& x);

/// `{"uuid":"…","workloads":{…}}`. Omits `workloads` when there are none: the
/// absence of this member resets the model.
std::string encode_parameters(const backend_submission& x);

/// Reads its workloads, also from the bare map that older versions stored.
std::optional<workload_list> decode_parameters(std::string_view text);

/// Whether a text reply can be displayed: 1 to 1024 bytes of UTF-8 without
/// control characters.
bool readable(std::string_view text);

// -- key-value buckets --------------------------------------------------------

/// `ModelTrainingStatistics` in the proto3 JSON mapping (int64 as strings).
std::string encode_statistics(const training_statistics& x);

/// `ModelStatus` in the same mapping. `nats/training/progress_json.hpp` has the
/// reader of both.
std::string encode_model(const model_status& x);

// Written with JSON integers; strings are read, too.

nlohmann::json statistics_to_json(const training_statistics& x);

std::optional<training_statistics>
statistics_from_json(const nlohmann::json& x);

nlohmann::json model_to_json(const model_status& x);

std::optional<model_status> model_from_json(const nlohmann::json& x);

// -- JetStream API ------------------------------------------------------------

/// The last message on the subject of a key.
struct kv_message {
  kv_entry entry;
  /// Whether it marks a removed key, which has no value.
  bool removal = false;
};

/// Request for it.
std::string encode_get(std::string_view bucket, std::string_view key);

/// Reads the answer.
std::optional<kv_message> decode_message(const nlohmann::json& answer);

/// Request to remove the keys of a bucket whose names match.
std::string encode_purge(std::string_view bucket, std::string_view pattern);

/// Request to list them.
std::string encode_list(std::string_view bucket, std::string_view pattern);

/// Request to create a bucket: one value per key, on disk, with this many
/// replicas.
std::string encode_bucket(std::string_view bucket, int replicas);

} // namespace aiops::nats
