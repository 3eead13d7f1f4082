#include "actors/counts/breakdown.hpp"

#include <doctest/doctest.h>

using namespace aiops;

TEST_CASE("counts of a workload are added and sorted") {
  breakdown_builder builder;
  builder.add({"c2", "n", "d"}, 5);
  builder.add({"c1", "n2", "a"}, 1);
  builder.add({"c1", "n1", "b"}, 2);
  builder.add({"c1", "n1", "a"}, 3);
  builder.add({"c1", "n1", "b"}, 40);
  auto counts = builder.finish();
  REQUIRE(counts->clusters.size() == 2);
  CHECK(
    counts->clusters.at("c1")->value()
    == cluster_counts{"c1", {{"n1", "a", 3}, {"n1", "b", 42}, {"n2", "a", 1}}});
  CHECK(counts->clusters.at("c2")->value()
        == cluster_counts{"c2", {{"n", "d", 5}}});
}

TEST_CASE("a cluster may have names with any bytes") {
  auto zero = std::string{"a\0b", 3};
  cluster_counts x{"c",
                   {{"n2", "", 1},
                    {zero, "ä", 2},
                    {"n2", zero, 3},
                    {"n1", "x", 4},
                    {"n2", "", 10}}};
  REQUIRE(x.size() == 4);
  CHECK(x[0] == deployment_count{zero, "ä", 2});
  CHECK(x[1] == deployment_count{"n1", "x", 4});
  CHECK(x[2] == deployment_count{"n2", "", 11});
  CHECK(x[3] == deployment_count{"n2", zero, 3});
  CHECK(x.namespaces() == std::vector<std::string>{zero, "n1", "n2"});
  CHECK(x.log_count() == 20);
  CHECK(std::distance(x.begin(), x.end()) == 4);
}

TEST_CASE("the rows of a namespace are contiguous") {
  cluster_counts x{
    "c", {{"b", "1", 1}, {"a", "1", 1}, {"b", "2", 1}, {"c", "1", 1}}};
  CHECK(x.range_of("a") == std::pair<size_t, size_t>{0, 1});
  CHECK(x.range_of("b") == std::pair<size_t, size_t>{1, 3});
  CHECK(x.range_of("c") == std::pair<size_t, size_t>{3, 4});
  for (auto absent : {"", "aa", "d"}) {
    auto [first, last] = x.range_of(absent);
    CHECK(first == last);
  }
}

TEST_CASE("the order of counts does not matter") {
  breakdown_builder sorted;
  breakdown_builder reversed;
  for (auto i = 0; i < 1000; ++i) {
    auto id = [](int n) {
      return workload{"c" + std::to_string(n / 500),
                      "n" + std::to_string(n / 100), "d" + std::to_string(n)};
    };
    sorted.add(id(i), i);
    reversed.add(id(999 - i), 999 - i);
  }
  CHECK(sorted.size() == 1000);
  auto x = sorted.finish();
  auto y = reversed.finish();
  REQUIRE(x->clusters.size() == 2);
  for (auto& [id, cluster] : x->clusters)
    CHECK(cluster->value() == y->clusters.at(id)->value());
}

TEST_CASE("a builder is empty after it has finished") {
  breakdown_builder builder;
  CHECK(builder.finish()->clusters.empty());
  builder.add({"c", "n", "d"}, 1);
  CHECK(builder.finish()->clusters.size() == 1);
  CHECK(builder.finish()->clusters.empty());
}

TEST_CASE("a summary counts namespaces, deployments and messages") {
  breakdown_builder builder;
  builder.add({"b", "n1", "x"}, 1);
  builder.add({"a", "n1", "x"}, 10);
  builder.add({"a", "n1", "y"}, 20);
  builder.add({"a", "n2", "x"}, 0);
  CHECK(summarize(*builder.finish())
        == std::vector<cluster_summary>{{"a", 2, 3, 30}, {"b", 1, 1, 1}});
  CHECK(summarize(breakdown{}).empty());
}
