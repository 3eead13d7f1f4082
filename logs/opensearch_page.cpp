#include "logs/opensearch_page.hpp"

#include "actors/workload.hpp"
#include "base/utf8.hpp"

#include <nlohmann/json.hpp>
#include <simdjson.h>

#include <cctype>

namespace aiops::logs {

namespace {

using nlohmann::json;

namespace dom = simdjson::dom;

// Names of the sources of the aggregation, which name the keys of its buckets.
constexpr auto cluster_source = "cluster_id";
constexpr auto namespace_source = "namespace_name";
constexpr auto deployment_source = "deployment";

/// Longest reason of a failure that is passed on, in bytes.
constexpr size_t max_reason = 300;

/// Percent-encodes everything but letters, digits and the characters of lists
/// and patterns of indices.
std::string encode_index(std::string_view index) {
  static constexpr auto digits = "0123456789ABCDEF";
  std::string result;
  for (unsigned char c : index) {
    if (std::isalnum(c)
        || std::string_view{"-_.,*"}.find(static_cast<char>(c))
             != std::string_view::npos) {
      result += static_cast<char>(c);
    } else {
      result += '%';
      result += digits[c >> 4];
      result += digits[c & 15];
    }
  }
  return result;
}

/// Shortens a text at the end of a character.
std::string shortened(std::string_view text) {
  auto rest = text;
  while (!rest.empty() && text.size() - rest.size() < max_reason)
    if (next_code_point(rest) < 0)
      break;
  return std::string{text.substr(0, text.size() - rest.size())};
}

caf::error unreadable(const std::string& what) {
  return make_error(ec::bad_reply,
                    "the answer of OpenSearch is not a page of an "
                    "aggregation: "
                      + what);
}

caf::error check_shards(const dom::element& page) {
  dom::element shards;
  int64_t total = 0;
  int64_t failed = 0;
  if (page["_shards"].get(shards) || shards["total"].get(total)
      || shards["failed"].get(failed))
    return unreadable("it does not say which shards were searched");
  int64_t successful = 0;
  if (shards["successful"].get(successful))
    successful = total;
  if (total < 1)
    return make_error(ec::refused, "OpenSearch has no index of that name; "
                                   "check --opensearch-index");
  if (failed != 0 || successful != total)
    return make_error(ec::bad_reply,
                      "OpenSearch could not search "
                        + std::to_string(std::max(failed, total - successful))
                        + " of " + std::to_string(total)
                        + " shards; check the health of its cluster");
  return {};
}

/// An error unless the page is complete.
caf::error check_complete(const dom::element& page) {
  bool timed_out = false;
  if (page["timed_out"].get(timed_out))
    return unreadable("it does not say whether it timed out");
  if (timed_out)
    return make_error(ec::timeout,
                      "OpenSearch could not search everything in time; raise "
                      "--aggregation-interval, or count less with "
                      "--opensearch-since");
  return check_shards(page);
}

/// Adds a bucket; false when it is invalid.
bool add_bucket(const dom::element& bucket, breakdown_builder& to,
                opensearch_page& page) {
  dom::object key;
  std::string_view cluster_id;
  std::string_view namespace_name;
  std::string_view deployment;
  int64_t count = 0;
  if (bucket["key"].get(key) || key[cluster_source].get(cluster_id)
      || key[namespace_source].get(namespace_name)
      || key[deployment_source].get(deployment)
      || bucket["doc_count"].get(count) || count < 0)
    return false;
  ++page.buckets;
  if (valid_name(cluster_id) && valid_name(namespace_name)
      && valid_name(deployment))
    to.add(cluster_id, namespace_name, deployment, count);
  else
    ++page.foreign;
  return true;
}

} // namespace

std::string opensearch_target(const opensearch_config& config,
                              std::chrono::milliseconds budget) {
  auto part = [&](int percent) {
    return std::to_string(std::max<int64_t>(1, budget.count() * percent / 100))
           + "ms";
  };
  auto result = std::string{'/'};
  result += encode_index(config.index);
  result += "/_search?filter_path=timed_out,_shards,"
            "aggregations.bucket.after_key,aggregations.bucket.buckets,"
            "error,status"
            "&allow_partial_search_results=false"
            "&max_concurrent_shard_requests=";
  result += std::to_string(config.concurrency);
  result += "&timeout=" + part(70);
  result += "&cancel_after_time_interval=" + part(85);
  return result;
}

std::string opensearch_query(const opensearch_config& config,
                             std::string_view after_key) {
  auto filter = json::array();
  auto must_not = json::array();
  if (!config.log_type.empty())
    filter.push_back({{"term", {{config.log_type_field, config.log_type}}}});
  for (auto& field : {config.namespace_field, config.deployment_field}) {
    filter.push_back({{"exists", {{"field", field}}}});
    must_not.push_back({{"term", {{field, ""}}}});
  }
  // The server's clock, in whole seconds: its date arithmetic has no smaller
  // unit.
  if (config.since.count() > 0)
    filter.push_back(
      {{"range",
        {{config.time_field,
          {{"gte",
            "now-"
              + std::to_string(
                std::chrono::ceil<std::chrono::seconds>(config.since).count())
              + "s"}}}}}});
  auto sources = json::array();
  auto add_source = [&](const char* source, const std::string& field) {
    sources.push_back({{source, {{"terms", {{"field", field}}}}}});
  };
  add_source(cluster_source, config.cluster_field);
  add_source(namespace_source, config.namespace_field);
  add_source(deployment_source, config.deployment_field);
  json composite{{"size", config.page_size}, {"sources", std::move(sources)}};
  if (!after_key.empty())
    composite["after"] = json::parse(after_key, nullptr, false);
  json query{
    {"size", 0},
    {"track_total_hits", false},
    {"query",
     {{"bool",
       {{"filter", std::move(filter)}, {"must_not", std::move(must_not)}}}}},
    {"aggs", {{"bucket", {{"composite", std::move(composite)}}}}}};
  return query.dump(-1, ' ', false, json::error_handler_t::replace);
}

const size_t opensearch_page_reader::padding = simdjson::SIMDJSON_PADDING;

opensearch_page_reader::opensearch_page_reader()
  : parser_(std::make_unique<dom::parser>()) {
  // nop
}

opensearch_page_reader::~opensearch_page_reader() {
  // nop
}

caf::expected<opensearch_page>
opensearch_page_reader::read(std::string_view body, breakdown_builder& to) {
  dom::element page;
  // The whole page is parsed before it is used, so that a part of a page is
  // never accepted.
  if (auto problem = parser_->parse(body.data(), body.size(), false).get(page))
    return unreadable(simdjson::error_message(problem));
  if (!page.is_object())
    return unreadable("it is not an object");
  if (page["error"].error() == simdjson::SUCCESS)
    return make_error(ec::refused, "OpenSearch failed: "
                                     + read_opensearch_failure(body).text);
  if (auto problem = check_complete(page))
    return problem;
  dom::object aggregation;
  dom::array buckets;
  if (page["aggregations"]["bucket"].get(aggregation)
      || aggregation["buckets"].get(buckets))
    return unreadable("it has no buckets");
  opensearch_page result;
  for (auto bucket : buckets)
    if (!add_bucket(bucket, to, result))
      return unreadable("a bucket has no names or no count; the fields of "
                        "cluster, namespace and deployment have to be of type "
                        "keyword");
  dom::element after_key;
  if (aggregation["after_key"].get(after_key) == simdjson::SUCCESS
      && !after_key.is_null()) {
    if (!after_key.is_object())
      return unreadable("its after_key is not an object");
    result.after_key = simdjson::minify(after_key);
  }
  return result;
}

opensearch_failure read_opensearch_failure(std::string_view body) {
  opensearch_failure result;
  // Its depth depends on the version and on the phase that failed.
  result.too_many_buckets = body.find("too_many_buckets_exception")
                            != std::string_view::npos;
  auto answer = json::parse(body, nullptr, false);
  if (!answer.is_object() || !answer.contains("error"))
    return result;
  // The cause explains more than that all shards failed.
  auto* error = &answer["error"];
  if (error->is_object()) {
    for (auto depth = 0; depth < 8 && error->contains("caused_by")
                         && (*error)["caused_by"].is_object();
         ++depth)
      error = &(*error)["caused_by"];
    auto& roots = (*error)["root_cause"];
    if (roots.is_array() && !roots.empty() && roots.front().is_object())
      error = &roots.front();
  }
  auto text_of_field = [&](const char* field) {
    if (!error->is_object())
      return std::string{};
    auto found = error->find(field);
    return found != error->end() && found->is_string()
             ? found->get<std::string>()
             : std::string{};
  };
  auto text = error->is_string() ? error->get<std::string>()
                                 : text_of_field("reason");
  if (auto type = text_of_field("type"); !type.empty())
    text = type + (text.empty() ? "" : ": " + text);
  result.text = shortened(text);
  return result;
}

} // namespace aiops::logs
