#include "http/compat/json.hpp"

#include "base/error.hpp"
#include "json/progress.hpp"
#include "json/reader.hpp"
#include "json/writer.hpp"

#include <nlohmann/json.hpp>

namespace aiops::http {

namespace {

caf::error invalid(std::string text) {
  return make_error(ec::invalid_argument, std::move(text));
}

} // namespace

// -- reading ------------------------------------------------------------------

caf::expected<workload_list> read_workloads(std::string_view body) {
  auto object = read_object(body, "the body");
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
  return read_progress(body, progress_form::statistics, "the body");
}

caf::expected<job_progress> read_status_update(std::string_view body) {
  return read_progress(body, progress_form::status, "the body");
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

std::string runtime_classes_json(const std::vector<std::string>& names) {
  std::string out;
  {
    object_writer obj{out};
    auto& list = obj.field("RuntimeClasses");
    list += '[';
    for (auto& name : names) {
      if (&name != &names.front())
        list += ',';
      append_quoted(list, name);
    }
    list += ']';
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

} // namespace aiops::http
