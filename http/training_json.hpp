#pragma once

#include "actors/messages.hpp"
#include "http/json_writer.hpp"

#include <string>
#include <string_view>

/// @file
/// The JSON of the trainings on our own surface. `now` is the time of the
/// answer, by which a job that runs has elapsed and remaining time. Writing
/// never fails.

namespace aiops {

/// What became of a submission; of a dry run also the job that runs.
std::string to_json(const training_result& x, bool dry_run, json_time now);

std::string to_json(const training_overview& x, json_time now);

/// The jobs in their order.
std::string to_json(const job_list& xs, json_time now);

std::string to_json(const watchlist_overview& x);

std::string to_json(const backend_health& x);

/// The error of a submission that a running job stands in the way of.
std::string problem_json(int status, std::string_view title,
                         std::string_view detail, const training_job& running,
                         json_time now);

} // namespace aiops
