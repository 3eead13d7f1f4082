#include "http/v1/workload_page.hpp"

#include "base/error.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <tuple>

using namespace aiops;
using namespace aiops::http;
using namespace std::literals;

namespace {

constexpr std::array orders = {workload_order::name, workload_order::name_down,
                               workload_order::count,
                               workload_order::count_down};

struct flat_row {
  std::string namespace_name;
  std::string deployment;
  int64_t log_count;

  friend bool operator==(const flat_row&, const flat_row&) = default;
};

using flat_rows = std::vector<flat_row>;

snapshot_ptr<cluster_counts> counts_of(const flat_rows& rows) {
  breakdown_builder builder;
  for (auto& x : rows)
    builder.add("c", x.namespace_name, x.deployment, x.log_count);
  return builder.finish()->clusters.at("c");
}

/// Deployments in seven namespaces, with many equal counts.
flat_rows random_rows(size_t n) {
  std::mt19937 random{4711};
  flat_rows result;
  for (size_t i = 0; i < n; ++i)
    result.push_back({"n" + std::to_string(i % 7), "d" + std::to_string(i),
                      static_cast<int64_t>(random() % 10)});
  return result;
}

/// All rows in order, sorted independently of the code under test.
flat_rows sorted(flat_rows rows, workload_order order) {
  std::sort(rows.begin(), rows.end(), [order](auto& x, auto& y) {
    auto name = [](auto& r) {
      return std::tie(r.namespace_name, r.deployment);
    };
    switch (order) {
      case workload_order::name:
        return name(x) < name(y);
      case workload_order::name_down:
        return name(y) < name(x);
      case workload_order::count:
        return std::tuple{x.log_count, name(x)}
               < std::tuple{y.log_count, name(y)};
      default:
        return std::tuple{-x.log_count, name(x)}
               < std::tuple{-y.log_count, name(y)};
    }
  });
  return rows;
}

flat_rows flat(const workload_page& page) {
  flat_rows result;
  for (auto& x : page.rows)
    result.push_back(
      {std::string{x.namespace_name}, std::string{x.deployment}, x.log_count});
  return result;
}

/// The rows of all pages, which the cursors connect.
flat_rows all_pages(const cluster_counts& counts, workload_query query,
                    size_t total) {
  flat_rows result;
  for (;;) {
    auto page = page_of(counts, query);
    CHECK(page.total == total);
    CHECK(page.rows.size() <= query.limit);
    auto rows = flat(page);
    result.insert(result.end(), rows.begin(), rows.end());
    if (!page.last)
      return result;
    REQUIRE(page.rows.size() == query.limit);
    auto cursor = encode_cursor(query.order, *page.last);
    query.after = decode_cursor(query.order, cursor);
    REQUIRE(query.after == page.last);
  }
}

caf::expected<workload_query>
read(std::vector<std::pair<std::string, std::string>> parameters) {
  http_request req;
  req.parameters = std::move(parameters);
  return read_workload_query(req);
}

std::string cursor_of(workload_order order) {
  return encode_cursor(order, {"n", "d", 0});
}

} // namespace

TEST_CASE("pages contain every row once, in order") {
  auto rows = random_rows(200);
  auto counts = counts_of(rows);
  for (auto order : orders) {
    for (size_t limit : {1, 7, 100, 199, 200, 201, 1000}) {
      CAPTURE(static_cast<int>(order));
      CAPTURE(limit);
      workload_query query;
      query.order = order;
      query.limit = limit;
      CHECK(all_pages(counts->value(), query, 200) == sorted(rows, order));
    }
  }
}

TEST_CASE("pages of one namespace contain its rows only") {
  auto rows = random_rows(200);
  auto counts = counts_of(rows);
  auto wanted = rows;
  std::erase_if(wanted, [](auto& x) { return x.namespace_name != "n3"; });
  for (auto order : orders) {
    workload_query query;
    query.namespace_name = "n3";
    query.order = order;
    query.limit = 4;
    CHECK(all_pages(counts->value(), query, wanted.size())
          == sorted(wanted, order));
    query.namespace_name = "n";
    CHECK(all_pages(counts->value(), query, 0).empty());
  }
}

TEST_CASE("a page begins after a row that no longer exists") {
  auto counts = counts_of({{"m", "a", 5}, {"n", "a", 1}, {"n", "c", 5}});
  auto first = [&](workload_order order, workload_position after) {
    workload_query query;
    query.order = order;
    query.after = std::move(after);
    auto rows = flat(page_of(counts->value(), query));
    return rows.empty()
             ? ""s
             : rows.front().namespace_name + "/" + rows.front().deployment;
  };
  CHECK(first(workload_order::name, {"n", "b", 0}) == "n/c");
  CHECK(first(workload_order::name, {"mm", "x", 0}) == "n/a");
  CHECK(first(workload_order::name, {"z", "", 0}) == "");
  CHECK(first(workload_order::name_down, {"n", "b", 0}) == "n/a");
  CHECK(first(workload_order::name_down, {"a", "", 0}) == "");
  CHECK(first(workload_order::count, {"n", "b", 5}) == "n/c");
  CHECK(first(workload_order::count, {"x", "x", 1}) == "m/a");
  CHECK(first(workload_order::count_down, {"n", "b", 5}) == "n/c");
  CHECK(first(workload_order::count_down, {"n", "d", 5}) == "n/a");
  CHECK(first(workload_order::count_down, {"a", "a", 1}) == "n/a");
  CHECK(first(workload_order::count_down, {"a", "a", 0}) == "");
}

TEST_CASE("changing counts neither skip nor repeat rows sorted by name") {
  auto rows = random_rows(50);
  workload_query query;
  query.limit = 8;
  flat_rows got;
  for (auto round = 0;; ++round) {
    auto changed = rows;
    for (auto& x : changed)
      x.log_count += round * 100;
    // Other rows are added and removed meanwhile.
    changed.push_back({"n0", "a" + std::to_string(round), 1});
    auto counts = counts_of(changed);
    auto page = page_of(counts->value(), query);
    for (auto& x : flat(page))
      if (x.deployment.starts_with('d'))
        got.push_back(x);
    if (!page.last)
      break;
    query.after = page.last;
  }
  auto names = sorted(rows, workload_order::name);
  REQUIRE(got.size() == names.size());
  for (size_t i = 0; i < got.size(); ++i)
    CHECK(got[i].deployment == names[i].deployment);
}

TEST_CASE("cursors preserve names with any content") {
  for (auto& x : {workload_position{"", "", 0},
                  {"n", "d", 0},
                  {"1:", ":2", 0},
                  {"\xc3\xa4", "\xf0\x9f\x98\x80", 0},
                  {std::string(1012, 'n'), std::string(1012, 'd'), 0}})
    for (auto order : orders)
      CHECK(decode_cursor(order, encode_cursor(order, x)) == x);
  for (int64_t n : {INT64_MIN, int64_t{-1}, int64_t{7}, INT64_MAX}) {
    workload_position x{"n", "d", n};
    auto order = workload_order::count_down;
    CHECK(decode_cursor(order, encode_cursor(order, x)) == x);
  }
  auto text = encode_cursor(workload_order::name, {"\xff\xfe", "\xfb", 0});
  CHECK(std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) || c == '-' || c == '_';
  }));
}

TEST_CASE("a cursor belongs to its order") {
  for (auto x : orders)
    for (auto y : orders)
      CHECK(decode_cursor(y, cursor_of(x)).has_value() == (x == y));
}

TEST_CASE("anything but a cursor is refused") {
  auto good = cursor_of(workload_order::name);
  REQUIRE(decode_cursor(workload_order::name, good));
  // The last bits belong to no byte and must be zero.
  auto padded = encode_cursor(workload_order::name, {"n", "dd", 0});
  REQUIRE(decode_cursor(workload_order::name, padded));
  ++padded.back();
  // "xxxx:1:nd"
  auto foreign = "eHh4eDoxOm5k"s;
  for (auto& text : {""s, "x"s, "!"s, good + "=", good + "A", good + "%",
                     " " + good, good.substr(0, 5), "AAAA"s, padded, foreign}) {
    CAPTURE(text);
    CHECK(!decode_cursor(workload_order::name, text));
  }
}

TEST_CASE("parameters are read") {
  auto got = read({});
  REQUIRE(got);
  CHECK(got->namespace_name.empty());
  CHECK(got->order == workload_order::name);
  CHECK(got->limit == 100);
  CHECK(!got->after);
  got = read({{"namespace", ""}, {"sort", ""}, {"limit", ""}, {"cursor", ""}});
  REQUIRE(got);
  CHECK(got->limit == 100);
  got = read({{"namespace", "n"},
              {"sort", "-logCount"},
              {"limit", "1000"},
              {"cursor", cursor_of(workload_order::count_down)}});
  REQUIRE(got);
  CHECK(got->namespace_name == "n");
  CHECK(got->order == workload_order::count_down);
  CHECK(got->limit == 1000);
  CHECK(got->after == workload_position{"n", "d", 0});
}

TEST_CASE("parameters out of range are refused by name") {
  using pair = std::pair<std::string, std::string>;
  for (auto& x : {pair{"limit", "0"},
                  {"limit", "1001"},
                  {"limit", "-1"},
                  {"limit", "1x"},
                  {"limit", " 1"},
                  {"limit", "1e2"},
                  {"limit", "99999999999999999999999"},
                  {"sort", "Name"},
                  {"sort", "+name"},
                  {"sort", "logCount,name"},
                  {"sort", "--name"},
                  {"cursor", "x"},
                  {"cursor", "%"},
                  {"cursor", cursor_of(workload_order::count)},
                  {"namespace", "a\nb"},
                  {"namespace", "\xff"},
                  {"namespace", std::string(254, 'n')}}) {
    CAPTURE(x.first);
    CAPTURE(x.second);
    auto got = read({x});
    REQUIRE(!got);
    CHECK(code_of(got.error()) == ec::invalid_argument);
    CHECK(text_of(got.error()).starts_with(x.first));
  }
  CHECK(!read({{"namespace", "m"}, {"cursor", cursor_of(orders[0])}}));
}
