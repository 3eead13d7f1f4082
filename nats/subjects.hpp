#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

/// @file
/// Every subject, bucket and key that we use, and how names become subject
/// tokens. `docs/nats.md` describes the messages on each.

namespace aiops::nats::subjects {

// -- the training backend -----------------------------------------------------

inline constexpr std::string_view train_model = "train_model";
// Of the request-reply generation.
inline constexpr std::string_view model_status = "model_status";
inline constexpr std::string_view workload_parameters = "workload_parameters";
// Of the key-value generation.
inline constexpr std::string_view gpu_service_running = "gpu_service_running";

/// What the requests without arguments carry.
inline constexpr std::string_view model_status_payload = "model_status";
inline constexpr std::string_view workload_parameters_payload
  = "model_training_parameters";
inline constexpr std::string_view gpu_service_running_payload = "check-up";

// -- the training, for all programs -------------------------------------------

/// Progress of backends that cannot reach the gateway by HTTP. All gateways
/// subscribe to it in one queue.
inline constexpr std::string_view training_progress = "aiops.training.progress";
inline constexpr std::string_view gateway_queue = "aiops-gateway";

/// Every job that has ended.
inline constexpr std::string_view training_finished = "aiops.training.finished";

// -- buckets and keys ---------------------------------------------------------

inline constexpr std::string_view aggregation_bucket
  = "os-workload-aggregation";
inline constexpr std::string_view aggregation_key = "aggregation";
inline constexpr std::string_view statistics_key = "modelTrainingStatus";

// Of the key-value generation; the key in the first is `statistics_key` too.
inline constexpr std::string_view statistics_bucket
  = "model-training-statistics";
inline constexpr std::string_view parameters_bucket
  = "model-training-parameters";
inline constexpr std::string_view parameters_key = "modelTrainingParameters";

/// Values that only gateways read and write.
inline constexpr std::string_view gateway_bucket = "aiops-gateway";
inline constexpr std::string_view aggregation_lease_key = "lease.aggregation";
inline constexpr std::string_view hooks_lease_key = "lease.hooks";
/// The last number of a job that was given, should the book be lost.
inline constexpr std::string_view number_key = "training.number";
/// The training book.
inline constexpr std::string_view book_key = "training.book";
/// A watchlist, under the id of the job that brought it.
std::string watchlist_key(const std::string& id);
/// Matches all watchlists.
inline constexpr std::string_view watchlist_pattern = "training.watchlist.>";
/// A book that could not be read, under the revision that it had.
std::string unreadable_key(uint64_t revision);
/// Number of the last job that was reported to the hooks.
inline constexpr std::string_view hooks_key = "training.hooks";
/// Matches all jobs of the history.
inline constexpr std::string_view job_pattern = "training.history.*";
/// Why the counts cannot be renewed.
inline constexpr std::string_view failure_key = "counts.failure";

/// Counts that are too large for one value: everything of one generation, the
/// `number`-th of the lease's `term`, is below this prefix (which ends in a
/// dot) and never changes.
std::string generation_prefix(uint64_t term, uint64_t number);

// What is below the prefix: `begin` contains the writer, `manifest` is written
// last, `index.<n>` lists the shards, `shard.<cluster>.<part>` holds counts.
inline constexpr std::string_view generation_begin = "begin";
inline constexpr std::string_view generation_manifest = "manifest";

std::string index_key(std::string_view prefix, size_t number);

std::string shard_key(std::string_view prefix, std::string_view cluster,
                      size_t part);

/// One part of one interval of the history; `slot` is its place in the ring.
std::string history_key(size_t slot, size_t part);

/// A job of the history, a ring of `job_slots`.
inline constexpr uint64_t job_slots = 100;

std::string job_key(uint64_t number);

/// The JetStream stream behind a bucket.
inline std::string kv_stream(std::string_view bucket) {
  return "KV_" + std::string{bucket};
}

/// The subject on which a key of a bucket is written.
inline std::string kv_subject(std::string_view bucket, std::string_view key) {
  return "$KV." + std::string{bucket} + '.' + std::string{key};
}

/// The JetStream API subject for `verb` (`STREAM.INFO`, ...) on `stream`.
inline std::string jetstream_api(std::string_view verb,
                                 std::string_view stream) {
  return "$JS.API." + std::string{verb} + '.' + std::string{stream};
}

// -- names in subjects --------------------------------------------------------

/// Writes any name as one subject token: bytes outside `[A-Za-z0-9_-]` become
/// `%XX`, so dots, spaces and Unicode survive.
std::string encode_token(std::string_view name);

/// Writes any name as one token of a key. A key cannot contain a percent sign,
/// so the other bytes become `=XX`.
std::string encode_key_token(std::string_view name);

/// The name that `encode_token` wrote; nothing for a malformed token.
std::optional<std::string> decode_token(std::string_view token);

/// `<stream>.<cluster>.<namespace>.<deployment>`, each part encoded.
std::string log_subject(std::string_view stream, std::string_view cluster,
                        std::string_view namespace_name,
                        std::string_view deployment);

} // namespace aiops::nats::subjects
