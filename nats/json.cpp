#include "nats/json.hpp"

#include "actors/utf8.hpp"
#include "nats/subjects.hpp"

#include <nlohmann/json.hpp>

#include <openssl/evp.h>

#include <charconv>
#include <cmath>
#include <ctime>

namespace aiops {

namespace {

using nlohmann::json;

/// A number or a string of one.
template <class T>
bool read_number(const json& object, const char* key, T& out) {
  auto i = object.find(key);
  if (i == object.end() || i->is_null())
    return true;
  if (i->is_number_float() && std::is_integral_v<T>) {
    auto value = i->get<double>();
    if (std::trunc(value) != value || std::abs(value) > 9e15)
      return false;
  }
  if (i->is_number()) {
    out = i->get<T>();
    return true;
  }
  if (!i->is_string())
    return false;
  auto& text = i->get_ref<const std::string&>();
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(),
                                      out);
  return error == std::errc{} && end == text.data() + text.size();
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

std::chrono::system_clock::time_point decode_time(const std::string& text) {
  std::tm tm{};
  auto rest = strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &tm);
  if (rest == nullptr)
    return {};
  auto result = std::chrono::system_clock::from_time_t(timegm(&tm));
  if (*rest == '.')
    result += std::chrono::duration_cast<std::chrono::system_clock::duration>(
      std::chrono::duration<double>(std::strtod(rest, nullptr)));
  return result;
}

std::string encode_time(std::chrono::system_clock::time_point when) {
  using namespace std::chrono;
  auto since = floor<milliseconds>(when.time_since_epoch());
  auto whole = floor<seconds>(since);
  auto time = static_cast<time_t>(whole.count());
  tm parts{};
  gmtime_r(&time, &parts);
  char date[32];
  auto length = strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &parts);
  auto fraction = std::to_string(1000 + (since - whole).count());
  return std::string(date, length) + '.' + fraction.substr(1) + 'Z';
}

int64_t integer_at(const json& object, const char* key) {
  int64_t result = 0;
  if (!object.is_object() || !read_number(object, key, result))
    return 0;
  return result;
}

// -- the training backend -----------------------------------------------------

std::string encode_workloads(const workload_list& xs) {
  auto result = json::object();
  for (auto& x : xs)
    result[x.cluster_id][x.namespace_name].push_back(x.deployment);
  return dump_json(result);
}

std::optional<workload_list> decode_workloads(std::string_view text) {
  auto clusters = parse_json(text);
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

std::string encode_statistics(const training_statistics& x) {
  return dump_json(
    {{"timeElapsed", std::to_string(x.time_elapsed)},
     {"percentageCompleted", std::to_string(x.percentage_completed)},
     {"remainingTime", std::to_string(x.remaining_time)},
     {"currentEpoch", std::to_string(x.current_epoch)},
     {"modelAccuracy", x.model_accuracy},
     {"stage", x.stage}});
}

std::optional<training_statistics> decode_statistics(std::string_view text) {
  auto object = parse_json(text);
  training_statistics x;
  if (!object.is_object() || !read_number(object, "timeElapsed", x.time_elapsed)
      || !read_number(object, "percentageCompleted", x.percentage_completed)
      || !read_number(object, "remainingTime", x.remaining_time)
      || !read_number(object, "currentEpoch", x.current_epoch)
      || !read_number(object, "modelAccuracy", x.model_accuracy))
    return std::nullopt;
  if (auto stage = object.find("stage"); stage != object.end()) {
    if (!stage->is_string())
      return std::nullopt;
    x.stage = stage->get<std::string>();
  }
  return x;
}

// -- JetStream API ------------------------------------------------------------

jetstream_result jetstream_error_of(const json& answer) {
  if (!answer.is_object())
    return {-1, "unreadable answer from JetStream"};
  auto error = answer.find("error");
  if (error == answer.end())
    return {};
  jetstream_result result{
    -1, error->dump(-1, ' ', false, json::error_handler_t::replace)};
  if (error->is_object()) {
    read_number(*error, "err_code", result.error);
    if (auto i = error->find("description");
        i != error->end() && i->is_string())
      result.description = i->get<std::string>();
  }
  return result;
}

std::string encode_get(std::string_view bucket, std::string_view key) {
  return dump_json({{"last_by_subj", subjects::kv_subject(bucket, key)}});
}

std::optional<kv_entry> decode_entry(const json& answer) {
  auto message = answer.find("message");
  if (message == answer.end() || !message->is_object())
    return std::nullopt;
  auto text = [&](const char* key) -> std::string {
    auto i = message->find(key);
    return i != message->end() && i->is_string() ? i->get<std::string>() : "";
  };
  kv_entry result;
  auto headers = base64_decode(text("hdrs"));
  auto value = base64_decode(text("data"));
  if (!headers || !value || !read_number(*message, "seq", result.revision))
    return std::nullopt;
  // What stands there may be the mark of a removed key.
  if (headers->find("KV-Operation:") != std::string::npos)
    return kv_entry{};
  result.value = std::move(*value);
  result.created = decode_time(text("time"));
  return result;
}

std::string encode_purge(std::string_view bucket, std::string_view pattern) {
  return dump_json({{"filter", subjects::kv_subject(bucket, pattern)}});
}

std::string encode_list(std::string_view bucket, std::string_view pattern) {
  return dump_json(
    {{"subjects_filter", subjects::kv_subject(bucket, pattern)}});
}

std::string encode_bucket(std::string_view bucket) {
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
                    {"num_replicas", 1},
                    {"allow_rollup_hdrs", true},
                    {"deny_delete", true},
                    {"allow_direct", true}});
}

} // namespace aiops
