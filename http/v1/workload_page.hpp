#pragma once

#include "actors/counts/breakdown.hpp"
#include "http/v1/page.hpp"

/// @file
/// Pages of a cluster's counts: which rows, in which order, from where on.

namespace aiops::http {

/// How the rows of a list are sorted. Rows with equal counts are sorted by
/// name in either case.
enum class workload_order { name, name_down, count, count_down };

/// A row after which a page begins. It need not exist any more.
struct workload_position {
  std::string namespace_name;
  std::string deployment;
  /// Only with an order by count, else 0.
  int64_t log_count = 0;

  friend bool operator==(const workload_position&, const workload_position&)
    = default;
};

struct workload_query {
  /// Only rows of this namespace; all when empty.
  std::string namespace_name;
  workload_order order = workload_order::name;
  /// 1 to `max_page_size`.
  size_t limit = default_page_size;
  std::optional<workload_position> after;
};

struct workload_page {
  /// Rows on all pages.
  size_t total = 0;
  /// They point into the counts that the page was made of.
  std::vector<deployment_count> rows;
  /// Where the next page begins; nothing on the last one.
  std::optional<workload_position> last;
};

/// Reads the parameters `namespace`, `sort`, `limit` and `cursor`; an empty
/// one counts as absent. The error is `invalid_argument`.
caf::expected<workload_query> read_workload_query(const http_request& req);

/// A position as clients get it, opaque to them: base64url.
std::string encode_cursor(workload_order order, const workload_position& x);

/// Nothing when `text` is no cursor, or one for another order.
std::optional<workload_position> decode_cursor(workload_order order,
                                               std::string_view text);

/// Picks the rows of a page. Takes time in proportion to the page when sorted
/// by name, else to the rows of the namespace or cluster.
workload_page page_of(const cluster_counts& counts,
                      const workload_query& query);

} // namespace aiops::http
