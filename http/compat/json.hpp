#pragma once

#include "actors/messages.hpp"

#include <string>
#include <string_view>

/// @file
/// The JSON of the compatibility API. It follows the proto3 mapping: 64-bit
/// integers are written as strings and read as numbers or strings, null means
/// the default of a field, unknown fields are ignored, and every field is
/// always written.

namespace aiops::http {

// -- reading: an error is `invalid_argument` and names the field --------------

/// Reads `{"items":[{"clusterId","namespace","deployment"},…]}` and returns a
/// normalized list.
caf::expected<workload_list> read_workloads(std::string_view body);

/// Reads statistics. The optional member `uuid` names their job.
caf::expected<job_progress> read_statistics(std::string_view body);

/// Reads `{"status","statistics","uuid"}`, all optional.
caf::expected<job_progress> read_status_update(std::string_view body);

// -- writing: never fails, whatever the strings contain -----------------------

std::string to_json(const training_result& x);

std::string to_json(const model_status& x);

std::string to_json(const workload_list& xs);

std::string to_json(const cluster_counts& x);

std::string to_json(const gpu_list& xs);

std::string runtime_classes_json(const std::vector<std::string>& names);

std::string error_json(int grpc, std::string_view message);

} // namespace aiops::http
