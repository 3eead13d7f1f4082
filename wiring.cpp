#include "wiring.hpp"

#include "actors/gpu_info.hpp"
#include "actors/log_aggregation.hpp"
#include "actors/log_history.hpp"
#include "actors/training.hpp"
#include "actors/training_status.hpp"
#include "actors/watchlist.hpp"
#include "gpu/file.hpp"
#include "gpu/kubernetes.hpp"
#include "gpu/none.hpp"
#include "gpu/nvml.hpp"
#include "host/host_name.hpp"
#include "logs/jetstream.hpp"
#include "logs/opensearch.hpp"
#include "nats/backend.hpp"
#include "nats/bus.hpp"
#include "nats/counts_store.hpp"
#include "nats/kv_store.hpp"
#include "nats/lease.hpp"
#include "nats/store.hpp"
#include "nats/subjects.hpp"

namespace aiops {

namespace {

/// How much longer an outer deadline is than the one inside of it.
constexpr milliseconds margin{100};

template <class Handle>
child_spec
child(std::string name, Handle gateway_actors::*member,
      std::function<Handle(caf::actor_system&, const gateway_actors&)> spawn) {
  auto start = [member, spawn](caf::actor_system& sys, gateway_actors& known) {
    known.*member = spawn(sys, known);
    return caf::actor_cast<caf::actor>(known.*member);
  };
  return {std::move(name), std::move(start)};
}

/// What counts the logs and keeps the counts.
std::vector<child_spec> counts(const gateway_config& config) {
  auto request = config.deadlines.request;
  auto counting = config.aggregation.source != log_source::none;
  // Nobody else can hold a lease in a broker of our own, so the one of an
  // earlier run is ours.
  auto owner = config.nats.token.empty() ? replica_id() : "embedded";
  kv_store_config kv;
  kv.request_timeout = request;
  // A million counts take a while to count, read and write, so whoever does
  // that is detached.
  std::vector<child_spec> result;
  // Before the lease, which then is given back first when all stop: a count
  // may take its time to end.
  result.push_back(child<log_source_actor>(
    "log-source", &gateway_actors::log_source,
    [=](auto& sys, auto& known) -> log_source_actor {
      switch (config.aggregation.source) {
        case log_source::jetstream:
          return sys.template spawn<caf::detached>(
            jetstream_log_source, known.bus,
            jetstream_log_source_config{config.aggregation, request});
        case log_source::opensearch:
          return sys.template spawn<caf::detached>(
            opensearch_log_source,
            opensearch_log_source_config{config.aggregation.opensearch,
                                         config.aggregation.interval * 7 / 10});
        default:
          return {};
      }
    }));
  result.push_back(child<lease_actor>(
    "lease", &gateway_actors::lease,
    [=](auto& sys, auto& known) -> lease_actor {
      if (!counting)
        return {};
      return sys.spawn(
        lease, known.kv_store,
        lease_config{std::string{subjects::gateway_bucket},
                     std::string{subjects::aggregation_lease_key}, owner,
                     config.aggregation.lease});
    }));
  result.push_back(child<kv_store_actor>(
    "counts-kv-store", &gateway_actors::counts_kv_store,
    [=](auto& sys, auto& known) -> kv_store_actor {
      return sys.template spawn<caf::detached>(kv_store, known.bus, kv);
    }));
  result.push_back(child<counts_store_actor>(
    "counts-store", &gateway_actors::counts_store,
    [=](auto& sys, auto& known) -> counts_store_actor {
      counts_store_config cfg;
      cfg.owner = owner;
      cfg.request_timeout = request;
      return sys.template spawn<caf::detached>(
        counts_store, known.bus, known.counts_kv_store, known.lease, cfg);
    }));
  return result;
}

/// What `--gpu-source auto` stands for here.
gpu_config::kind gpu_source(const gpu_config& config) {
  if (config.source != gpu_config::kind::automatic)
    return config.source;
  if (config.kubernetes.in_cluster() || !config.kubernetes.url.empty()
      || !config.kubernetes.kubeconfig.empty())
    return gpu_config::kind::kubernetes;
  return gpu::nvml_present(gpu::nvml_config{}.library) ? gpu_config::kind::nvml
                                                       : gpu_config::kind::none;
}

/// How long one look at the GPUs may take. Nobody waits for it that long.
milliseconds longest_look(const gateway_config& config) {
  return std::max(config.deadlines.request, config.gpu.refresh * 4 / 5);
}

std::vector<child_spec> edges(const gateway_config& config,
                              std::function<void(std::string)> give_up) {
  auto request = config.deadlines.request;
  std::vector<child_spec> result;
  result.push_back(child<bus_actor>("bus", &gateway_actors::bus,
                                    [=](auto& sys, auto&) -> bus_actor {
                                      bus_config cfg;
                                      cfg.nats = config.nats;
                                      cfg.give_up = give_up;
                                      return sys.spawn(bus, std::move(cfg));
                                    }));
  result.push_back(
    child<kv_store_actor>("kv-store", &gateway_actors::kv_store,
                          [=](auto& sys, auto& known) -> kv_store_actor {
                            kv_store_config cfg;
                            cfg.request_timeout = request;
                            return sys.spawn(kv_store, known.bus, cfg);
                          }));
  result.push_back(child<store_actor>(
    "store", &gateway_actors::store,
    [=](auto& sys, auto& known) -> store_actor {
      return sys.spawn(store, known.kv_store, store_config{request});
    }));
  for (auto& spec : counts(config))
    result.push_back(std::move(spec));
  result.push_back(child<backend_actor>(
    "backend", &gateway_actors::backend, [=](auto& sys, auto& known) {
      return sys.spawn(backend, known.bus, backend_config{request});
    }));
  result.push_back(child<gpu_probe_actor>(
    "gpu-probe", &gateway_actors::gpu_probe, [=](auto& sys, auto&) {
      // All but the last one block: detached.
      switch (config.gpu.source) {
        case gpu_config::kind::file:
          return sys.template spawn<caf::detached>(gpu::file, config.gpu.file);
        case gpu_config::kind::kubernetes:
          return sys.template spawn<caf::detached>(
            gpu::kubernetes, gpu::kubernetes_probe_config{
                               config.gpu.kubernetes, longest_look(config)});
        case gpu_config::kind::nvml: {
          gpu::nvml_config cfg;
          cfg.node = host_name();
          return sys.template spawn<caf::detached>(gpu::nvml, std::move(cfg));
        }
        default:
          return sys.spawn(gpu::none, caf::unit);
      }
    }));
  return result;
}

std::vector<child_spec> domain(const gateway_config& config) {
  auto request = config.deadlines.request + margin;
  std::vector<child_spec> result;
  result.push_back(child<training_status_actor>(
    "training-status", &gateway_actors::training_status,
    [=](auto& sys, auto& known) {
      return sys.spawn(training_status, known.backend, known.store,
                       training_status_config{request});
    }));
  result.push_back(child<training_actor>(
    "training", &gateway_actors::training, [=](auto& sys, auto& known) {
      training_config cfg;
      cfg.request_timeout = request;
      cfg.train_timeout = config.deadlines.train;
      return sys.spawn(training, known.backend, known.store,
                       known.training_status, cfg);
    }));
  result.push_back(child<watchlist_actor>(
    "watchlist", &gateway_actors::watchlist, [=](auto& sys, auto& known) {
      return sys.spawn(watchlist, known.backend, watchlist_config{request});
    }));
  result.push_back(child<gpu_info_actor>(
    "gpu-info", &gateway_actors::gpu_info, [=](auto& sys, auto& known) {
      gpu_info_config cfg;
      cfg.request_timeout = request;
      cfg.look_timeout = request;
      switch (config.gpu.source) {
        case gpu_config::kind::file:
          // Whoever wrote the file knows what to list.
          cfg.listed.clear();
          cfg.source = "file";
          break;
        case gpu_config::kind::kubernetes:
          cfg.source = "kubernetes";
          break;
        case gpu_config::kind::nvml:
          cfg.source = "nvml";
          break;
        default:
          break;
      }
      if (cfg.source == "kubernetes" || cfg.source == "nvml") {
        cfg.refresh = config.gpu.refresh;
        cfg.look_timeout = longest_look(config) + margin;
      }
      return sys.spawn(gpu_info, known.gpu_probe, cfg);
    }));
  result.push_back(child<log_aggregation_actor>(
    "log-aggregation", &gateway_actors::log_aggregation,
    [=](auto& sys, auto& known) {
      log_aggregation_config cfg;
      cfg.interval = config.aggregation.interval;
      cfg.source = std::string{to_string(config.aggregation.source)};
      cfg.request_timeout = request;
      // Each holds a worker of the front end until the counts are loaded.
      cfg.max_waiting = std::max<size_t>(1, config.http.workers / 5);
      return sys.spawn(log_aggregation, known.log_source, known.counts_store,
                       known.lease, cfg);
    }));
  result.push_back(child<log_history_actor>(
    "log-history", &gateway_actors::log_history, [=](auto& sys, auto& known) {
      log_history_config cfg;
      cfg.request_timeout = request;
      return sys.spawn(log_history, known.counts_store, cfg);
    }));
  return result;
}

} // namespace

std::vector<child_spec>
gateway_children(const gateway_config& config,
                 std::function<void(std::string)> give_up) {
  auto resolved = config;
  // Once: asking for a driver may take a while.
  resolved.gpu.source = gpu_source(config.gpu);
  auto result = edges(resolved, std::move(give_up));
  for (auto& spec : domain(resolved))
    result.push_back(std::move(spec));
  return result;
}

} // namespace aiops
