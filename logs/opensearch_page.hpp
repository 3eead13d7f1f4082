#pragma once

#include "actors/counts/breakdown.hpp"
#include "base/error.hpp"
#include "config/config.hpp"

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

/// @file
/// What is asked of OpenSearch and what it answers, without any connection:
/// one composite aggregation, read page by page.

namespace simdjson::dom {

class parser;

} // namespace simdjson::dom

namespace aiops::logs {

/// Path and parameters of a request that the server has to end within
/// `budget`: its parts a little earlier, so that it is the server who says what
/// was late.
std::string opensearch_target(const opensearch_config& config,
                              std::chrono::milliseconds budget);

/// Body of the request for the page after `after_key` (JSON, as the page
/// before had it), or for the first page when that is empty.
std::string opensearch_query(const opensearch_config& config,
                             std::string_view after_key);

/// What a page says besides its counts.
struct opensearch_page {
  /// Number of buckets, those that name no workload included.
  size_t buckets = 0;
  /// Buckets left out since their names cannot name a workload.
  size_t foreign = 0;
  /// What to ask the next page with, as JSON; empty on the last page.
  std::string after_key;
};

/// Reads pages. Holds memory for the largest page only.
class opensearch_page_reader {
public:
  /// Bytes that have to be readable behind a page.
  static const size_t padding;

  opensearch_page_reader();

  ~opensearch_page_reader();

  /// Adds the counts of a page that is complete; answers an error when it is
  /// not, or cannot be read (some counts may then have been added).
  /// @param body is followed by `padding` readable bytes.
  caf::expected<opensearch_page> read(std::string_view body,
                                      breakdown_builder& to);

private:
  std::unique_ptr<simdjson::dom::parser> parser_;
};

/// What an answer other than 200 says.
struct opensearch_failure {
  /// Type and reason, for a person; empty when the body tells neither.
  std::string text;
  /// The aggregation has more buckets than the server makes. It says so with a
  /// status that otherwise means overload.
  bool too_many_buckets = false;
};

opensearch_failure read_opensearch_failure(std::string_view body);

} // namespace aiops::logs
