#pragma once

#include "actors/atoms.hpp"
#include "actors/counts/breakdown.hpp"
#include "actors/training/training_book.hpp"
#include "actors/workload.hpp"
#include "base/snapshot.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

/// @file
/// What actors send to each other: plain values that never leave the process
/// (hence no serialization: see the end of this file).

namespace aiops {

// -- training -----------------------------------------------------------------

/// A watchlist to submit.
struct training_request {
  workload_list workloads;
  /// Whether it may take the place of a training that runs.
  bool force = false;
  /// Whether only to answer what a submission would do.
  bool dry_run = false;
};

/// The outcome of a submission, or what it would be.
struct training_result {
  /// The backend's response; empty when it was not asked.
  std::string response;
  training_action action = training_action::none;
  /// Empty when nothing was submitted.
  std::string job_id = {};
  workload_diff changes = {};
  /// The running job that prevents an unforced submission. When it is set and
  /// this was no dry run, nothing was submitted.
  std::optional<training_job> running = {};
};

/// A watchlist and the job that it came with, as it is sent to the backend.
struct backend_submission {
  /// Of the job.
  std::string id;
  shared_workloads workloads;
};

/// What the backend answers when it is asked for the status.
struct backend_report {
  /// Nothing when backends of this protocol do not report one.
  std::optional<std::string> status;
};

/// What is in the buckets that other programs read.
struct stored_model {
  /// The status is empty where the protocol does not store it.
  model_status value;
  /// 0 when there is nothing.
  uint64_t revision = 0;
  std::chrono::system_clock::time_point created = {};
  /// Where the protocol keeps the watchlist in the store: the id of the job
  /// that it came with, empty in that of an older version, and its revision.
  std::string watchlist_job = {};
  uint64_t watchlist_revision = 0;
  /// Whether the protocol stores the status, so that an empty one is its value.
  bool with_status = false;
};

/// The book as it is stored.
struct stored_book {
  training_book value;
  /// 0 before the first job.
  uint64_t revision = 0;
  /// How many times this replica saw that the store had lost acknowledged
  /// changes.
  uint64_t losses = 0;
  /// When the store took this revision, by the store's clock; nothing when it
  /// did not say.
  std::optional<std::chrono::system_clock::time_point> stored_at = {};
};

/// What a change made of the training book.
struct book_update {
  training_book before;
  stored_book after;
};

/// Whether the training services can be reached.
struct backend_health {
  bool nats_connected = false;
  bool reachable = false;
  /// Why not; empty when they can.
  std::string reason = "not asked yet";

  friend bool operator==(const backend_health&, const backend_health&)
    = default;
};

/// Everything about the training that is in memory.
struct training_overview {
  training_book book;
  backend_health backend;
  /// Why the last read of the book from the store failed; empty when it
  /// succeeded.
  std::string stale_reason = {};
  /// As in `stored_book`.
  uint64_t losses = 0;

  friend bool operator==(const training_overview&, const training_overview&)
    = default;
};

/// The watchlist as last submitted.
struct watchlist_overview {
  shared_workloads workloads;
  /// Empty when there was no submission.
  std::string job_id;
  /// Nothing when there was no submission.
  std::optional<std::chrono::system_clock::time_point> submitted_at;

  friend bool operator==(const watchlist_overview&, const watchlist_overview&)
    = default;
};

/// The watchlist, and its difference to the one before.
struct watchlist_change {
  /// Empty when there was no submission.
  std::string job_id;
  /// The job whose watchlist `changes` are the difference to; empty for the
  /// empty list that there is before the first submission.
  std::string previous_job_id;
  /// Nothing when there was no submission.
  std::optional<std::chrono::system_clock::time_point> submitted_at;
  shared_workloads workloads;
  workload_diff changes;

  friend bool operator==(const watchlist_change&, const watchlist_change&)
    = default;
};

// -- GPUs ---------------------------------------------------------------------

/// What one unit of a GPU resource is.
enum class gpu_kind {
  /// A whole GPU.
  full,
  /// A part of a GPU for one user only (NVIDIA's MIG).
  mig,
  /// A GPU that others may use at the same time.
  shared,
};

/// A process that uses a GPU.
struct gpu_process {
  int64_t pid = 0;
  /// Empty when it is not known.
  std::string program;
  /// In bytes; 0 when it is not known.
  int64_t memory_used = 0;

  friend bool operator==(const gpu_process&, const gpu_process&) = default;
};

/// One GPU, or one MIG instance, as the local driver sees it.
struct gpu_device {
  std::string uuid;
  std::string product;
  /// In bytes; 0 when it is not known.
  int64_t memory = 0;
  int64_t memory_used = 0;
  /// 0 to 100 percent; nothing when it is not known.
  std::optional<int64_t> utilization;
  std::vector<gpu_process> processes;

  friend bool operator==(const gpu_device&, const gpu_device&) = default;
};

/// One GPU resource of one node.
struct gpu_resource {
  /// The resource's name, for example `nvidia.com/gpu`.
  std::string name;
  int64_t capacity = 0;
  int64_t allocatable = 0;
  /// The node's name; empty when the source knows of none.
  std::string node = {};
  /// `nvidia`, `amd`, `intel`; empty when it is not known.
  std::string vendor = {};
  gpu_kind kind = gpu_kind::full;
  /// For example `NVIDIA-A100-SXM4-80GB`; empty when it is not known.
  std::string product = {};
  /// Of one unit, in bytes; 0 when it is not known.
  int64_t memory = 0;
  /// Units in use by running pods (or processes); nothing: not known.
  std::optional<int64_t> allocated = {};
  /// Whether the node works and accepts new pods. Without both, its resources
  /// cannot be used.
  bool ready = true;
  bool schedulable = true;
  /// Version of the driver; empty when it is not known.
  std::string driver = {};
  /// What the resource consists of; empty when the source does not know.
  std::vector<gpu_device> devices = {};

  friend bool operator==(const gpu_resource&, const gpu_resource&) = default;
};

using gpu_list = std::vector<gpu_resource>;

/// All GPUs, and how current they are.
struct gpu_inventory {
  /// By node, then by resource.
  gpu_list gpus;
  /// When they were scanned; nothing before the first scan.
  std::optional<std::chrono::system_clock::time_point> observed_at;
  /// Whether the last scan failed.
  bool stale = false;
  /// Why; empty when it succeeded.
  std::string reason;
  /// As in `--gpu-source`, `auto` resolved.
  std::string source;
};

// -- NATS ---------------------------------------------------------------------

/// Headers of a NATS message.
using bus_headers = std::vector<std::pair<std::string, std::string>>;

/// A request over NATS.
struct bus_request {
  std::string subject;
  std::string payload;
  bus_headers headers;
  /// How long a reply may take.
  caf::timespan timeout{0};
  /// Whether this only reads. Reads are refused while a part of the capacity
  /// is still free, so that they never keep a write waiting.
  bool read_only = false;
};

struct bus_reply {
  std::string payload;
};

/// A message on a subject with a subscription.
struct bus_message {
  std::string subject;
  std::string payload;
  /// Where an answer is expected; empty when none is.
  std::string reply = {};
  /// Held until the message is handled: this bounds the messages in flight.
  std::shared_ptr<const void> token = {};
};

/// The state of the connection to NATS.
struct bus_status {
  bool connected = false;
  /// The connected server, without credentials; empty when not
  /// connected.
  std::string server;
  /// The largest payload that the server takes, in bytes.
  int64_t max_payload = 0;
  /// Why there is no connection; empty when there is one.
  std::string reason;
  /// Connections made since the start.
  int64_t connects = 0;
};

/// A value of a key-value bucket.
struct kv_entry {
  std::string value;
  /// Revision of the value; 0 means that the key has no value.
  uint64_t revision = 0;
  /// When the server stored it.
  std::chrono::system_clock::time_point created;
  /// Set when the value is sent to a listener, which may follow several keys.
  std::string key = {};
  /// Revision of the deletion marker, when the key has no value because it was
  /// removed.
  uint64_t removed = 0;
};

/// A write to a key-value bucket.
struct kv_write {
  std::string bucket;
  std::string key;
  std::string value;
  /// Refuse with `ec::conflict` unless this is the key's current revision (0:
  /// the key must not exist). Nothing: write in any case.
  std::optional<uint64_t> expected;
  /// Whether to remove the value of the key.
  bool removal = false;
  /// When the key must not exist: refuse unless this is the revision of its
  /// deletion marker, as in `kv_entry`, so that there was no value in between.
  /// Nothing: any deletion marker.
  std::optional<uint64_t> removed = {};
};

// -- state that all replicas share ---------------------------------------------

/// Counts as they are stored.
struct stored_breakdown {
  /// Null before the first aggregation.
  breakdown_ptr value;
  uint64_t revision = 0;
  std::chrono::system_clock::time_point created;
  /// Why the replica that counts could not renew them since; empty when it did
  /// not fail.
  std::string failure = {};
};

/// The state of a lease: the right to a task that one replica does at a time.
struct lease_status {
  /// Whether this replica holds it.
  bool held = false;
  /// The term of this replica (higher than all terms before): the revision at
  /// which it took the lease. 0 when it does not hold it.
  uint64_t term = 0;
  /// Until when this replica may act without a further renewal.
  caf::actor_clock::time_point until;
};

// -- live ---------------------------------------------------------------------

/// The current value of what changed: training, watchlist, aggregation, GPUs,
/// backend.
using event_value = std::variant<
  snapshot_ptr<training_overview>, watchlist_change,
  snapshot_ptr<cluster_overview>, snapshot_ptr<gpu_inventory>, backend_health>;

} // namespace aiops

// These types stay within one process and so are never serialized.
#define AIOPS_LOCAL_MESSAGE_TYPE(type) CAF_ALLOW_UNSAFE_MESSAGE_TYPE(type)

AIOPS_LOCAL_MESSAGE_TYPE(aiops::workload_list)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::model_status)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::training_job)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::job_summaries)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::job_change)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::job_progress)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::training_book)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::training_request)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::training_result)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::backend_submission)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::backend_report)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::stored_model)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::stored_book)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::book_update)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::event_value)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::gpu_list)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::bus_request)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::bus_reply)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::bus_message)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::bus_status)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::kv_entry)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::kv_write)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::stored_breakdown)
AIOPS_LOCAL_MESSAGE_TYPE(std::vector<std::string>)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::lease_status)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::breakdown_ptr)
AIOPS_LOCAL_MESSAGE_TYPE(std::vector<aiops::history_point>)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::snapshot_ptr<aiops::model_status>)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::snapshot_ptr<aiops::training_overview>)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::snapshot_ptr<aiops::watchlist_overview>)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::snapshot_ptr<aiops::job_summaries>)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::snapshot_ptr<aiops::workload_list>)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::snapshot_ptr<aiops::gpu_list>)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::snapshot_ptr<aiops::gpu_inventory>)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::snapshot_ptr<aiops::cluster_counts>)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::snapshot_ptr<aiops::cluster_overview>)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::snapshot_ptr<aiops::cluster_history>)
