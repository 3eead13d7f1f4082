#pragma once

#include "actors/messages.hpp"
#include "http/workload_page.hpp"

#include <string>
#include <string_view>

/// @file
/// The JSON of the REST surface. On the compatibility surface it follows the
/// proto3 mapping: 64-bit integers are written as strings and read as numbers
/// or strings, null is a field's default, unknown fields are ignored, and
/// every field is always written.

namespace aiops {

// -- reading: an error is `invalid_argument` and names the field --------------

/// Reads `{"items":[{"clusterId","namespace","deployment"},…]}`; answers a
/// normalized list.
caf::expected<workload_list> read_workloads(std::string_view body);

caf::expected<training_statistics> read_statistics(std::string_view body);

caf::expected<model_status_update> read_status_update(std::string_view body);

// -- writing: never fails, whatever the strings hold --------------------------

std::string to_json(const training_result& x);

std::string to_json(const model_status& x);

std::string to_json(const workload_list& xs);

std::string to_json(const cluster_counts& x);

std::string to_json(const gpu_list& xs);

// As our own surface has it, with real integers.

std::string to_json(const cluster_overview& x);

/// The bytes made of an overview, and how old its counts are at this time.
std::string with_age(std::string_view bytes, const cluster_overview& x,
                     std::chrono::system_clock::time_point now);

std::string to_json(std::string_view cluster_id, const workload_query& query,
                    const workload_page& page);

/// The intervals that begin after `since`.
std::string to_json(const cluster_history& x,
                    std::chrono::system_clock::time_point since);

/// All GPUs, their sums by resource over the nodes where they can be had, and
/// how old that is.
std::string to_json(const gpu_inventory& x,
                    std::chrono::system_clock::time_point now);

/// An error of the compatibility surface.
std::string error_json(int grpc, std::string_view message);

/// An error of our own surface (RFC 9457).
std::string problem_json(int status, std::string_view title,
                         std::string_view detail);

/// A JSON string, quotes included.
std::string json_string(std::string_view text);

/// RFC 3339, UTC, in milliseconds.
std::string to_rfc3339(std::chrono::system_clock::time_point when);

} // namespace aiops
