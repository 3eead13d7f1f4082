#include "nats/json.hpp"

#include "base/time.hpp"
#include "base/utf8.hpp"
#include "nats/subjects.hpp"

#include <nlohmann/json.hpp>

#include <openssl/evp.h>

#include <charconv>
#include <cmath>
#include <utility>

namespace aiops::nats {

namespace {

using nlohmann::json;

template <class T>
std::optional<T> number_in(const std::string& text) {
  T result{};
  auto last = text.data() + text.size();
  auto [end, error] = std::from_chars(text.data(), last, result);
  if (error != std::errc{} || end != last)
    return std::nullopt;
  return result;
}

/// Reads a member; false when it has another type.
template <class T>
bool read_number(const json& object, const char* key, T& out) {
  auto i = object.find(key);
  if (i == object.end() || i->is_null())
    return true;
  std::optional<T> value;
  if constexpr (std::is_floating_point_v<T>)
    value = number_of(*i);
  else if (auto n = integer_of(*i); n && std::in_range<T>(*n))
    value = static_cast<T>(*n);
  if (value)
    out = *value;
  return value.has_value();
}

json statistics_with(const training_statistics& x, json (*integer)(int64_t)) {
  return {{"timeElapsed", integer(x.time_elapsed)},
          {"percentageCompleted", integer(x.percentage_completed)},
          {"remainingTime", integer(x.remaining_time)},
          {"currentEpoch", integer(x.current_epoch)},
          {"modelAccuracy", x.model_accuracy},
          {"stage", x.stage}};
}

json proto3_statistics(const training_statistics& x) {
  return statistics_with(x, [](int64_t n) { return json(std::to_string(n)); });
}

/// Bytes of base64 text; nothing when it is malformed.
std::optional<std::string> base64_decode(const std::string& text) {
  if (text.size() % 4 != 0)
    return std::nullopt;
  std::string result(text.size() / 4 * 3, '\0');
  auto size = EVP_DecodeBlock(
    reinterpret_cast<unsigned char*>(result.data()),
    reinterpret_cast<const unsigned char*>(text.data()),
    static_cast<int>(text.size()));
  if (size < 0)
    return std::nullopt;
  auto padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  result.resize(static_cast<size_t>(size - padding));
  return result;
}

} // namespace

json parse_json(std::string_view text) {
  return json::parse(text, nullptr, false);
}

std::string dump_json(const json& x) {
  return x.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::optional<double> number_of(const json& x) {
  if (x.is_number())
    return x.get<double>();
  if (x.is_string())
    return number_in<double>(x.get_ref<const std::string&>());
  return std::nullopt;
}

std::optional<int64_t> integer_of(const json& x) {
  if (x.is_number_unsigned() && !std::in_range<int64_t>(x.get<uint64_t>()))
    return std::nullopt;
  if (x.is_number_integer())
    return x.get<int64_t>();
  if (x.is_string())
    if (auto n = number_in<int64_t>(x.get_ref<const std::string&>()))
      return n;
  auto n = number_of(x);
  // The bounds are exact as doubles: -2^63 and 2^63.
  if (!n || !(*n >= -0x1p63 && *n < 0x1p63) || *n != std::floor(*n))
    return std::nullopt;
  return static_cast<int64_t>(*n);
}

bool read_text(const json& object, const char* key, std::string& out) {
  auto i = object.find(key);
  if (i == object.end() || i->is_null())
    return true;
  if (!i->is_string())
    return false;
  out = i->get<std::string>();
  return true;
}

int64_t integer_at(const json& object, const char* key) {
  int64_t result = 0;
  if (!object.is_object() || !read_number(object, key, result))
    return 0;
  return result;
}

// -- the training backend -----------------------------------------------------

json workloads_to_json(const workload_list& xs) {
  auto result = json::object();
  for (auto& x : xs)
    result[x.cluster_id][x.namespace_name].push_back(x.deployment);
  return result;
}

std::optional<workload_list> workloads_from_json(const json& clusters) {
  if (!clusters.is_object())
    return std::nullopt;
  workload_list result;
  for (auto& [cluster, namespaces] : clusters.items()) {
    if (!namespaces.is_object())
      return std::nullopt;
    for (auto& [name, deployments] : namespaces.items()) {
      if (!deployments.is_array())
        return std::nullopt;
      for (auto& deployment : deployments) {
        if (!deployment.is_string())
          return std::nullopt;
        result.push_back({cluster, name, deployment.get<std::string>()});
      }
    }
  }
  return normalize(std::move(result));
}

std::string encode_workloads(const workload_list& xs) {
  return dump_json(workloads_to_json(xs));
}

std::optional<workload_list> decode_workloads(std::string_view text) {
  return workloads_from_json(parse_json(text));
}

std::string encode_parameters(const backend_submission& x) {
  json result{{"uuid", x.id}};
  if (!x.workloads.empty())
    result["workloads"] = workloads_to_json(x.workloads);
  return dump_json(result);
}

std::optional<workload_list> decode_parameters(std::string_view text) {
  auto object = parse_json(text);
  if (!object.is_object())
    return std::nullopt;
  // A cluster with this name would contain namespaces, not a string.
  auto id = object.find("uuid");
  if (id == object.end() || !id->is_string())
    return workloads_from_json(object);
  auto workloads = object.find("workloads");
  if (workloads == object.end() || workloads->is_null())
    return workload_list{};
  return workloads_from_json(*workloads);
}

bool readable(std::string_view text) {
  if (text.empty() || text.size() > 1024)
    return false;
  while (!text.empty()) {
    auto point = next_code_point(text);
    if (point < 0x20 || (point >= 0x7f && point < 0xa0))
      return false;
  }
  return true;
}

// -- key-value buckets --------------------------------------------------------

json statistics_to_json(const training_statistics& x) {
  return statistics_with(x, [](int64_t n) { return json(n); });
}

std::optional<training_statistics> statistics_from_json(const json& object) {
  training_statistics x;
  if (!object.is_object() || !read_number(object, "timeElapsed", x.time_elapsed)
      || !read_number(object, "percentageCompleted", x.percentage_completed)
      || !read_number(object, "remainingTime", x.remaining_time)
      || !read_number(object, "currentEpoch", x.current_epoch)
      || !read_number(object, "modelAccuracy", x.model_accuracy)
      || !read_text(object, "stage", x.stage))
    return std::nullopt;
  return x;
}

std::string encode_statistics(const training_statistics& x) {
  return dump_json(proto3_statistics(x));
}

std::string encode_model(const model_status& x) {
  return dump_json(
    {{"status", x.status}, {"statistics", proto3_statistics(x.statistics)}});
}

json model_to_json(const model_status& x) {
  return {{"status", x.status},
          {"statistics", statistics_to_json(x.statistics)}};
}

std::optional<model_status> model_from_json(const json& object) {
  model_status x;
  if (!object.is_object() || !read_text(object, "status", x.status))
    return std::nullopt;
  if (auto i = object.find("statistics"); i != object.end() && !i->is_null()) {
    auto statistics = statistics_from_json(*i);
    if (!statistics)
      return std::nullopt;
    x.statistics = std::move(*statistics);
  }
  return x;
}

// -- JetStream API ------------------------------------------------------------

std::string encode_get(std::string_view bucket, std::string_view key) {
  return dump_json({{"last_by_subj", subjects::kv_subject(bucket, key)}});
}

std::optional<kv_message> decode_message(const json& answer) {
  auto message = answer.find("message");
  if (message == answer.end() || !message->is_object())
    return std::nullopt;
  auto text = [&](const char* key) -> std::string {
    auto i = message->find(key);
    return i != message->end() && i->is_string() ? i->get<std::string>() : "";
  };
  kv_message result;
  auto headers = base64_decode(text("hdrs"));
  auto value = base64_decode(text("data"));
  if (!headers || !value
      || !read_number(*message, "seq", result.entry.revision))
    return std::nullopt;
  result.removal = headers->find("KV-Operation:") != std::string::npos;
  if (!result.removal)
    result.entry.value = std::move(*value);
  result.entry.created = from_rfc3339(text("time"));
  return result;
}

std::string encode_purge(std::string_view bucket, std::string_view pattern) {
  return dump_json({{"filter", subjects::kv_subject(bucket, pattern)}});
}

std::string encode_list(std::string_view bucket, std::string_view pattern) {
  return dump_json(
    {{"subjects_filter", subjects::kv_subject(bucket, pattern)}});
}

std::string encode_bucket(std::string_view bucket, int replicas) {
  return dump_json({{"name", subjects::kv_stream(bucket)},
                    {"subjects", {subjects::kv_subject(bucket, ">")}},
                    {"retention", "limits"},
                    {"storage", "file"},
                    {"discard", "new"},
                    {"max_msgs_per_subject", 1},
                    {"max_consumers", -1},
                    {"max_msgs", -1},
                    {"max_bytes", -1},
                    {"max_msg_size", -1},
                    {"num_replicas", replicas},
                    {"allow_rollup_hdrs", true},
                    {"deny_delete", true},
                    {"allow_direct", true}});
}

} // namespace aiops::nats
