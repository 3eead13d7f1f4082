#pragma once

#include "actors/training/training_job.hpp"
#include "http/v1/page.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>

/// @file
/// Pages of the list of jobs.

namespace aiops::http {

struct job_query {
  /// 1 to `max_page_size`.
  size_t limit = default_page_size;
  /// Only jobs with lower numbers.
  std::optional<uint64_t> before;
};

struct job_page {
  /// Jobs on all pages.
  size_t total = 0;
  /// A part of the list that was passed to `page_of`.
  std::span<const job_summary> jobs;
  /// Where the next page begins, opaque to clients; empty on the last page.
  std::string next_cursor;
};

/// Reads the parameters `limit` and `cursor`. An empty one counts as absent. An
/// error is `invalid_argument`.
caf::expected<job_query> read_job_query(const http_request& req);

/// Selects the jobs of a page. The jobs are sorted, newest first.
job_page page_of(const job_summaries& jobs, const job_query& query);

} // namespace aiops::http
