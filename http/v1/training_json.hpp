#pragma once

#include "actors/messages.hpp"
#include "http/v1/job_page.hpp"
#include "json/writer.hpp"

#include <string>
#include <string_view>

/// @file
/// The JSON of trainings under `/api/v1`. `now` is the time of the answer, from
/// which elapsed and remaining time of a running job follow. Unless noted, a
/// job has the lengths of its lists instead of the lists, which may be
/// megabytes. Writing never fails.

namespace aiops::http {

/// The result of a submission; for a dry run also the running job.
std::string to_json(const training_result& x, bool dry_run, json_time now);

std::string to_json(const training_overview& x, json_time now);

std::string to_json(const job_page& x, json_time now);

/// The job with its lists.
std::string to_json(const training_job& x, json_time now);

std::string to_json(const watchlist_overview& x);

/// Maximum number of workloads in each list of an event.
inline constexpr size_t max_event_workloads = 100;

/// The lengths of the lists, and their first `max_event_workloads`.
std::string to_json(const watchlist_change& x);

std::string to_json(const backend_health& x);

/// The error of a submission that conflicts with a running job.
std::string problem_json(int status, std::string_view title,
                         std::string_view detail, const training_job& running,
                         json_time now);

} // namespace aiops::http
