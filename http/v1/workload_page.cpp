#include "http/v1/workload_page.hpp"

#include "actors/workload.hpp"
#include "base/error.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace aiops::http {

namespace {

using namespace std::literals;

/// The names of orders in `sort` and in cursors.
constexpr std::array order_names = {"name"sv, "-name"sv, "logCount"sv,
                                    "-logCount"sv};

std::string_view name_of(workload_order order) {
  return order_names[static_cast<size_t>(order)];
}

bool by_count(workload_order order) {
  return order == workload_order::count || order == workload_order::count_down;
}

caf::error invalid(std::string text) {
  return make_error(ec::invalid_argument, std::move(text));
}

/// Removes a number and the colon after it, and stores the number.
template <class T>
bool cut_number(std::string_view& text, T& result) {
  auto last = text.data() + text.size();
  auto [ptr, err] = std::from_chars(text.data(), last, result);
  if (err != std::errc{} || ptr == last || *ptr != ':')
    return false;
  text.remove_prefix(static_cast<size_t>(ptr - text.data()) + 1);
  return true;
}

// -- selecting rows -----------------------------------------------------------

/// The first row of a range that is after `x` by name.
size_t upper_bound(const cluster_counts& counts, size_t first, size_t last,
                   const workload_position& x) {
  auto wanted = std::pair<std::string_view, std::string_view>{x.namespace_name,
                                                              x.deployment};
  while (first < last) {
    auto middle = first + (last - first) / 2;
    auto row = counts[middle];
    if (wanted < std::pair{row.namespace_name, row.deployment})
      last = middle;
    else
      first = middle + 1;
  }
  return first;
}

bool is_at(const cluster_counts& counts, size_t index,
           const workload_position& x) {
  auto row = counts[index];
  return row.namespace_name == x.namespace_name
         && row.deployment == x.deployment;
}

/// A row that may be on the page.
struct candidate {
  int64_t log_count;
  /// In the counts of the cluster, and thus by name.
  size_t index;
};

/// The rows after the position. The first `limit` of them are sorted.
std::vector<candidate> select_by_count(const cluster_counts& counts,
                                       size_t first, size_t last,
                                       const workload_query& query) {
  auto down = query.order == workload_order::count_down;
  auto less = [down](const candidate& x, const candidate& y) {
    if (x.log_count != y.log_count)
      return down ? x.log_count > y.log_count : x.log_count < y.log_count;
    return x.index < y.index;
  };
  // Of the rows with the count of the position, those from this index on are
  // after it.
  candidate begin{0, 0};
  if (query.after)
    begin = {query.after->log_count,
             upper_bound(counts, first, last, *query.after)};
  std::vector<candidate> result;
  for (auto i = first; i < last; ++i) {
    candidate x{counts[i].log_count, i};
    if (!query.after || !less(x, begin))
      result.push_back(x);
  }
  auto wanted = std::min(query.limit, result.size());
  auto middle = result.begin() + static_cast<ptrdiff_t>(wanted);
  if (middle != result.end())
    std::nth_element(result.begin(), middle, result.end(), less);
  std::sort(result.begin(), middle, less);
  return result;
}

} // namespace

caf::expected<workload_query> read_workload_query(const http_request& req) {
  workload_query result;
  result.namespace_name = req.parameter("namespace");
  if (!result.namespace_name.empty() && !valid_name(result.namespace_name))
    return invalid("namespace must be a name of 1 to 253 characters without "
                   "control characters");
  if (auto text = req.parameter("sort"); !text.empty()) {
    auto i = std::find(order_names.begin(), order_names.end(), text);
    if (i == order_names.end())
      return invalid("sort must be name, -name, logCount or -logCount");
    result.order = static_cast<workload_order>(i - order_names.begin());
  }
  auto limit = read_limit(req);
  if (!limit)
    return std::move(limit.error());
  result.limit = *limit;
  if (auto text = req.parameter("cursor"); !text.empty()) {
    result.after = decode_cursor(result.order, text);
    auto& only = result.namespace_name;
    if (!result.after
        || (!only.empty() && result.after->namespace_name != only))
      return invalid("cursor must be the nextCursor of an answer with the same "
                     "sort and namespace");
  }
  return result;
}

std::string encode_cursor(workload_order order, const workload_position& x) {
  auto text = std::string{name_of(order)} + ":";
  if (by_count(order))
    text += std::to_string(x.log_count) + ":";
  text += std::to_string(x.namespace_name.size()) + ":";
  return encode_base64url(text + x.namespace_name + x.deployment);
}

std::optional<workload_position> decode_cursor(workload_order order,
                                               std::string_view text) {
  auto decoded = decode_base64url(text);
  if (!decoded)
    return std::nullopt;
  std::string_view rest{*decoded};
  auto prefix = std::string{name_of(order)} + ":";
  if (!rest.starts_with(prefix))
    return std::nullopt;
  rest.remove_prefix(prefix.size());
  workload_position result;
  size_t size = 0;
  if ((by_count(order) && !cut_number(rest, result.log_count))
      || !cut_number(rest, size) || size > rest.size())
    return std::nullopt;
  result.namespace_name = rest.substr(0, size);
  result.deployment = rest.substr(size);
  return result;
}

workload_page page_of(const cluster_counts& counts,
                      const workload_query& query) {
  auto [first, last] = query.namespace_name.empty()
                         ? std::pair{size_t{0}, counts.size()}
                         : counts.range_of(query.namespace_name);
  workload_page result;
  result.total = last - first;
  auto more = false;
  if (by_count(query.order)) {
    auto selected = select_by_count(counts, first, last, query);
    more = selected.size() > query.limit;
    selected.resize(std::min(selected.size(), query.limit));
    for (auto& x : selected)
      result.rows.push_back(counts[x.index]);
  } else if (query.order == workload_order::name) {
    auto from = query.after ? upper_bound(counts, first, last, *query.after)
                            : first;
    auto to = from + std::min(query.limit, last - from);
    more = to < last;
    for (auto i = from; i < to; ++i)
      result.rows.push_back(counts[i]);
  } else {
    auto from = last;
    if (query.after) {
      from = upper_bound(counts, first, last, *query.after);
      if (from > first && is_at(counts, from - 1, *query.after))
        --from;
    }
    auto to = from - std::min(query.limit, from - first);
    more = to > first;
    for (auto i = from; i > to; --i)
      result.rows.push_back(counts[i - 1]);
  }
  if (more) {
    auto& row = result.rows.back();
    result.last = workload_position{std::string{row.namespace_name},
                                    std::string{row.deployment},
                                    by_count(query.order) ? row.log_count : 0};
  }
  return result;
}

} // namespace aiops::http
