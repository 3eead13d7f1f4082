#include "http/v1/v1_json.hpp"

#include "base/time.hpp"

#include <algorithm>
#include <map>
#include <span>

namespace aiops::http {

namespace {

using namespace std::chrono_literals;

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

/// Units that are not allocated; nothing if that is unknown.
std::optional<int64_t> free_units(const gpu_resource& x) {
  if (!x.allocated)
    return std::nullopt;
  return std::max(int64_t{0}, x.allocatable - *x.allocated);
}

/// The sums of one resource.
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

/// Writes the sums by resource over the nodes that can be used.
void append_totals(std::string& out, const gpu_list& gpus) {
  std::map<std::string_view, gpu_total> totals;
  for (auto& gpu : gpus) {
    auto& total = totals[gpu.name];
    if (gpu.ready && gpu.schedulable)
      total.add(gpu);
  }
  append_array(out, totals, [](auto& obj, auto& total) {
    obj.text("resource", total.first);
    obj.number("capacity", total.second.capacity);
    obj.number("allocatable", total.second.allocatable);
    obj.number("allocated", total.second.allocated);
    obj.number("free", total.second.free);
  });
}

} // namespace

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
    obj.time("aggregatedAt", x.aggregated_at);
    obj.flag("stale", x.stale);
    obj.text("reason", x.reason);
    obj.text("source", x.source);
    obj.flag("aggregating", x.aggregating);
  }
  return out;
}

std::string with_age(std::string_view bytes, const cluster_overview& x,
                     json_time now) {
  std::string out;
  out.reserve(bytes.size() + 40);
  // Without the closing brace.
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

std::string to_json(const cluster_history& x, json_time since) {
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

std::string to_json(const gpu_inventory& x, json_time now) {
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
    obj.number("utilizationPercent", device.utilization);
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
    obj.number("allocated", gpu.allocated);
    obj.number("free", free_units(gpu));
    obj.flag("ready", gpu.ready);
    obj.flag("schedulable", gpu.schedulable);
    append_array(obj.field("devices"), gpu.devices, write_device);
  };
  std::string out;
  {
    object_writer obj{out};
    append_array(obj.field("items"), x.gpus, write_gpu);
    append_totals(obj.field("usable"), x.gpus);
    obj.time("observedAt", x.observed_at);
    append_age(obj.field("ageSeconds"), x.observed_at, now);
    obj.flag("stale", x.stale);
    obj.text("reason", x.reason);
    obj.text("source", x.source);
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

std::string summary_json(const cluster_overview& x) {
  int64_t deployments = 0;
  int64_t log_count = 0;
  for (auto& cluster : x.clusters) {
    deployments += cluster.deployments;
    log_count += cluster.log_count;
  }
  std::string out;
  {
    object_writer obj{out};
    obj.time("aggregatedAt", x.aggregated_at);
    obj.flag("stale", x.stale);
    obj.text("reason", x.reason);
    obj.number("clusters", static_cast<int64_t>(x.clusters.size()));
    obj.number("deployments", deployments);
    obj.number("logCount", log_count);
  }
  return out;
}

std::string summary_json(const gpu_inventory& x) {
  std::string out;
  {
    object_writer obj{out};
    append_totals(obj.field("usable"), x.gpus);
    obj.flag("stale", x.stale);
    obj.text("reason", x.reason);
    obj.text("source", x.source);
  }
  return out;
}

} // namespace aiops::http
