#include "logs/opensearch.hpp"
#include "tests/logs/scripted_node.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/live_system.hpp"

#include <doctest/doctest.h>
#include <httplib.h>
#include <nlohmann/json.hpp>

#include <unistd.h>

#include <cstdlib>

// Uses the node that OPENSEARCH_URL names.

using namespace aiops;
using namespace aiops::logs;
using namespace aiops::test;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

std::string node_url() {
  auto url = std::getenv("OPENSEARCH_URL");
  REQUIRE_MESSAGE(url, "OPENSEARCH_URL has to name a node");
  return url;
}

struct opensearch {
  opensearch() : client(node_url()) {
    client.set_read_timeout(60s);
    client.set_tcp_nodelay(true);
    auto up = [&] {
      auto answer = client.Get("/_cluster/health");
      return answer && answer->status == 200;
    };
    REQUIRE(eventually(up, 60s));
  }

  ~opensearch() {
    for (auto& index : indices)
      client.Delete(("/" + index).c_str());
  }

  json call(const httplib::Result& result) {
    REQUIRE(result);
    CAPTURE(result->body);
    REQUIRE(result->status / 100 == 2);
    return json::parse(result->body);
  }

  /// Creates an index of three shards, which is deleted after the test.
  std::string make(const std::string& suffix, const json& properties) {
    auto name = "aiops-test-" + std::to_string(getpid()) + "-" + suffix;
    json body{
      {"settings", {{"number_of_shards", 3}, {"number_of_replicas", 0}}},
      {"mappings", {{"properties", properties}}}};
    call(client.Put(("/" + name).c_str(), body.dump(), "application/json"));
    indices.push_back(name);
    return name;
  }

  void add(const std::string& index, const std::vector<json>& documents) {
    for (size_t i = 0; i < documents.size();) {
      std::string lines;
      for (auto end = std::min(i + 2000, documents.size()); i < end; ++i)
        lines += "{\"index\":{}}\n" + documents[i].dump() + "\n";
      auto answer = call(client.Post(("/" + index + "/_bulk").c_str(), lines,
                                     "application/x-ndjson"));
      REQUIRE(answer["errors"] == false);
    }
    call(client.Post(("/" + index + "/_refresh").c_str()));
  }

  httplib::Client client;
  std::vector<std::string> indices;
};

/// A text with a keyword below it, the default of OpenSearch for strings.
json text_and_keyword() {
  return {
    {"type", "text"},
    {"fields", {{"keyword", {{"type", "keyword"}, {"ignore_above", 256}}}}}};
}

/// The fields of one generation of log collectors.
struct generation {
  json properties;
  json (*document)(const workload&);
  std::string namespace_field;
};

generation generation_0_9() {
  return {{{"cluster_id", {{"type", "keyword"}}},
           {"log_type", {{"type", "keyword"}}},
           {"time", {{"type", "date"}}},
           {"namespace_name", text_and_keyword()},
           {"deployment", text_and_keyword()}},
          [](const workload& x) -> json {
            return {{"cluster_id", x.cluster_id},
                    {"namespace_name", x.namespace_name},
                    {"deployment", x.deployment},
                    {"log_type", "workload"},
                    {"log", "a line"}};
          },
          "namespace_name.keyword"};
}

generation generation_0_8() {
  auto result = generation_0_9();
  result.properties.erase("namespace_name");
  result.properties["kubernetes"] = {
    {"properties", {{"namespace_name", text_and_keyword()}}}};
  result.document = [](const workload& x) -> json {
    return {{"cluster_id", x.cluster_id},
            {"kubernetes", {{"namespace_name", x.namespace_name}}},
            {"deployment", x.deployment},
            {"log_type", "workload"}};
  };
  result.namespace_field = "kubernetes.namespace_name.keyword";
  return result;
}

struct live_count : live_system {
  explicit live_count(opensearch_config config) {
    source = spawn_detached(opensearch_log_source, opensearch_log_source_config{
                                                     std::move(config), 25s});
  }

  caf::expected<breakdown_ptr> count() {
    return ask<breakdown_ptr>(source, count_atom_v);
  }

  workload_counts counts() {
    auto result = count();
    CHECK_MESSAGE(result, text_of(result.error()));
    return result ? flatten(**result) : workload_counts{};
  }

  /// Counts, which has to fail; returns the reason.
  std::string failure() {
    auto result = count();
    REQUIRE(!result);
    return text_of(result.error());
  }

  log_source_actor source;
};

opensearch_config counting_in(const std::string& index) {
  opensearch_config result;
  result.urls = {node_url()};
  result.index = index;
  return result;
}

/// Workloads with few messages each, which are written quickly.
workload_counts few_messages(size_t workloads) {
  auto result = some_workloads(workloads);
  for (auto& [id, count] : result)
    count = count % 4 + 1;
  return result;
}

std::vector<json> documents_of(const workload_counts& counts,
                               const generation& fields) {
  std::vector<json> result;
  for (auto& [id, count] : counts)
    for (int64_t i = 0; i < count; ++i)
      result.push_back(fields.document(id));
  return result;
}

} // namespace

TEST_CASE("counts are exact, in both generations of fields") {
  opensearch server;
  auto expected = few_messages(1500);
  for (auto& fields : {generation_0_9(), generation_0_8()}) {
    CAPTURE(fields.namespace_field);
    auto index = server.make(fields.properties.contains("kubernetes") ? "08"
                                                                      : "09",
                             fields.properties);
    auto documents = documents_of(expected, fields);
    // These must not be counted.
    auto stray = fields.document({"stray", "n", "d"});
    stray["log_type"] = "controlplane";
    documents.push_back(stray);
    for (auto& id : {workload{"stray", "", "d"}, workload{"stray", "n", ""}})
      documents.push_back(fields.document(id));
    for (auto field :
         {"cluster_id", "namespace_name", "kubernetes", "deployment"}) {
      auto without = fields.document({"stray", "n", "d"});
      if (without.erase(field) > 0)
        documents.push_back(without);
    }
    server.add(index, documents);
    auto config = counting_in(index);
    config.namespace_field = fields.namespace_field;
    for (size_t page_size : {40, 10'000}) {
      CAPTURE(page_size);
      config.page_size = page_size;
      live_count c{config};
      CHECK(c.counts() == expected);
    }
    config.log_type.clear();
    live_count all{config};
    auto with_stray = expected;
    with_stray[{"stray", "n", "d"}] = 1;
    CHECK(all.counts() == with_stray);
  }
  // A field of the other generation has no workloads, which is not an error.
  auto config = counting_in(server.indices.front());
  config.namespace_field = "kubernetes.namespace_name.keyword";
  live_count wrong{config};
  CHECK(wrong.counts().empty());
  // Both indices at once, by a pattern.
  auto pattern = counting_in("aiops-test-" + std::to_string(getpid()) + "-0*");
  live_count both{pattern};
  CHECK(both.counts() == expected);
}

TEST_CASE("--opensearch-since counts the last documents") {
  opensearch server;
  auto fields = generation_0_9();
  auto index = server.make("since", fields.properties);
  auto now = std::chrono::duration_cast<std::chrono::milliseconds>(
               std::chrono::system_clock::now().time_since_epoch())
               .count();
  std::vector<json> documents;
  for (auto age : {0, 10, 50, 3000}) {
    documents.push_back(fields.document({"c", "n", "d"}));
    documents.back()["time"] = now - age * 60'000;
  }
  server.add(index, documents);
  auto config = counting_in(index);
  auto counted = [&](std::chrono::milliseconds since) {
    config.since = since;
    live_count c{config};
    return c.counts()[{"c", "n", "d"}];
  };
  CHECK(counted(0ms) == 4);
  CHECK(counted(30min) == 2);
  CHECK(counted(100h) == 4);
}

TEST_CASE("a refusal of OpenSearch is an error with its remedy") {
  opensearch server;
  auto contains = [](const std::string& text, const std::string& part) {
    CAPTURE(text);
    CHECK(text.find(part) != std::string::npos);
  };
  auto missing = "aiops-test-" + std::to_string(getpid()) + "-missing";
  contains(live_count{counting_in(missing)}.failure(), "--opensearch-index");
  contains(live_count{counting_in(missing + "*")}.failure(),
           "--opensearch-index");
  auto properties = generation_0_9().properties;
  properties["cluster_id"] = {{"type", "text"}};
  auto index = server.make("text", properties);
  server.add(index, {generation_0_9().document({"c", "n", "d"})});
  contains(live_count{counting_in(index)}.failure(),
           "--opensearch-cluster-field");
}

TEST_CASE("too many buckets are distinguished from overload") {
  opensearch server;
  auto cluster = server.call(server.client.Get("/"));
  // Not in a cluster with other users.
  if (cluster["cluster_name"] != "aiops-gateway-test")
    return;
  auto limit = [&](const json& value) {
    json settings{{"transient", {{"search.max_buckets", value}}}};
    server.call(server.client.Put("/_cluster/settings", settings.dump(),
                                  "application/json"));
  };
  auto fields = generation_0_9();
  auto expected = few_messages(100);
  auto index = server.make("buckets", fields.properties);
  server.add(index, documents_of(expected, fields));
  limit(50);
  auto config = counting_in(index);
  auto text = live_count{config}.failure();
  CAPTURE(text);
  CHECK(text.find("--opensearch-page-size") != std::string::npos);
  config.page_size = 50;
  CHECK(live_count{config}.counts() == expected);
  limit(nullptr);
}
