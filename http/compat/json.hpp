#pragma once

#include "actors/messages.hpp"

#include <string>
#include <string_view>

/// @file
/// The JSON of the compatibility surface. It follows the proto3 mapping: 64-bit
/// integers are written as strings and read as numbers or strings, null is a
/// field's default, unknown fields are ignored, and every field is always
/// written.

namespace aiops::http {

// -- reading: an error is `invalid_argument` and names the field --------------

/// Reads `{"items":[{"clusterId","namespace","deployment"},…]}`; answers a
/// normalized list.
caf::expected<workload_list> read_workloads(std::string_view body);

/// Reads statistics. The job that they are about may stand beside them as
/// `uuid`.
caf::expected<job_progress> read_statistics(std::string_view body);

/// Reads `{"status","statistics"}`, both optional, with `uuid` likewise.
caf::expected<job_progress> read_status_update(std::string_view body);

// -- writing: never fails, whatever the strings hold --------------------------

std::string to_json(const training_result& x);

std::string to_json(const model_status& x);

std::string to_json(const workload_list& xs);

std::string to_json(const cluster_counts& x);

std::string to_json(const gpu_list& xs);

std::string runtime_classes_json(const std::vector<std::string>& names);

std::string error_json(int grpc, std::string_view message);

} // namespace aiops::http
