#include "nats/counts/counts_json.hpp"
#include "nats/subjects.hpp"

#include <doctest/doctest.h>

using namespace aiops;
using namespace aiops::nats;

namespace {

constexpr size_t no_limit = 1'000'000;

cluster_counts many(size_t n) {
  std::vector<std::string> names;
  for (size_t i = 0; i < n; ++i)
    names.push_back("deployment-" + std::to_string(i));
  std::vector<deployment_count> rows;
  for (size_t i = 0; i < n; ++i)
    rows.push_back(
      {i % 2 == 0 ? "ns \"1\"" : "ns-ä", names[i], static_cast<int64_t>(i)});
  return {"c.1", rows};
}

} // namespace

TEST_CASE("counts have the format that other programs read") {
  breakdown_builder builder;
  builder.add({"c", "n", "d"}, 123);
  builder.add({"c.2", "ä", "x"}, 1);
  auto text = encode_breakdown(*builder.finish(), no_limit);
  REQUIRE(text);
  CHECK(*text
        == R"({"ByCluster":{"c":{"ByNamespace":{"n":{"ByDeployment":{"d":)"
           R"({"deployment_name":"d","doc_count":123}}}}},"c.2":)"
           R"({"ByNamespace":{"ä":{"ByDeployment":{"x":)"
           R"({"deployment_name":"x","doc_count":1}}}}}}})");
  auto counts = decode_breakdown(*text);
  REQUIRE(counts);
  CHECK(encode_breakdown(*counts, no_limit) == text);
  CHECK(encode_breakdown(*counts, text->size()) == text);
  CHECK_FALSE(encode_breakdown(*counts, text->size() - 1));
  CHECK(encode_breakdown(breakdown{}, no_limit) == R"({"ByCluster":{}})");
  CHECK(decode_breakdown(R"({"ByCluster":{}})")->clusters.empty());
  CHECK(decode_breakdown(R"({"ByCluster":{"c":{}}})")->clusters.empty());
  for (auto bad : {"", "{}", "[]", "invalid", R"({"ByCluster":[]})"}) {
    CAPTURE(bad);
    CHECK(!decode_breakdown(bad));
  }
  CHECK(!decode_breakdown(
    R"({"ByCluster":{"c":{"ByNamespace":{"n":{"ByDeployment":{"d":7}}}}}})"));
}

TEST_CASE("rows of several namespaces are kept apart") {
  breakdown_builder builder;
  builder.add({"c", "a", "x"}, 1);
  builder.add({"c", "a", "y"}, 2);
  builder.add({"c", "b", "x"}, 3);
  auto counts = builder.finish();
  auto text = encode_breakdown(*counts, no_limit);
  REQUIRE(text);
  CHECK(decode_breakdown(*text)->clusters.at("c")->value()
        == counts->clusters.at("c")->value());
}

TEST_CASE("a pointer is distinguished from counts") {
  auto text = encode_pointer("aiops-gateway", "counts.7.1.manifest");
  CHECK(text
        == R"({"ByCluster":{},"sharded":{"bucket":"aiops-gateway",)"
           R"("manifest":"counts.7.1.manifest"}})");
  CHECK(decode_pointer(text, "aiops-gateway") == "counts.7.1.manifest");
  CHECK_FALSE(decode_pointer(text, "another"));
  CHECK_FALSE(decode_pointer(R"({"ByCluster":{}})", "aiops-gateway"));
  CHECK_FALSE(decode_pointer("invalid", "aiops-gateway"));
  // A program that does not know pointers reads no clusters.
  CHECK(decode_breakdown(text)->clusters.empty());
}

TEST_CASE("a cluster is split into shards below the limit") {
  auto counts = many(2000);
  for (size_t limit : {16'384UL, 20'000UL, no_limit}) {
    CAPTURE(limit);
    shard_splitter splitter{counts, limit};
    breakdown_builder builder;
    size_t shards = 0;
    size_t rows = 0;
    while (!splitter.done()) {
      auto text = splitter.next();
      CHECK(text.size() <= limit);
      auto n = decode_shard(text, builder);
      REQUIRE(n);
      rows += *n;
      ++shards;
    }
    CHECK((limit == no_limit ? shards == 1 : shards > 2));
    CHECK(rows == 2000);
    CHECK(builder.finish()->clusters.at("c.1")->value() == counts);
  }
}

TEST_CASE("the longest names fit into the smallest shard") {
  std::string longest;
  for (auto i = 0; i < 253; ++i)
    longest += "\xf0\x9f\x98\x80";
  cluster_counts counts{longest, {{longest, longest, INT64_MAX}}};
  shard_splitter splitter{counts, 16'384};
  breakdown_builder builder;
  auto text = splitter.next();
  CHECK(text.size() <= 16'384);
  CHECK(decode_shard(text, builder) == 1);
  CHECK(splitter.done());
  CHECK(builder.finish()->clusters.at(longest)->value() == counts);
}

TEST_CASE("invalid shards are refused") {
  breakdown_builder builder;
  for (auto bad : {"", "{}", "[]", "invalid", R"({"cluster":"c"})",
                   R"({"cluster":1,"namespaces":{}})",
                   R"({"cluster":"c","namespaces":[]})",
                   R"({"cluster":"c","namespaces":{"n":1}})",
                   R"({"cluster":"c","namespaces":{"n":{"d":"1"}}})"}) {
    CAPTURE(bad);
    CHECK_FALSE(decode_shard(bad, builder));
  }
}

TEST_CASE("a long index is split into several values") {
  std::vector<shard_list> all;
  for (size_t i = 0; i < 1000; ++i)
    all.push_back({"cluster \"" + std::to_string(i) + '"', i % 3 + 1});
  auto values = encode_index(all, 4096);
  CHECK(values.size() > 5);
  std::vector<shard_list> back;
  for (auto& value : values) {
    CHECK(value.size() <= 4096);
    CHECK(decode_index(value, back));
  }
  CHECK(back == all);
  CHECK(encode_index({}, 4096) == std::vector<std::string>{R"({"shards":[]})"});
  for (auto bad : {"", "{}", R"({"shards":{}})", R"({"shards":[1]})",
                   R"({"shards":[["c"]]})", R"({"shards":[["c",-1]]})",
                   R"({"shards":[["c",1000000000]]})"}) {
    CAPTURE(bad);
    CHECK_FALSE(decode_index(bad, back));
  }
}

TEST_CASE("a manifest describes a generation") {
  manifest x{7, "me", 2, 1000,
             std::chrono::system_clock::time_point{
               std::chrono::milliseconds{1769860800500}}};
  auto text = encode_manifest(x);
  auto back = decode_manifest(text);
  REQUIRE(back);
  CHECK(back->term == 7);
  CHECK(back->owner == "me");
  CHECK(back->index_values == 2);
  CHECK(back->workloads == 1000);
  CHECK(back->aggregated_at == x.aggregated_at);
  for (auto bad : {"", "{}", R"({"version":2,"indexValues":1,"workloads":1})",
                   R"({"version":1,"indexValues":1})",
                   R"({"version":1,"indexValues":-1,"workloads":1})"}) {
    CAPTURE(bad);
    CHECK_FALSE(decode_manifest(bad));
  }
}

TEST_CASE("a long interval of the history is split into several values") {
  history_point x{
    std::chrono::system_clock::time_point{std::chrono::seconds{1769860800}},
    {}};
  for (int64_t i = 0; i < 1000; ++i)
    x.log_counts["cluster-" + std::to_string(i)] = i;
  auto values = encode_history(x, 4096);
  CHECK(values.size() > 4);
  history_point back;
  for (auto& value : values) {
    CHECK(value.size() <= 4096);
    CHECK(decode_history(value, back) == values.size());
  }
  CHECK(back == x);
  // A part with another time is refused.
  auto other = encode_history({x.at + history_interval, {{"c", 1}}}, 4096);
  CHECK_FALSE(decode_history(other.front(), back));
  CHECK_FALSE(decode_history("invalid", back));
  auto empty = encode_history({x.at, {}}, 4096);
  REQUIRE(empty.size() == 1);
  CHECK(decode_history(empty.front(), back) == 1);
}

TEST_CASE("any name can be part of a key") {
  CHECK(subjects::encode_key_token("shop.eu-1 ä") == "shop=2Eeu-1=20=C3=A4");
  CHECK(subjects::shard_key("counts.1.2.", "a.b", 3)
        == "counts.1.2.shard.a=2Eb.3");
  CHECK(subjects::generation_prefix(7, 2) == "counts.7.2.");
}
