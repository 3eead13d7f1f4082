#pragma once

#include "actors/counts/breakdown.hpp"
#include "http/v1/page.hpp"

/// @file
/// Pages of the counts of a cluster: filter, order and position.

namespace aiops::http {

/// How the rows of a list are sorted. Rows with equal counts are always sorted
/// by ascending name.
enum class workload_order { name, name_down, count, count_down };

/// The row after which a page begins. It need not exist any longer.
struct workload_position {
  std::string namespace_name;
  std::string deployment;
  /// 0 if the order is by name.
  int64_t log_count = 0;

  friend bool operator==(const workload_position&, const workload_position&)
    = default;
};

struct workload_query {
  /// Only rows of this namespace; all if empty.
  std::string namespace_name;
  workload_order order = workload_order::name;
  /// 1 to `max_page_size`.
  size_t limit = default_page_size;
  std::optional<workload_position> after;
};

struct workload_page {
  /// Rows on all pages.
  size_t total = 0;
  /// They point into the counts that were passed to `page_of`.
  std::vector<deployment_count> rows;
  /// Where the next page begins; nothing on the last page.
  std::optional<workload_position> last;
};

/// Reads the parameters `namespace`, `sort`, `limit` and `cursor`. An empty one
/// counts as absent. An error is `invalid_argument`.
caf::expected<workload_query> read_workload_query(const http_request& req);

/// The cursor of a position: base64url, opaque to clients.
std::string encode_cursor(workload_order order, const workload_position& x);

/// Nothing if `text` is not a cursor for this order.
std::optional<workload_position> decode_cursor(workload_order order,
                                               std::string_view text);

/// Selects the rows of a page. The time is proportional to the size of the page
/// if sorted by name, else to the rows of the namespace or cluster.
workload_page page_of(const cluster_counts& counts,
                      const workload_query& query);

} // namespace aiops::http
