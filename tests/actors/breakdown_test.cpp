#include "actors/breakdown.hpp"

#include <doctest/doctest.h>

using namespace aiops;

TEST_CASE("counts of one workload add up and come sorted") {
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

TEST_CASE("a builder starts anew after it finished") {
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
