#pragma once

#include "actors/atoms.hpp"
#include "actors/breakdown.hpp"
#include "actors/snapshot.hpp"
#include "actors/workload.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

/// @file
/// What actors tell one another: plain values that never leave the process
/// (hence no serialization: see the end of this file).

namespace aiops {

// -- training -----------------------------------------------------------------

/// How far a training is, as the backend reports it.
struct training_statistics {
  /// Seconds since the training began.
  int64_t time_elapsed = 0;
  /// 0 to 100.
  int64_t percentage_completed = 0;
  /// Seconds until the training ends, by the backend's own estimate.
  int64_t remaining_time = 0;
  int64_t current_epoch = 0;
  double model_accuracy = 0.0;
  /// Free text; in the field `fetching data` and `train`.
  std::string stage;

  friend bool operator==(const training_statistics&, const training_statistics&)
    = default;
};

/// What the dashboard shows of the model.
struct model_status {
  /// Free text; in the field `training`, `completed`, `not started`,
  /// `training failed`, `no model trained`.
  std::string status;
  training_statistics statistics;

  friend bool operator==(const model_status&, const model_status&) = default;
};

/// An update of the model's status; without statistics it leaves them alone.
struct model_status_update {
  std::string status;
  std::optional<training_statistics> statistics;
};

/// What became of a submission.
struct training_result {
  /// The backend's own words.
  std::string response;
  training_action action = training_action::none;
};

// -- GPUs ---------------------------------------------------------------------

/// What one unit of a GPU resource is.
enum class gpu_kind {
  /// A whole GPU.
  full,
  /// A part of one that nobody else gets (NVIDIA's MIG).
  mig,
  /// A GPU that others may get at the same time.
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
  /// Units that running pods (or processes) have; nothing: not known.
  std::optional<int64_t> allocated = {};
  /// Whether the node works and takes new pods. What stands on another cannot
  /// be had.
  bool ready = true;
  bool schedulable = true;
  /// Version of the driver; empty when it is not known.
  std::string driver = {};
  /// What the resource consists of; empty when the source does not know.
  std::vector<gpu_device> devices = {};

  friend bool operator==(const gpu_resource&, const gpu_resource&) = default;
};

using gpu_list = std::vector<gpu_resource>;

/// All GPUs, and how far that can be trusted.
struct gpu_inventory {
  /// By node, then by resource.
  gpu_list gpus;
  /// When they were looked for; nothing before the first time.
  std::optional<std::chrono::system_clock::time_point> observed_at;
  /// Whether the last look failed.
  bool stale = false;
  /// Why; empty when it did not.
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
};

struct bus_reply {
  std::string payload;
};

/// A message on a subject that somebody subscribed to.
struct bus_message {
  std::string subject;
  std::string payload;
};

/// The state of the connection to NATS.
struct bus_status {
  bool connected = false;
  /// The server we are connected to, without credentials; empty when not
  /// connected.
  std::string server;
  /// The largest payload that the server takes, in bytes.
  int64_t max_payload = 0;
  /// Why we are not connected; empty when we are.
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
  /// Set when the value is sent to a listener, who may follow several keys.
  std::string key = {};
};

/// A write to a key-value bucket.
struct kv_write {
  std::string bucket;
  std::string key;
  std::string value;
  /// Refuse with `ec::conflict` unless this is the key's current revision (0:
  /// the key must not exist). Nothing: write whatever stands there.
  std::optional<uint64_t> expected;
};

// -- state that all replicas share ---------------------------------------------

/// Progress as it stands in the store.
struct stored_statistics {
  training_statistics value;
  /// 0 when none were stored yet; `value` is then all zeros.
  uint64_t revision = 0;
};

/// Counts as they stand in the store.
struct stored_breakdown {
  /// Null before the first aggregation.
  breakdown_ptr value;
  uint64_t revision = 0;
  std::chrono::system_clock::time_point created;
  /// Why the replica that counts could not renew them since; empty when it
  /// could.
  std::string failure = {};
};

/// Who does a task that one replica does at a time.
struct lease_status {
  /// Whether it is us.
  bool held = false;
  /// Number of our term (higher than that of all before us): the revision at
  /// which we came to hold the lease. 0 when we do not.
  uint64_t term = 0;
  /// Until when we may act without further word.
  caf::actor_clock::time_point until;
};

} // namespace aiops

// These types stay within one process and so are never serialized.
#define AIOPS_LOCAL_MESSAGE_TYPE(type) CAF_ALLOW_UNSAFE_MESSAGE_TYPE(type)

AIOPS_LOCAL_MESSAGE_TYPE(aiops::workload_list)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::training_statistics)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::model_status_update)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::training_result)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::gpu_list)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::bus_request)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::bus_reply)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::bus_message)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::bus_status)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::kv_entry)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::kv_write)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::stored_statistics)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::stored_breakdown)
AIOPS_LOCAL_MESSAGE_TYPE(std::vector<std::string>)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::lease_status)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::breakdown_ptr)
AIOPS_LOCAL_MESSAGE_TYPE(std::vector<aiops::history_point>)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::snapshot_ptr<aiops::model_status>)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::snapshot_ptr<aiops::workload_list>)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::snapshot_ptr<aiops::gpu_list>)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::snapshot_ptr<aiops::gpu_inventory>)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::snapshot_ptr<aiops::cluster_counts>)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::snapshot_ptr<aiops::cluster_overview>)
AIOPS_LOCAL_MESSAGE_TYPE(aiops::snapshot_ptr<aiops::cluster_history>)
