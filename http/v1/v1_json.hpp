#pragma once

#include "actors/messages.hpp"
#include "http/v1/workload_page.hpp"
#include "json/writer.hpp"

#include <string>
#include <string_view>

/// @file
/// The JSON under `/api/v1`, with real integers. That of trainings is in
/// `training_json.hpp`. Writing never fails.

namespace aiops::http {

std::string to_json(const cluster_overview& x);

/// The encoded bytes of an overview, with the age of its counts added.
std::string with_age(std::string_view bytes, const cluster_overview& x,
                     json_time now);

std::string to_json(std::string_view cluster_id, const workload_query& query,
                    const workload_page& page);

/// The intervals that begin after `since`.
std::string to_json(const cluster_history& x, json_time since);

/// All GPUs, their sums by resource over the nodes that can be used, and the
/// age of the scan.
std::string to_json(const gpu_inventory& x, json_time now);

/// An error (RFC 9457).
std::string problem_json(int status, std::string_view title,
                         std::string_view detail);

// -- data of events -----------------------------------------------------------

/// The age of the counts, and their sums.
std::string summary_json(const cluster_overview& x);

/// The sums by resource, as in the inventory.
std::string summary_json(const gpu_inventory& x);

} // namespace aiops::http
