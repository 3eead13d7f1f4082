#include "http/json.hpp"

#include "actors/error.hpp"

#include <nlohmann/json.hpp>

#include <charconv>
#include <cmath>
#include <ctime>
#include <span>

namespace aiops {

namespace {

using nlohmann::json;
using namespace std::chrono_literals;

// -- reading ------------------------------------------------------------------

constexpr int max_depth = 32;

/// Whether the text nests deeper than any request does; a cheap look ahead, so
/// that nobody makes us build a tree of a million brackets.
bool too_deep(std::string_view text) {
  auto depth = 0;
  auto in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    auto c = text[i];
    if (in_string) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++depth > max_depth)
        return true;
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return false;
}

caf::error invalid(std::string text) {
  return make_error(ec::invalid_argument, std::move(text));
}

caf::expected<json> read_object(std::string_view body) {
  if (too_deep(body))
    return invalid("the body nests too deeply");
  auto result = json::parse(body, nullptr, false);
  // The parser takes a zero byte for the end.
  if (result.is_discarded() || body.find('\0') != std::string_view::npos)
    return invalid("the body is not valid JSON");
  if (!result.is_object())
    return invalid("the body must be a JSON object");
  return result;
}

std::optional<int64_t> integral(double x) {
  // The bounds are exact as doubles: -2^63 and 2^63.
  if (!(x >= -0x1p63 && x < 0x1p63) || x != std::floor(x))
    return std::nullopt;
  return static_cast<int64_t>(x);
}

template <class T>
std::optional<T> whole_number(const std::string& text) {
  T result;
  auto last = text.data() + text.size();
  auto [ptr, err] = std::from_chars(text.data(), last, result);
  if (err != std::errc{} || ptr != last)
    return std::nullopt;
  return result;
}

std::optional<double> to_double(const json& x) {
  if (x.is_number())
    return x.get<double>();
  if (x.is_string())
    return whole_number<double>(x.get_ref<const std::string&>());
  return std::nullopt;
}

std::optional<int64_t> to_integer(const json& x) {
  if (x.is_number_unsigned() && x.get<uint64_t>() > INT64_MAX)
    return std::nullopt;
  if (x.is_number_integer())
    return x.get<int64_t>();
  if (x.is_string())
    if (auto n = whole_number<int64_t>(x.get_ref<const std::string&>()))
      return n;
  auto n = to_double(x);
  return n ? integral(*n) : std::nullopt;
}

/// Reads the fields of one object and remembers what was wrong first.
class field_reader {
public:
  field_reader(const json& object, std::string prefix)
    : object_(object), prefix_(std::move(prefix)) {
    // nop
  }

  /// The field's value; nothing when it is absent or null.
  const json* find(const char* key) const {
    auto i = object_.find(key);
    return i == object_.end() || i->is_null() ? nullptr : &*i;
  }

  std::string text(const char* key) {
    auto x = find(key);
    if (x && x->is_string())
      return x->get<std::string>();
    if (x)
      fail(key, "must be a string");
    return {};
  }

  std::string name(const char* key) {
    auto result = text(key);
    if (!valid_name(result))
      fail(key, "must be a name of 1 to 253 characters without control "
                "characters");
    return result;
  }

  int64_t integer(const char* key, int64_t least = INT64_MIN,
                  int64_t most = INT64_MAX) {
    auto x = find(key);
    if (!x)
      return 0;
    auto n = to_integer(*x);
    if (!n)
      fail(key, "must be an integer");
    else if (*n < least)
      fail(key, "must be at least " + std::to_string(least));
    else if (*n > most)
      fail(key, "must be at most " + std::to_string(most));
    return n.value_or(0);
  }

  double number(const char* key) {
    auto x = find(key);
    if (!x)
      return 0.0;
    auto n = to_double(*x);
    if (!n || !std::isfinite(*n))
      fail(key, "must be a finite number");
    return n.value_or(0.0);
  }

  void fail(const char* key, std::string_view what) {
    if (problem_.empty())
      problem_ = prefix_ + key + " " + std::string{what};
  }

  /// What was wrong first; empty when all was well.
  const std::string& problem() const {
    return problem_;
  }

private:
  const json& object_;
  std::string prefix_;
  std::string problem_;
};

caf::expected<training_statistics> read_statistics(const json& object,
                                                   std::string prefix) {
  field_reader fields{object, std::move(prefix)};
  training_statistics result;
  result.time_elapsed = fields.integer("timeElapsed", 0);
  result.percentage_completed = fields.integer("percentageCompleted", 0, 100);
  result.remaining_time = fields.integer("remainingTime", 0);
  result.current_epoch = fields.integer("currentEpoch");
  result.model_accuracy = fields.number("modelAccuracy");
  result.stage = fields.text("stage");
  if (!fields.problem().empty())
    return invalid(fields.problem());
  return result;
}

// -- writing ------------------------------------------------------------------

void append_quoted(std::string& out, std::string_view text) {
  auto plain = [](unsigned char c) {
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
  };
  if (std::all_of(text.begin(), text.end(), plain)) {
    out += '"';
    out += text;
    out += '"';
    return;
  }
  // Invalid UTF-8 is replaced: a broken name must not cost the whole answer.
  out += json(text).dump(-1, ' ', false, json::error_handler_t::replace);
}

void append_number(std::string& out, int64_t x) {
  char buf[24];
  out.append(buf, std::to_chars(buf, buf + sizeof(buf), x).ptr);
}

void append_number(std::string& out, double x) {
  char buf[32];
  if (!std::isfinite(x))
    x = 0.0;
  out.append(buf, std::to_chars(buf, buf + sizeof(buf), x).ptr);
}

/// Writes one object, field by field.
class object_writer {
public:
  explicit object_writer(std::string& out) : out_(out) {
    out_ += '{';
  }

  object_writer(const object_writer&) = delete;

  ~object_writer() {
    out_ += '}';
  }

  /// Opens a field whose value the caller appends.
  std::string& field(std::string_view key) {
    if (!first_)
      out_ += ',';
    first_ = false;
    out_ += '"';
    out_ += key;
    out_ += "\":";
    return out_;
  }

  void text(std::string_view key, std::string_view value) {
    append_quoted(field(key), value);
  }

  template <class T>
  void number(std::string_view key, T value) {
    append_number(field(key), value);
  }

  void flag(std::string_view key, bool value) {
    field(key) += value ? "true" : "false";
  }

  void null(std::string_view key) {
    field(key) += "null";
  }

  /// A 64-bit integer, as the proto3 mapping has it.
  void int64_text(std::string_view key, int64_t value) {
    field(key) += '"';
    append_number(out_, value);
    out_ += '"';
  }

private:
  std::string& out_;
  bool first_ = true;
};

/// Writes an array, element by element.
template <class Ts, class Write>
void append_array(std::string& out, const Ts& xs, Write write) {
  out += '[';
  auto first = true;
  for (auto&& x : xs) {
    if (!first)
      out += ',';
    first = false;
    object_writer obj{out};
    write(obj, x);
  }
  out += ']';
}

using time_point = std::chrono::system_clock::time_point;

void append_time(std::string& out, const std::optional<time_point>& when) {
  out += when ? '"' + to_rfc3339(*when) + '"' : "null";
}

/// Seconds since then.
void append_age(std::string& out, const std::optional<time_point>& since,
                time_point now) {
  // Another clock may have told it, and be ahead of ours.
  if (since)
    append_number(out, std::max(int64_t{0}, (now - *since) / 1s));
  else
    out += "null";
}

void append_number(std::string& out, const std::optional<int64_t>& x) {
  if (x)
    append_number(out, *x);
  else
    out += "null";
}

std::string_view to_text(gpu_kind kind) {
  switch (kind) {
    case gpu_kind::full:
      return "full";
    case gpu_kind::mig:
      return "mig";
    case gpu_kind::shared:
      break;
  }
  return "shared";
}

/// Units that somebody could get; nothing when it is not known.
std::optional<int64_t> free_units(const gpu_resource& x) {
  if (!x.allocated)
    return std::nullopt;
  return std::max(int64_t{0}, x.allocatable - *x.allocated);
}

/// Sums of one resource.
struct gpu_total {
  int64_t capacity = 0;
  int64_t allocatable = 0;
  std::optional<int64_t> allocated = 0;
  std::optional<int64_t> free = 0;

  void add(const gpu_resource& x) {
    auto sum = [](auto& to, const std::optional<int64_t>& units) {
      to = to && units ? std::optional{*to + *units} : std::nullopt;
    };
    capacity += x.capacity;
    allocatable += x.allocatable;
    sum(allocated, x.allocated);
    sum(free, free_units(x));
  }
};

template <class Ts, class Write>
std::string items_json(const Ts& xs, size_t bytes_each, Write write) {
  std::string out;
  out.reserve(16 + xs.size() * bytes_each);
  {
    object_writer obj{out};
    append_array(obj.field("items"), xs, write);
  }
  return out;
}

} // namespace

// -- reading ------------------------------------------------------------------

caf::expected<workload_list> read_workloads(std::string_view body) {
  auto object = read_object(body);
  if (!object)
    return std::move(object.error());
  auto items = field_reader{*object, ""}.find("items");
  if (!items)
    return workload_list{};
  if (!items->is_array())
    return invalid("items must be an array");
  workload_list result;
  result.reserve(items->size());
  for (auto& item : *items) {
    auto prefix = "items[" + std::to_string(result.size()) + "]";
    if (!item.is_object())
      return invalid(prefix + " must be an object");
    field_reader fields{item, prefix + "."};
    result.push_back({fields.name("clusterId"), fields.name("namespace"),
                      fields.name("deployment")});
    if (!fields.problem().empty())
      return invalid(fields.problem());
  }
  return normalize(std::move(result));
}

caf::expected<training_statistics> read_statistics(std::string_view body) {
  auto object = read_object(body);
  if (!object)
    return std::move(object.error());
  return read_statistics(*object, "");
}

caf::expected<model_status_update> read_status_update(std::string_view body) {
  auto object = read_object(body);
  if (!object)
    return std::move(object.error());
  field_reader fields{*object, ""};
  model_status_update result;
  result.status = fields.text("status");
  if (!fields.problem().empty())
    return invalid(fields.problem());
  auto statistics = fields.find("statistics");
  if (!statistics)
    return result;
  if (!statistics->is_object())
    return invalid("statistics must be an object");
  auto read = read_statistics(*statistics, "statistics.");
  if (!read)
    return std::move(read.error());
  result.statistics = std::move(*read);
  return result;
}

// -- writing ------------------------------------------------------------------

std::string to_json(const training_result& x) {
  std::string out;
  object_writer{out}.text("response", x.response);
  return out;
}

std::string to_json(const model_status& x) {
  std::string out;
  {
    object_writer obj{out};
    obj.text("status", x.status);
    object_writer statistics{obj.field("statistics")};
    statistics.int64_text("timeElapsed", x.statistics.time_elapsed);
    statistics.int64_text("percentageCompleted",
                          x.statistics.percentage_completed);
    statistics.int64_text("remainingTime", x.statistics.remaining_time);
    statistics.int64_text("currentEpoch", x.statistics.current_epoch);
    statistics.number("modelAccuracy", x.statistics.model_accuracy);
    statistics.text("stage", x.statistics.stage);
  }
  return out;
}

std::string to_json(const workload_list& xs) {
  return items_json(xs, 120, [](auto& obj, auto& x) {
    obj.text("clusterId", x.cluster_id);
    obj.text("namespace", x.namespace_name);
    obj.text("deployment", x.deployment);
  });
}

std::string to_json(const cluster_counts& x) {
  return items_json(x, 140, [&x](auto& obj, auto& count) {
    obj.text("clusterId", x.cluster_id());
    obj.text("namespace", count.namespace_name);
    obj.text("deployment", count.deployment);
    obj.int64_text("logCount", count.log_count);
  });
}

std::string to_json(const gpu_list& xs) {
  return items_json(xs, 80, [](auto& obj, auto& x) {
    obj.text("name", x.name);
    obj.int64_text("capacity", x.capacity);
    obj.int64_text("allocatable", x.allocatable);
  });
}

std::string to_json(const cluster_overview& x) {
  std::string out;
  {
    object_writer obj{out};
    auto write = [](auto& summary_obj, auto& summary) {
      summary_obj.text("id", summary.id);
      summary_obj.number("namespaces", summary.namespaces);
      summary_obj.number("deployments", summary.deployments);
      summary_obj.number("logCount", summary.log_count);
    };
    append_array(obj.field("clusters"), x.clusters, write);
    if (x.aggregated_at)
      obj.text("aggregatedAt", to_rfc3339(*x.aggregated_at));
    else
      obj.null("aggregatedAt");
    obj.flag("stale", x.stale);
    obj.text("reason", x.reason);
    obj.text("source", x.source);
    obj.flag("aggregating", x.aggregating);
  }
  return out;
}

std::string with_age(std::string_view bytes, const cluster_overview& x,
                     std::chrono::system_clock::time_point now) {
  std::string out;
  out.reserve(bytes.size() + 40);
  // All but the closing brace.
  out += bytes.substr(0, bytes.size() - 1);
  out += R"(,"ageSeconds":)";
  append_age(out, x.aggregated_at, now);
  out += '}';
  return out;
}

std::string to_json(std::string_view cluster_id, const workload_query& query,
                    const workload_page& page) {
  std::string out;
  out.reserve(100 + page.rows.size() * 100);
  {
    object_writer obj{out};
    obj.text("clusterId", cluster_id);
    obj.number("total", static_cast<int64_t>(page.total));
    auto write = [](auto& row_obj, auto& row) {
      row_obj.text("namespace", row.namespace_name);
      row_obj.text("deployment", row.deployment);
      row_obj.number("logCount", row.log_count);
    };
    append_array(obj.field("items"), page.rows, write);
    if (page.last)
      obj.text("nextCursor", encode_cursor(query.order, *page.last));
    else
      obj.null("nextCursor");
  }
  return out;
}

std::string to_json(const cluster_history& x,
                    std::chrono::system_clock::time_point since) {
  std::string out;
  out.reserve(100 + x.points.size() * 80);
  {
    object_writer obj{out};
    obj.text("clusterId", x.cluster_id);
    obj.number("intervalSeconds", int64_t{history_interval / 1s});
    auto& points = x.points;
    auto begin = std::find_if(points.begin(), points.end(),
                              [&](auto& point) { return point.at > since; });
    auto write = [&](auto& point_obj, auto& point) {
      point_obj.text("at", to_rfc3339(point.at));
      point_obj.number("logCount", point.log_count);
      auto before = &point == points.data() ? nullptr : &point - 1;
      if (before && before->at + history_interval == point.at
          && before->log_count <= point.log_count)
        point_obj.number("added", point.log_count - before->log_count);
      else
        point_obj.null("added");
    };
    append_array(obj.field("items"), std::span{begin, points.end()}, write);
  }
  return out;
}

std::string to_json(const gpu_inventory& x, time_point now) {
  std::map<std::string_view, gpu_total> totals;
  for (auto& gpu : x.gpus) {
    auto& total = totals[gpu.name];
    if (gpu.ready && gpu.schedulable)
      total.add(gpu);
  }
  auto write_process = [](auto& obj, auto& process) {
    obj.number("pid", process.pid);
    obj.text("program", process.program);
    obj.number("memoryUsedBytes", process.memory_used);
  };
  auto write_device = [&](auto& obj, auto& device) {
    obj.text("uuid", device.uuid);
    obj.text("product", device.product);
    obj.number("memoryBytes", device.memory);
    obj.number("memoryUsedBytes", device.memory_used);
    append_number(obj.field("utilizationPercent"), device.utilization);
    append_array(obj.field("processes"), device.processes, write_process);
  };
  auto write_gpu = [&](auto& obj, auto& gpu) {
    obj.text("node", gpu.node);
    obj.text("resource", gpu.name);
    obj.text("vendor", gpu.vendor);
    obj.text("kind", to_text(gpu.kind));
    obj.text("product", gpu.product);
    obj.number("memoryBytes", gpu.memory);
    obj.text("driver", gpu.driver);
    obj.number("capacity", gpu.capacity);
    obj.number("allocatable", gpu.allocatable);
    append_number(obj.field("allocated"), gpu.allocated);
    append_number(obj.field("free"), free_units(gpu));
    obj.field("ready") += gpu.ready ? "true" : "false";
    obj.field("schedulable") += gpu.schedulable ? "true" : "false";
    append_array(obj.field("devices"), gpu.devices, write_device);
  };
  auto write_total = [](auto& obj, auto& total) {
    obj.text("resource", total.first);
    obj.number("capacity", total.second.capacity);
    obj.number("allocatable", total.second.allocatable);
    append_number(obj.field("allocated"), total.second.allocated);
    append_number(obj.field("free"), total.second.free);
  };
  std::string out;
  {
    object_writer obj{out};
    append_array(obj.field("items"), x.gpus, write_gpu);
    append_array(obj.field("usable"), totals, write_total);
    append_time(obj.field("observedAt"), x.observed_at);
    append_age(obj.field("ageSeconds"), x.observed_at, now);
    obj.field("stale") += x.stale ? "true" : "false";
    obj.text("reason", x.reason);
    obj.text("source", x.source);
  }
  return out;
}

std::string error_json(int grpc, std::string_view message) {
  std::string out;
  {
    object_writer obj{out};
    obj.number("code", int64_t{grpc});
    obj.text("message", message);
    obj.field("details") += "[]";
  }
  return out;
}

std::string problem_json(int status, std::string_view title,
                         std::string_view detail) {
  std::string out;
  {
    object_writer obj{out};
    obj.text("type", "about:blank");
    obj.text("title", title);
    obj.number("status", int64_t{status});
    obj.text("detail", detail);
  }
  return out;
}

std::string json_string(std::string_view text) {
  std::string out;
  append_quoted(out, text);
  return out;
}

std::string to_rfc3339(std::chrono::system_clock::time_point when) {
  using namespace std::chrono;
  auto ms = duration_cast<milliseconds>(when.time_since_epoch()).count();
  auto seconds = static_cast<time_t>(ms >= 0 ? ms / 1000 : (ms - 999) / 1000);
  tm parts{};
  gmtime_r(&seconds, &parts);
  char buf[32];
  auto n = strftime(buf, sizeof(buf), "%Y-%m-%dT%H:%M:%S", &parts);
  auto fraction = std::to_string(1000 + (ms - seconds * 1000));
  return std::string(buf, n) + "." + fraction.substr(1) + "Z";
}

} // namespace aiops
