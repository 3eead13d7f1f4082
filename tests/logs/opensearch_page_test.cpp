#include "logs/opensearch_client.hpp"
#include "logs/opensearch_page.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

using namespace aiops;
using namespace aiops::logs;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

std::string page(const std::string& buckets, const std::string& more = "",
                 const std::string& shards
                 = R"({"total":2,"successful":2,"skipped":0,"failed":0})") {
  return R"({"timed_out":false,"_shards":)" + shards
         + R"(,"aggregations":{"bucket":{)" + more + R"("buckets":[)" + buckets
         + "]}}}";
}

std::string bucket(const std::string& cluster, const std::string& ns,
                   const std::string& deployment, const std::string& count) {
  return R"({"key":{"cluster_id":")" + cluster + R"(","namespace_name":")" + ns
         + R"(","deployment":")" + deployment + R"("},"doc_count":)" + count
         + "}";
}

/// Reads one page into empty counts.
struct reading {
  explicit reading(std::string body) {
    auto size = body.size();
    body.append(opensearch_page_reader::padding, ' ');
    opensearch_page_reader reader;
    page = reader.read(std::string_view{body}.substr(0, size), builder);
    if (!page)
      problem = text_of(page.error());
  }

  ec code() const {
    return page ? ec::none : code_of(page.error());
  }

  bool complains_of(const std::string& what) const {
    return problem.find(what) != std::string::npos;
  }

  breakdown_builder builder;
  caf::expected<opensearch_page> page{opensearch_page{}};
  std::string problem;
};

} // namespace

TEST_CASE("a query filters, counts no hits and pages") {
  opensearch_config config;
  auto query = json::parse(opensearch_query(config, ""));
  CHECK(query["size"] == 0);
  CHECK(query["track_total_hits"] == false);
  CHECK(query["query"]["bool"]["filter"] == json::parse(R"([
    {"term":{"log_type":"workload"}},
    {"exists":{"field":"namespace_name.keyword"}},
    {"exists":{"field":"deployment.keyword"}}])"));
  CHECK(query["query"]["bool"]["must_not"] == json::parse(R"([
    {"term":{"namespace_name.keyword":""}},
    {"term":{"deployment.keyword":""}}])"));
  CHECK(query["aggs"] == json::parse(R"({"bucket":{"composite":{"size":10000,
    "sources":[{"cluster_id":{"terms":{"field":"cluster_id"}}},
    {"namespace_name":{"terms":{"field":"namespace_name.keyword"}}},
    {"deployment":{"terms":{"field":"deployment.keyword"}}}]}}})"));
}

TEST_CASE("a query follows the configuration and the page before") {
  opensearch_config config;
  config.log_type.clear();
  config.cluster_field = "c\"x";
  config.namespace_field = "kubernetes.namespace_name.keyword";
  config.since = 90'500ms;
  config.time_field = "@timestamp";
  config.page_size = 7;
  auto after = std::string{R"({"cluster_id":"a\"ä\\","deployment":"日"})"};
  auto query = json::parse(opensearch_query(config, after));
  auto& filter = query["query"]["bool"]["filter"];
  CHECK(filter.size() == 3);
  CHECK(filter[0]["exists"]["field"] == config.namespace_field);
  CHECK(filter[2] == json::parse(R"({"range":{"@timestamp":
    {"gte":"now-91s"}}})"));
  auto& composite = query["aggs"]["bucket"]["composite"];
  CHECK(composite["size"] == 7);
  CHECK(composite["after"] == json::parse(after));
  CHECK(composite["sources"][0]["cluster_id"]["terms"]["field"] == "c\"x");
}

TEST_CASE("a target names the index and the server's deadlines") {
  opensearch_config config;
  config.index = "logs-*,<logs-{now/d}>,ä?#";
  auto target = opensearch_target(config, 10s);
  CHECK(target.starts_with("/logs-*,%3Clogs-%7Bnow%2Fd%7D%3E,%C3%A4%3F%23/"
                           "_search?filter_path=timed_out,_shards,"));
  for (auto part : {"&allow_partial_search_results=false", "&timeout=7000ms",
                    "&cancel_after_time_interval=8500ms",
                    "&max_concurrent_shard_requests=5",
                    "aggregations.bucket.after_key", ",error,status"})
    CHECK_MESSAGE(target.find(part) != std::string::npos, part);
  CHECK(opensearch_target(config, 0ms).find("timeout=1ms")
        != std::string::npos);
}

TEST_CASE("URLs of nodes are split") {
  auto url = net::split_http_url("https://os.example.org");
  CHECK(url.tls);
  CHECK(url.host == "os.example.org");
  CHECK(url.port == 443);
  CHECK(url.prefix == "");
  url = net::split_http_url("http://[::1]:9200/a/b/");
  CHECK(!url.tls);
  CHECK(url.host == "::1");
  CHECK(url.port == 9200);
  CHECK(url.prefix == "/a/b");
  CHECK(net::split_http_url("http://h").port == 80);
  CHECK(net::split_http_url("https://[::1]/").port == 443);
}

TEST_CASE("a page adds its counts and has the key of the next page") {
  reading r{page(bucket("c", "n", "d.1", "5") + ","
                   + bucket("c", "n", "\\u00e4\\n", "1") + ","
                   + bucket("c", "n", "ä/\\\"日", "9007199254740993"),
                 R"("after_key":{"cluster_id":"z","deployment":"\"ä"},)")};
  CHECK(r.problem == "");
  REQUIRE(r.page);
  CHECK(r.page->buckets == 3);
  CHECK(r.page->foreign == 1);
  CHECK(json::parse(r.page->after_key)
        == json::parse(R"({"cluster_id":"z","deployment":"\"ä"})"));
  auto counts = r.builder.finish();
  CHECK(counts->clusters.at("c")->value()
        == cluster_counts{
          "c", {{"n", "d.1", 5}, {"n", "ä/\"日", 9007199254740993}}});
}

TEST_CASE("the last page has no after_key or no buckets") {
  CHECK(reading{page(bucket("c", "n", "d", "1"))}.page->after_key == "");
  CHECK(reading{page("", R"("after_key":null,)")}.page->after_key == "");
  CHECK(reading{page("")}.page->buckets == 0);
}

TEST_CASE("a partial page is an error") {
  auto shards = [](const std::string& text) {
    return reading{page("", "", text)};
  };
  auto failed = shards(R"({"total":5,"successful":4,"failed":1})");
  CHECK(failed.code() == ec::bad_reply);
  CHECK(failed.complains_of("1 of 5 shards"));
  auto missing = shards(R"({"total":5,"successful":3,"failed":0})");
  CHECK(missing.complains_of("2 of 5 shards"));
  auto none = shards(R"({"total":0,"successful":0,"failed":0})");
  CHECK(none.code() == ec::refused);
  CHECK(none.complains_of("--opensearch-index"));
  for (auto bad : {"{}", "null", "[]", R"({"total":1})", R"({"failed":0})",
                   R"({"total":"1","failed":0})"})
    CHECK_MESSAGE(shards(bad).code() == ec::bad_reply, bad);
  auto late = page("");
  late.replace(late.find("false"), 5, "true");
  CHECK(reading{late}.code() == ec::timeout);
}

TEST_CASE("anything but a page is an error") {
  auto good = page(bucket("c", "n", "d", "1"));
  REQUIRE(reading{good}.page);
  // Cut anywhere.
  for (size_t length = 0; length < good.size(); ++length)
    CHECK_MESSAGE(!reading{good.substr(0, length)}.page, length);
  auto without = [&](const std::string& part) {
    auto text = good;
    auto at = text.find(part);
    REQUIRE(at != std::string::npos);
    return reading{text.replace(at, part.size(), R"("x":1,)")};
  };
  CHECK(!without(R"("timed_out":false,)").page);
  CHECK(!without(R"("_shards":{"total":2,"successful":2,"skipped":0,)"
                 R"("failed":0},)")
           .page);
  for (auto bad :
       {R"({"key":{"cluster_id":"c","namespace_name":"n"},"doc_count":1})",
        R"({"key":{"cluster_id":7,"namespace_name":"n","deployment":"d"},)"
        R"("doc_count":1})",
        R"({"key":{"cluster_id":"c","namespace_name":"n","deployment":"d"}})",
        R"({"key":{"cluster_id":"c","namespace_name":"n","deployment":"d"},)"
        R"("doc_count":-1})",
        R"({"key":{"cluster_id":"c","namespace_name":"n","deployment":"d"},)"
        R"("doc_count":1.5})",
        R"({"key":[],"doc_count":1})", "{}", "1", "null"}) {
    reading r{page(bad)};
    CHECK_MESSAGE(r.code() == ec::bad_reply, bad);
    CHECK(r.complains_of("keyword"));
  }
  for (auto bad : {"", "[]", "1", "{}", "<html>", "{\"a\":1}}", "\xff",
                   R"({"timed_out":false,"_shards":{"total":1,"failed":0},)"
                   R"("aggregations":{"bucket":{"buckets":{}}}})",
                   R"({"timed_out":false,"_shards":{"total":1,"failed":0}})"})
    CHECK_MESSAGE(reading{bad}.code() == ec::bad_reply, bad);
  CHECK(!reading{page("", R"("after_key":"x",)")}.page);
  reading refusal{R"({"error":{"type":"t","reason":"r"},"status":500})"};
  CHECK(refusal.code() == ec::refused);
  CHECK(refusal.complains_of("t: r"));
}

TEST_CASE("a failure has the type and reason of OpenSearch") {
  auto failure = read_opensearch_failure(R"({"error":{"root_cause":[
    {"type":"index_not_found_exception","reason":"no such index [x]"}],
    "type":"x","reason":"y"},"status":404})");
  CHECK(failure.text == "index_not_found_exception: no such index [x]");
  CHECK(!failure.too_many_buckets);
  // The answer of the phase that merges shards.
  failure = read_opensearch_failure(R"({"error":{"root_cause":[],
    "type":"search_phase_execution_exception","reason":"","caused_by":
    {"type":"too_many_buckets_exception","reason":"Trying to create 9"}},
    "status":503})");
  CHECK(failure.text == "too_many_buckets_exception: Trying to create 9");
  CHECK(failure.too_many_buckets);
  CHECK(read_opensearch_failure(R"({"error":"plain","status":405})").text
        == "plain");
  for (auto body : {"Unauthorized", "", "{}", R"({"error":7})",
                    R"({"error":{"root_cause":[1],"caused_by":2}})", "[]"})
    CHECK_MESSAGE(read_opensearch_failure(body).text == "", body);
  auto reason = std::string(299, 'x') + "äöü";
  CHECK(read_opensearch_failure(json{{"error", reason}}.dump()).text
        == std::string(299, 'x') + "ä");
}
