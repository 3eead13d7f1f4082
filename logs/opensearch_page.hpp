#pragma once

#include "actors/counts/breakdown.hpp"
#include "base/error.hpp"
#include "config/config.hpp"

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

/// @file
/// Requests to OpenSearch and its answers, without a connection: one composite
/// aggregation, read page by page.

namespace simdjson::dom {

class parser;

} // namespace simdjson::dom

namespace aiops::logs {

/// Path and parameters of a request that the server has to end within
/// `budget`. Its parts have to end a little earlier, so that the server reports
/// what was late.
std::string opensearch_target(const opensearch_config& config,
                              std::chrono::milliseconds budget);

/// Body of the request for the page after `after_key` (the JSON of the previous
/// page), or for the first page when that is empty.
std::string opensearch_query(const opensearch_config& config,
                             std::string_view after_key);

/// What a page contains besides its counts.
struct opensearch_page {
  /// Number of buckets, including those without a valid workload.
  size_t buckets = 0;
  /// Buckets that were left out because of an invalid name.
  size_t foreign = 0;
  /// For the request for the next page, as JSON; empty on the last page.
  std::string after_key;
};

/// Reads pages. Holds memory for the largest page only.
class opensearch_page_reader {
public:
  /// Bytes that have to be readable after a page.
  static const size_t padding;

  opensearch_page_reader();

  ~opensearch_page_reader();

  /// Adds the counts of a complete page; an error when it is incomplete or
  /// unreadable (some counts may then have been added).
  /// @param body is followed by `padding` readable bytes.
  caf::expected<opensearch_page> read(std::string_view body,
                                      breakdown_builder& to);

private:
  std::unique_ptr<simdjson::dom::parser> parser_;
};

/// The content of an answer other than 200.
struct opensearch_failure {
  /// Type and reason as text; empty when the body has neither.
  std::string text;
  /// The aggregation has more buckets than the server allows. The status of
  /// this answer otherwise means overload.
  bool too_many_buckets = false;
};

opensearch_failure read_opensearch_failure(std::string_view body);

} // namespace aiops::logs
