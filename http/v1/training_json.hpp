#pragma once

#include "actors/messages.hpp"
#include "http/v1/job_page.hpp"
#include "json/writer.hpp"

#include <string>
#include <string_view>

/// @file
/// The JSON of the trainings on our own surface. `now` is the time of the
/// answer, by which a job that runs has elapsed and remaining time. Where it is
/// not said otherwise a job has the lengths of its lists, not the lists: they
/// may be megabytes. Writing never fails.

namespace aiops::http {

/// What became of a submission; of a dry run also the job that runs.
std::string to_json(const training_result& x, bool dry_run, json_time now);

std::string to_json(const training_overview& x, json_time now);

std::string to_json(const job_page& x, json_time now);

/// The job with its lists.
std::string to_json(const training_job& x, json_time now);

std::string to_json(const watchlist_overview& x);

/// Each list of an event ends after this many workloads.
inline constexpr size_t max_event_workloads = 100;

/// The lengths of the lists, and their first workloads.
std::string to_json(const watchlist_change& x);

std::string to_json(const backend_health& x);

/// The error of a submission that a running job stands in the way of.
std::string problem_json(int status, std::string_view title,
                         std::string_view detail, const training_job& running,
                         json_time now);

} // namespace aiops::http
