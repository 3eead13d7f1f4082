#pragma once

#include "actors/messages.hpp"
#include "http/v1/workload_page.hpp"
#include "json/writer.hpp"

#include <string>
#include <string_view>

/// @file
/// The JSON of our own surface, with real integers; that of the trainings
/// stands in `training_json.hpp`. Writing never fails.

namespace aiops::http {

std::string to_json(const cluster_overview& x);

/// The bytes made of an overview, and how old its counts are at this time.
std::string with_age(std::string_view bytes, const cluster_overview& x,
                     json_time now);

std::string to_json(std::string_view cluster_id, const workload_query& query,
                    const workload_page& page);

/// The intervals that begin after `since`.
std::string to_json(const cluster_history& x, json_time since);

/// All GPUs, their sums by resource over the nodes where they can be had, and
/// how old that is.
std::string to_json(const gpu_inventory& x, json_time now);

/// An error (RFC 9457).
std::string problem_json(int status, std::string_view title,
                         std::string_view detail);

// -- as events tell it --------------------------------------------------------

/// How far the counts can be trusted, and their sums.
std::string summary_json(const cluster_overview& x);

/// The sums by resource, as in the inventory.
std::string summary_json(const gpu_inventory& x);

} // namespace aiops::http
