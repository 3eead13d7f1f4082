#include "http/json.hpp"

#include "actors/error.hpp"
#include "http/json_writer.hpp"

#include <nlohmann/json.hpp>

#include <charconv>
#include <cmath>

namespace aiops {

namespace {

using nlohmann::json;

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

training_statistics read_statistics(field_reader& fields) {
  training_statistics result;
  result.time_elapsed = fields.integer("timeElapsed", 0);
  result.percentage_completed = fields.integer("percentageCompleted", 0, 100);
  result.remaining_time = fields.integer("remainingTime", 0);
  result.current_epoch = fields.integer("currentEpoch");
  result.model_accuracy = fields.number("modelAccuracy");
  result.stage = fields.text("stage");
  return result;
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

caf::expected<job_progress> read_statistics(std::string_view body) {
  auto object = read_object(body);
  if (!object)
    return std::move(object.error());
  field_reader fields{*object, ""};
  job_progress result;
  result.id = fields.text("uuid");
  result.statistics = read_statistics(fields);
  if (!fields.problem().empty())
    return invalid(fields.problem());
  return result;
}

caf::expected<job_progress> read_status_update(std::string_view body) {
  auto object = read_object(body);
  if (!object)
    return std::move(object.error());
  field_reader fields{*object, ""};
  job_progress result;
  result.id = fields.text("uuid");
  // An empty text is what proto3 writes for none.
  if (auto status = fields.text("status"); !status.empty())
    result.status = std::move(status);
  if (!fields.problem().empty())
    return invalid(fields.problem());
  auto statistics = fields.find("statistics");
  if (!statistics)
    return result;
  if (!statistics->is_object())
    return invalid("statistics must be an object");
  field_reader inner{*statistics, "statistics."};
  result.statistics = read_statistics(inner);
  if (!inner.problem().empty())
    return invalid(inner.problem());
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
  return items_json(xs, 120, write_workload);
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

} // namespace aiops
