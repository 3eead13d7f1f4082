#include "nats/counts/counts_json.hpp"

#include "base/time.hpp"
#include "nats/json.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>

namespace aiops::nats {

namespace {

using nlohmann::json;

void append_text(std::string& out, std::string_view text) {
  auto plain = [](unsigned char c) {
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
  };
  if (std::all_of(text.begin(), text.end(), plain)) {
    out += '"';
    out += text;
    out += '"';
  } else {
    out += dump_json(json(text));
  }
}

void append_integer(std::string& out, int64_t x) {
  char buf[24];
  out.append(buf, std::to_chars(buf, buf + sizeof(buf), x).ptr);
}

/// Maximum number of values or shards. A higher number is invalid.
constexpr size_t max_values = 1'000'000;

/// The member of an object; null when there is none.
const json& member(const json& object, const char* key) {
  static const json nothing;
  if (!object.is_object())
    return nothing;
  auto i = object.find(key);
  return i != object.end() ? *i : nothing;
}

std::string text_at(const json& object, const char* key) {
  auto& x = member(object, key);
  return x.is_string() ? x.get<std::string>() : std::string{};
}

std::optional<size_t> size_at(const json& object, const char* key) {
  auto& x = member(object, key);
  if (!x.is_number_unsigned())
    return std::nullopt;
  return x.get<size_t>();
}

/// Collects comma-separated items in values that have a head and a tail, and
/// are below a limit.
class value_list {
public:
  value_list(std::string head, std::string tail, size_t limit)
    : head_(std::move(head)), tail_(std::move(tail)), limit_(limit) {
    // nop
  }

  void add(std::string_view item) {
    if (items_ > 0 && value_.size() + item.size() + tail_.size() >= limit_)
      flush();
    value_ += items_++ == 0 ? head_ : ",";
    value_ += item;
  }

  /// There is at least one value, even without items.
  std::vector<std::string> finish() {
    if (items_ > 0 || values_.empty())
      flush();
    return std::move(values_);
  }

private:
  void flush() {
    if (items_ == 0)
      value_ = head_;
    values_.push_back(std::move(value_ += tail_));
    value_.clear();
    items_ = 0;
  }

  std::string head_;
  std::string tail_;
  size_t limit_;
  std::string value_;
  size_t items_ = 0;
  std::vector<std::string> values_;
};

} // namespace

// -- one value ----------------------------------------------------------------

std::optional<std::string> encode_breakdown(const breakdown& x, size_t limit) {
  std::string out = R"({"ByCluster":{)";
  std::string name;
  auto first_cluster = true;
  for (auto& [id, cluster] : x.clusters) {
    out += first_cluster ? "" : ",";
    first_cluster = false;
    append_text(out, id);
    out += R"(:{"ByNamespace":{)";
    std::string_view current;
    auto first_row = true;
    for (auto row : cluster->value()) {
      if (first_row || row.namespace_name != current) {
        out += first_row ? "" : "}},";
        append_text(out, row.namespace_name);
        out += R"(:{"ByDeployment":{)";
      } else {
        out += ',';
      }
      first_row = false;
      current = row.namespace_name;
      name.clear();
      append_text(name, row.deployment);
      out += name;
      out += R"(:{"deployment_name":)";
      out += name;
      out += R"(,"doc_count":)";
      append_integer(out, row.log_count);
      out += '}';
      if (out.size() > limit)
        return std::nullopt;
    }
    out += first_row ? "}}" : "}}}}";
  }
  out += "}}";
  if (out.size() > limit)
    return std::nullopt;
  return out;
}

breakdown_ptr decode_breakdown(std::string_view text) {
  auto root = parse_json(text);
  auto& by_cluster = member(root, "ByCluster");
  if (!by_cluster.is_object())
    return nullptr;
  breakdown_builder builder;
  for (auto& [cluster, namespaces] : by_cluster.items())
    for (auto& [name, deployments] : member(namespaces, "ByNamespace").items())
      for (auto& [deployment, row] :
           member(deployments, "ByDeployment").items()) {
        auto& count = member(row, "doc_count");
        if (!count.is_number_integer())
          return nullptr;
        builder.add(cluster, name, deployment, count.get<int64_t>());
      }
  return builder.finish();
}

std::string encode_pointer(std::string_view bucket,
                           std::string_view manifest_key) {
  return dump_json(
    {{"ByCluster", json::object()},
     {"sharded", {{"bucket", bucket}, {"manifest", manifest_key}}}});
}

std::optional<std::string> decode_pointer(std::string_view text,
                                          std::string_view bucket) {
  // Longer values are counts. This avoids parsing a megabyte for nothing.
  constexpr size_t longest = 1024;
  if (text.size() > longest)
    return std::nullopt;
  auto root = parse_json(text);
  auto& sharded = member(root, "sharded");
  auto key = text_at(sharded, "manifest");
  if (key.empty() || text_at(sharded, "bucket") != bucket)
    return std::nullopt;
  return key;
}

// -- a generation of shards ---------------------------------------------------

std::string shard_splitter::next() {
  std::string out = R"({"cluster":)";
  append_text(out, counts_.cluster_id());
  out += R"(,"namespaces":{)";
  std::string_view current;
  auto first = true;
  std::string item;
  for (; next_ < counts_.size(); ++next_) {
    auto row = counts_[next_];
    auto new_namespace = first || row.namespace_name != current;
    item.clear();
    if (new_namespace) {
      item += first ? "" : "},";
      append_text(item, row.namespace_name);
      item += ":{";
    } else {
      item += ',';
    }
    append_text(item, row.deployment);
    item += ':';
    append_integer(item, row.log_count);
    // Leaves room for three brackets.
    if (!first && out.size() + item.size() + 3 > limit_)
      break;
    out += item;
    current = row.namespace_name;
    first = false;
  }
  out += "}}}";
  return out;
}

std::optional<size_t> decode_shard(std::string_view text,
                                   breakdown_builder& to) {
  auto root = parse_json(text);
  auto& cluster = member(root, "cluster");
  auto& namespaces = member(root, "namespaces");
  if (!cluster.is_string() || !namespaces.is_object())
    return std::nullopt;
  auto before = to.size();
  for (auto& [name, deployments] : namespaces.items()) {
    if (!deployments.is_object())
      return std::nullopt;
    for (auto& [deployment, count] : deployments.items()) {
      if (!count.is_number_integer())
        return std::nullopt;
      to.add(cluster.get_ref<const std::string&>(), name, deployment,
             count.get<int64_t>());
    }
  }
  return to.size() - before;
}

std::vector<std::string> encode_index(const std::vector<shard_list>& xs,
                                      size_t limit) {
  value_list values{R"({"shards":[)", "]}", limit};
  for (auto& x : xs) {
    std::string item = "[";
    append_text(item, x.cluster_id);
    item += ',';
    append_integer(item, static_cast<int64_t>(x.parts));
    item += ']';
    values.add(item);
  }
  return values.finish();
}

bool decode_index(std::string_view text, std::vector<shard_list>& to) {
  auto root = parse_json(text);
  auto& shards = member(root, "shards");
  if (!shards.is_array())
    return false;
  for (auto& x : shards) {
    if (!x.is_array() || x.size() != 2 || !x[0].is_string()
        || !x[1].is_number_unsigned())
      return false;
    to.push_back({x[0].get<std::string>(), x[1].get<size_t>()});
    if (to.back().parts > max_values)
      return false;
  }
  return true;
}

std::string encode_manifest(const manifest& x) {
  return dump_json({{"version", 1},
                    {"term", x.term},
                    {"owner", x.owner},
                    {"indexValues", x.index_values},
                    {"workloads", x.workloads},
                    {"aggregatedAt", to_rfc3339(x.aggregated_at)}});
}

std::optional<manifest> decode_manifest(std::string_view text) {
  auto root = parse_json(text);
  auto index_values = size_at(root, "indexValues");
  auto workloads = size_at(root, "workloads");
  if (integer_at(root, "version") != 1 || !index_values || !workloads
      || *index_values > max_values)
    return std::nullopt;
  return manifest{static_cast<uint64_t>(integer_at(root, "term")),
                  text_at(root, "owner"), *index_values, *workloads,
                  from_rfc3339(text_at(root, "aggregatedAt"))};
}

// -- history ------------------------------------------------------------------

std::vector<std::string> encode_history(const history_point& x, size_t limit) {
  // The number of parts is known only at the end, so it is appended then.
  constexpr size_t room_for_numbers = 64;
  value_list values{R"({"at":")" + to_rfc3339(x.at) + R"(","counts":{)", "}",
                    limit - room_for_numbers};
  for (auto& [cluster, count] : x.log_counts) {
    std::string item;
    append_text(item, cluster);
    item += ':';
    append_integer(item, count);
    values.add(item);
  }
  auto result = values.finish();
  for (size_t i = 0; i < result.size(); ++i)
    result[i] += R"(,"part":)" + std::to_string(i) + R"(,"parts":)"
                 + std::to_string(result.size()) + '}';
  return result;
}

std::optional<size_t> decode_history(std::string_view text, history_point& to) {
  auto root = parse_json(text);
  auto at = from_rfc3339(text_at(root, "at"));
  auto parts = size_at(root, "parts");
  auto& counts = member(root, "counts");
  if (at == history_point{}.at || (to.at != history_point{}.at && to.at != at)
      || !parts || !counts.is_object())
    return std::nullopt;
  to.at = at;
  for (auto& [cluster, count] : counts.items())
    if (count.is_number_integer())
      to.log_counts[cluster] = count.get<int64_t>();
  return parts;
}

} // namespace aiops::nats
