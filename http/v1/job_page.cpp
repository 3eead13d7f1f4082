#include "http/v1/job_page.hpp"

#include "base/error.hpp"

#include <algorithm>
#include <charconv>

namespace aiops::http {

namespace {

constexpr std::string_view cursor_prefix = "job:";

std::optional<uint64_t> decode_cursor(std::string_view text) {
  auto decoded = decode_base64url(text);
  if (!decoded || !decoded->starts_with(cursor_prefix))
    return std::nullopt;
  uint64_t result = 0;
  auto last = decoded->data() + decoded->size();
  auto [ptr, err] = std::from_chars(decoded->data() + cursor_prefix.size(),
                                    last, result);
  if (err != std::errc{} || ptr != last)
    return std::nullopt;
  return result;
}

} // namespace

caf::expected<job_query> read_job_query(const http_request& req) {
  job_query result;
  auto limit = read_limit(req);
  if (!limit)
    return std::move(limit.error());
  result.limit = *limit;
  if (auto text = req.parameter("cursor"); !text.empty()) {
    result.before = decode_cursor(text);
    if (!result.before)
      return make_error(ec::invalid_argument,
                        "cursor must be the nextCursor of an answer");
  }
  return result;
}

job_page page_of(const job_summaries& jobs, const job_query& query) {
  auto first = std::find_if(jobs.begin(), jobs.end(), [&](auto& x) {
    return !query.before || x.job.number < *query.before;
  });
  auto rest = std::span{first, jobs.end()};
  job_page result;
  result.total = jobs.size();
  result.jobs = rest.first(std::min(query.limit, rest.size()));
  if (result.jobs.size() < rest.size())
    result.next_cursor = encode_base64url(
      std::string{cursor_prefix}
      + std::to_string(result.jobs.back().job.number));
  return result;
}

} // namespace aiops::http
