#pragma once

#include "actors/messages.hpp"

#include <nlohmann/json_fwd.hpp>

#include <optional>
#include <string>
#include <string_view>

/// @file
/// The JSON that travels over NATS, and the JSON kept in JetStream. Readers
/// never throw: they answer nothing for what they cannot read.

namespace aiops {

/// Parses without throwing; a discarded value when `text` is not JSON.
nlohmann::json parse_json(std::string_view text);

/// Writes without throwing: what is not UTF-8 is replaced.
std::string dump_json(const nlohmann::json& x);

/// RFC 3339 with any number of fractional digits, in UTC; the epoch when it
/// cannot be read.
std::chrono::system_clock::time_point decode_time(const std::string& text);

/// RFC 3339 with milliseconds, in UTC.
std::string encode_time(std::chrono::system_clock::time_point when);

/// The integer that a member of an object holds; 0 when there is none.
int64_t integer_at(const nlohmann::json& object, const char* key);

// -- the training backend -----------------------------------------------------

/// `{"<cluster>":{"<namespace>":["<deployment>",...]}}`; `{}` when empty.
std::string encode_workloads(const workload_list& xs);

std::optional<workload_list> decode_workloads(std::string_view text);

/// Whether a text reply can be shown to a person: 1 to 1024 bytes of UTF-8
/// without control characters.
bool readable(std::string_view text);

// -- key-value buckets --------------------------------------------------------

/// `ModelTrainingStatistics` in the proto3 JSON mapping (int64 as strings).
std::string encode_statistics(const training_statistics& x);

/// Takes numbers and strings; a missing field is 0 or empty.
std::optional<training_statistics> decode_statistics(std::string_view text);

// -- JetStream API ------------------------------------------------------------

/// Codes of the JetStream API (`err_code`) that we act on.
namespace jetstream_error {

inline constexpr int stream_not_found = 10059;
inline constexpr int no_message_found = 10037;
inline constexpr int stream_name_in_use = 10058;
inline constexpr int wrong_last_sequence = 10071;

} // namespace jetstream_error

/// The error that an answer of the JetStream API carries; 0 for none, -1 when
/// the answer is not readable at all.
struct jetstream_result {
  int error = 0;
  std::string description;
};

jetstream_result jetstream_error_of(const nlohmann::json& answer);

/// Request for the last value of a key, and the entry in its answer.
std::string encode_get(std::string_view bucket, std::string_view key);

std::optional<kv_entry> decode_entry(const nlohmann::json& answer);

/// Request to remove the keys of a bucket whose names match.
std::string encode_purge(std::string_view bucket, std::string_view pattern);

/// Request to list them.
std::string encode_list(std::string_view bucket, std::string_view pattern);

/// Request to make a bucket: one value a key, on disk, one replica.
std::string encode_bucket(std::string_view bucket);

} // namespace aiops
