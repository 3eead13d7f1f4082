#include "http/routes.hpp"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <optional>

/// @file
/// What Prometheus scrapes. Nothing here has a cluster's name as a label: the
/// number of time series must not grow with the clusters.

namespace aiops {

namespace {

using prometheus::MetricType;

/// Collects metrics that have one value each.
class metrics_writer {
public:
  void add(MetricType type, std::string name, std::string help, double value,
           std::vector<prometheus::ClientMetric::Label> labels = {}) {
    prometheus::ClientMetric metric;
    metric.label = std::move(labels);
    if (type == MetricType::Counter)
      metric.counter.value = value;
    else
      metric.gauge.value = value;
    families_.push_back(
      {"aiops_gateway_" + name, std::move(help), type, {std::move(metric)}});
  }

  void gauge(std::string name, std::string help, double value) {
    add(MetricType::Gauge, std::move(name), std::move(help), value);
  }

  void counter(std::string name, std::string help, int64_t value) {
    add(MetricType::Counter, std::move(name), std::move(help),
        static_cast<double>(value));
  }

  std::string text() const {
    return prometheus::TextSerializer{}.Serialize(families_);
  }

private:
  std::vector<prometheus::MetricFamily> families_;
};

double seconds(std::chrono::duration<double> x) {
  return x.count();
}

void add_aggregation(metrics_writer& out, const cluster_overview& x) {
  if (x.aggregated_at)
    out.gauge("aggregation_last_success_timestamp_seconds",
              "When the log counts in use were stored, by any replica.",
              seconds(std::chrono::floor<milliseconds>(
                x.aggregated_at->time_since_epoch())));
  out.gauge("aggregation_stale",
            "Whether the log counts are older than they should be.", x.stale);
  out.gauge("aggregation_leader",
            "Whether this replica is the one that counts the logs.",
            x.aggregating);
  out.counter("aggregations_total",
              "Aggregations of this replica, failed ones included.",
              x.aggregations);
  out.counter("aggregation_failures_total",
              "Aggregations of this replica that failed.", x.failures);
  if (x.took.count() > 0)
    out.gauge("aggregation_duration_seconds",
              "How long the last good aggregation of this replica took.",
              seconds(x.took));
  int64_t workloads = 0;
  for (auto& cluster : x.clusters)
    workloads += cluster.deployments;
  out.gauge("aggregation_clusters", "Clusters in the log counts.",
            static_cast<double>(x.clusters.size()));
  out.gauge("aggregation_workloads", "Workloads in the log counts.",
            static_cast<double>(workloads));
}

} // namespace

http_response get_metrics(const http_request&, route_env& env) {
  auto actors = env.alive();
  metrics_writer out;
  out.add(MetricType::Gauge, "build_info", "The program that answers.", 1,
          {{"version", AIOPS_GATEWAY_VERSION}});
  // What nobody knows is left out: a wrong value would be worse.
  if (auto bus = env.check(actors->bus, status_atom_v))
    out.gauge("nats_connected", "Whether there is a connection to NATS.",
              bus->connected);
  if (auto overview = env.check(actors->log_aggregation, get_atom_v))
    add_aggregation(out, (*overview)->value());
  http_response result;
  result.body = out.text();
  result.content_type = metrics_type;
  return result;
}

} // namespace aiops
