#include "http/routes.hpp"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <optional>

/// @file
/// The metrics for Prometheus. None has the name of a cluster as a label, so
/// that the number of time series does not grow with the clusters.

namespace aiops::http {

namespace {

using prometheus::MetricType;

/// Collects metrics.
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

  /// One gauge per value of the label `state`: 1 for the current one, else 0.
  void states(std::string name, std::string help,
              const std::vector<std::string_view>& all,
              std::string_view current) {
    prometheus::MetricFamily family{
      "aiops_gateway_" + name, std::move(help), MetricType::Gauge, {}};
    for (auto state : all) {
      auto& metric = family.metric.emplace_back();
      metric.label.push_back({"state", std::string{state}});
      metric.gauge.value = state == current;
    }
    families_.push_back(std::move(family));
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
              "When the current log counts were stored, by any replica.",
              seconds(std::chrono::floor<milliseconds>(
                x.aggregated_at->time_since_epoch())));
  out.gauge("aggregation_stale",
            "Whether the log counts are older than they should be.", x.stale);
  out.gauge("aggregation_leader", "Whether this replica counts the logs.",
            x.aggregating);
  out.counter("aggregations_total",
              "Aggregations of this replica, failed ones included.",
              x.aggregations);
  out.counter("aggregation_failures_total",
              "Aggregations of this replica that failed.", x.failures);
  if (x.took.count() > 0)
    out.gauge("aggregation_duration_seconds",
              "Duration of the last successful aggregation of this replica.",
              seconds(x.took));
  int64_t workloads = 0;
  for (auto& cluster : x.clusters)
    workloads += cluster.deployments;
  out.gauge("aggregation_clusters", "Clusters in the log counts.",
            static_cast<double>(x.clusters.size()));
  out.gauge("aggregation_workloads", "Workloads in the log counts.",
            static_cast<double>(workloads));
}

void add_training(metrics_writer& out, const training_overview& x) {
  std::vector<std::string_view> states{"none"};
  for (size_t i = 0; i < job_state_count; ++i)
    states.push_back(to_string(static_cast<job_state>(i)));
  auto job = current_job(x.book);
  out.states("training_state", "The state of the last training job.", states,
             job ? to_string(job->state) : states.front());
  out.counter("store_losses_total",
              "How often the store was found to have lost acknowledged changes "
              "of the training.",
              static_cast<int64_t>(x.losses));
  out.gauge("backend_reachable", "Whether the training backend answers.",
            x.backend.reachable);
}

void add_events(metrics_writer& out, const event_streams& x) {
  out.gauge("event_clients", "Clients that follow the events.",
            static_cast<double>(x.clients()));
  out.counter("event_clients_cut_off_total",
              "Clients that were too slow for the events and were cut off.",
              static_cast<int64_t>(x.cut_off()));
}

} // namespace

http_response get_metrics(const http_request&, route_env& env) {
  auto actors = env.alive();
  metrics_writer out;
  out.add(MetricType::Gauge, "build_info", "The program that answers.", 1,
          {{"version", AIOPS_GATEWAY_VERSION}});
  // Unknown values are omitted: a wrong value would be worse.
  if (auto bus = env.check(actors->bus, status_atom_v))
    out.gauge("nats_connected", "Whether there is a connection to NATS.",
              bus->connected);
  if (auto overview = env.check(actors->log_aggregation, get_atom_v))
    add_aggregation(out, (*overview)->value());
  if (auto overview = env.check(actors->training_status, overview_atom_v))
    add_training(out, (*overview)->value());
  add_events(out, env.events);
  http_response result;
  result.body = out.text();
  result.content_type = metrics_type;
  return result;
}

} // namespace aiops::http
