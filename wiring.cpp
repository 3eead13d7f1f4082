#include "wiring.hpp"

#include "actors/counts/log_aggregation.hpp"
#include "actors/counts/log_history.hpp"
#include "actors/events.hpp"
#include "actors/gpu_info.hpp"
#include "actors/runtime_classes.hpp"
#include "actors/training/training.hpp"
#include "actors/training/training_hooks.hpp"
#include "actors/training/training_jobs.hpp"
#include "actors/training/training_status.hpp"
#include "actors/training/watchlist.hpp"
#include "gpu/file.hpp"
#include "gpu/kubernetes.hpp"
#include "gpu/none.hpp"
#include "gpu/nvml.hpp"
#include "host/host_name.hpp"
#include "http/compat/ai_settings.hpp"
#include "http/v1/event_feed.hpp"
#include "logs/jetstream.hpp"
#include "logs/opensearch.hpp"
#include "nats/buckets.hpp"
#include "nats/bus.hpp"
#include "nats/counts/counts_store.hpp"
#include "nats/kv_store.hpp"
#include "nats/lease.hpp"
#include "nats/storage_watch.hpp"
#include "nats/subjects.hpp"
#include "nats/training/job_store.hpp"
#include "nats/training/kv_backend.hpp"
#include "nats/training/nats_hook.hpp"
#include "nats/training/progress_feed.hpp"
#include "nats/training/request_reply_backend.hpp"
#include "nats/training/webhook.hpp"

namespace aiops {

namespace {

/// How much longer an outer deadline is than the inner one.
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

/// The name of this replica in leases. In an embedded server no other replica
/// can hold a lease, so a lease of an earlier run belongs to this one.
std::string owner_of(const gateway_config& config) {
  return config.nats.token.empty() ? nats::replica_id() : "embedded";
}

nats::lease_config lease_on(std::string_view key,
                            const gateway_config& config) {
  return {std::string{nats::subjects::gateway_bucket}, std::string{key},
          owner_of(config), config.aggregation.lease};
}

nats::kv_store_config store_config(const gateway_config& config) {
  nats::kv_store_config result;
  result.request_timeout = config.deadlines.request;
  result.replicas = config.nats.replicas;
  return result;
}

/// The actors that count the logs and store the counts.
std::vector<child_spec> counts(const gateway_config& config) {
  auto request = config.deadlines.request;
  auto counting = config.aggregation.source != log_source::none;
  auto held = lease_on(nats::subjects::aggregation_lease_key, config);
  auto kv = store_config(config);
  // Counting, reading and writing a million counts takes long, so the actors
  // that do this are detached.
  std::vector<child_spec> result;
  // Before the lease, so that the lease is released first when all stop: a
  // count may take long to end.
  result.push_back(child<log_source_actor>(
    "log-source", &gateway_actors::log_source,
    [=](auto& sys, auto& known) -> log_source_actor {
      switch (config.aggregation.source) {
        case log_source::jetstream:
          return sys.template spawn<caf::detached>(
            logs::jetstream_log_source, known.bus,
            logs::jetstream_log_source_config{config.aggregation, request,
                                              config.nats.replicas});
        case log_source::opensearch:
          return sys.template spawn<caf::detached>(
            logs::opensearch_log_source,
            logs::opensearch_log_source_config{config.aggregation.opensearch,
                                               config.aggregation.interval * 7
                                                 / 10});
        default:
          return {};
      }
    }));
  result.push_back(
    child<lease_actor>("lease", &gateway_actors::lease,
                       [=](auto& sys, auto& known) -> lease_actor {
                         if (!counting)
                           return {};
                         return sys.spawn(nats::lease, known.kv_store, held);
                       }));
  result.push_back(child<kv_store_actor>(
    "counts-kv-store", &gateway_actors::counts_kv_store,
    [=](auto& sys, auto& known) -> kv_store_actor {
      return sys.template spawn<caf::detached>(nats::kv_store, known.bus, kv);
    }));
  result.push_back(child<counts_store_actor>(
    "counts-store", &gateway_actors::counts_store,
    [=](auto& sys, auto& known) -> counts_store_actor {
      nats::counts_store_config cfg;
      cfg.owner = held.owner;
      cfg.request_timeout = request;
      return sys.template spawn<caf::detached>(
        nats::counts_store, known.bus, known.counts_kv_store, known.lease, cfg);
    }));
  return result;
}

/// The source that `--gpu-source auto` selects here.
gpu_config::kind gpu_source(const gpu_config& config) {
  if (config.source != gpu_config::kind::automatic)
    return config.source;
  if (config.kubernetes.in_cluster() || !config.kubernetes.url.empty()
      || !config.kubernetes.kubeconfig.empty())
    return gpu_config::kind::kubernetes;
  return gpu::nvml_present(gpu::nvml_config{}.library) ? gpu_config::kind::nvml
                                                       : gpu_config::kind::none;
}

/// Deadline of one scan of the GPUs. Callers wait for a shorter time.
milliseconds scan_deadline(const gateway_config& config) {
  return std::max(config.deadlines.request, config.gpu.refresh * 4 / 5);
}

/// Checks periodically that the embedded server can store.
child_spec storage(const gateway_config& config,
                   nats::embedded_server* embedded) {
  nats::storage_watch_config cfg;
  cfg.request_timeout = config.deadlines.request + margin;
  cfg.report = [embedded](const std::string& failure) {
    embedded->probed(failure);
  };
  return {
    "storage-watch", [cfg](caf::actor_system& sys, gateway_actors& known) {
      return caf::actor_cast<caf::actor>(
        sys.spawn<caf::detached>(nats::storage_watch, known.kv_store, cfg));
    }};
}

/// The buckets that the gateway and other programs of this protocol use.
std::vector<std::string> bucket_names(backend_protocol protocol) {
  std::vector<std::string> result{
    std::string{nats::subjects::gateway_bucket},
    std::string{nats::subjects::aggregation_bucket}};
  if (protocol == backend_protocol::kv) {
    result.emplace_back(nats::subjects::statistics_bucket);
    result.emplace_back(nats::subjects::parameters_bucket);
  }
  return result;
}

std::vector<child_spec> edges(const gateway_config& config,
                              nats::embedded_server* embedded,
                              std::function<void(std::string)> give_up) {
  auto request = config.deadlines.request;
  std::vector<child_spec> result;
  result.push_back(child<bus_actor>(
    "bus", &gateway_actors::bus, [=](auto& sys, auto&) -> bus_actor {
      nats::bus_config cfg;
      cfg.nats = config.nats;
      cfg.give_up = give_up;
      if (embedded)
        cfg.locate = [=] { return embedded->connection(); };
      return sys.spawn(nats::bus, std::move(cfg));
    }));
  result.push_back(child<kv_store_actor>(
    "kv-store", &gateway_actors::kv_store,
    [=](auto& sys, auto& known) -> kv_store_actor {
      return sys.spawn(nats::kv_store, known.bus, store_config(config));
    }));
  if (embedded)
    result.push_back(storage(config, embedded));
  result.push_back(child<bus_listener_actor>(
    "buckets", &gateway_actors::buckets,
    [=](auto& sys, auto& known) -> bus_listener_actor {
      return sys.spawn(
        nats::buckets, known.bus, known.kv_store,
        nats::buckets_config{bucket_names(config.protocol), request});
    }));
  for (auto& spec : counts(config))
    result.push_back(std::move(spec));
  result.push_back(
    child<job_store_actor>("job-store", &gateway_actors::job_store,
                           [=](auto& sys, auto& known) -> job_store_actor {
                             return sys.spawn(nats::job_store, known.kv_store,
                                              nats::job_store_config{request});
                           }));
  result.push_back(child<backend_actor>(
    "backend", &gateway_actors::backend, [=](auto& sys, auto& known) {
      auto spawn = [&](auto protocol) -> backend_actor {
        return sys.spawn(protocol, known.bus, known.kv_store,
                         nats::backend_config{request});
      };
      return config.protocol == backend_protocol::kv
               ? spawn(nats::kv_backend)
               : spawn(nats::request_reply_backend);
    }));
  result.push_back(child<gpu_probe_actor>(
    "gpu-probe", &gateway_actors::gpu_probe, [=](auto& sys, auto&) {
      // All except the last one block, so they are detached.
      switch (config.gpu.source) {
        case gpu_config::kind::file:
          return sys.template spawn<caf::detached>(gpu::file, config.gpu.file);
        case gpu_config::kind::kubernetes:
          return sys.template spawn<caf::detached>(
            gpu::kubernetes, gpu::kubernetes_probe_config{
                               config.gpu.kubernetes, scan_deadline(config)});
        case gpu_config::kind::nvml: {
          gpu::nvml_config cfg;
          cfg.node = host::host_name();
          return sys.template spawn<caf::detached>(gpu::nvml, std::move(cfg));
        }
        default:
          return sys.spawn(gpu::none, caf::unit);
      }
    }));
  return result;
}

/// The actors for a training, from the submission to its end.
std::vector<child_spec> lifecycle(const gateway_config& config) {
  auto request = config.deadlines.request + margin;
  // After its own deadline a submission may be read back and stored.
  auto outcome_time = config.deadlines.train + 3 * request;
  auto kv = config.protocol == backend_protocol::kv;
  auto idle_text = std::string{kv ? nats::kv_idle_text
                                  : nats::request_reply_idle_text};
  std::vector<child_spec> result;
  result.push_back(child<training_jobs_actor>(
    "training-jobs", &gateway_actors::training_jobs,
    [=](auto& sys, auto& known) {
      training_jobs_config cfg;
      cfg.request_timeout = request;
      cfg.stall_after = config.lifecycle.stall_after;
      cfg.idle_text = idle_text;
      cfg.outcome_time = outcome_time;
      if (kv)
        cfg.initial = nats::kv_initial_statistics();
      return sys.spawn(training_jobs, known.job_store, known.backend, cfg);
    }));
  result.push_back(child<training_status_actor>(
    "training-status", &gateway_actors::training_status,
    [=](auto& sys, auto& known) {
      training_status_config cfg;
      cfg.request_timeout = request;
      cfg.poll_interval = config.lifecycle.poll_interval;
      cfg.idle_text = idle_text;
      return sys.spawn(training_status, known.backend, known.training_jobs,
                       known.bus, known.events, cfg);
    }));
  result.push_back(child<training_actor>(
    "training", &gateway_actors::training, [=](auto& sys, auto& known) {
      training_config cfg;
      cfg.request_timeout = request;
      cfg.train_timeout = config.deadlines.train;
      cfg.compare_by_book = kv;
      return sys.spawn(training, known.backend, known.training_jobs,
                       known.job_store, cfg);
    }));
  result.push_back(child<watchlist_actor>(
    "watchlist", &gateway_actors::watchlist, [=](auto& sys, auto& known) {
      return sys.spawn(watchlist, known.backend, known.training_jobs,
                       watchlist_config{request});
    }));
  result.push_back(
    child<bus_sink_actor>("progress-feed", &gateway_actors::progress_feed,
                          [=](auto& sys, auto& known) {
                            nats::progress_feed_config cfg;
                            cfg.request_timeout = request * 3;
                            return sys.spawn(nats::progress_feed, known.bus,
                                             known.training_status, cfg);
                          }));
  return result;
}

/// The actors that notify others of trainings that have ended.
std::vector<child_spec> hooks(const gateway_config& config) {
  auto& settings = config.lifecycle;
  std::vector<child_spec> result;
  result.push_back(
    child<job_hook_actor>("finished-hook", &gateway_actors::finished_hook,
                          [](auto& sys, auto& known) {
                            return sys.spawn(nats::finished_hook, known.bus,
                                             nats::finished_hook_config{});
                          }));
  nats::webhook_config web;
  web.url = settings.webhook_url;
  web.secret_file = settings.webhook_secret_file;
  web.ca_file = settings.webhook_ca_file;
  result.push_back(child<job_hook_actor>(
    "webhook", &gateway_actors::webhook,
    [=](auto& sys, auto&) -> job_hook_actor {
      if (web.url.empty())
        return {};
      return sys.template spawn<caf::detached>(nats::webhook, web);
    }));
  result.push_back(child<lease_actor>(
    "hooks-lease", &gateway_actors::hooks_lease,
    [held = lease_on(nats::subjects::hooks_lease_key, config)](auto& sys,
                                                               auto& known) {
      return sys.spawn(nats::lease, known.kv_store, held);
    }));
  training_hooks_config cfg;
  // Longer than one attempt of the webhook takes.
  cfg.request_timeout = std::max(config.deadlines.request * 2,
                                 web.timeout + margin);
  cfg.give_up = settings.webhook_give_up;
  result.push_back(child<training_hooks_actor>(
    "training-hooks", &gateway_actors::training_hooks,
    [=](auto& sys, auto& known) {
      std::vector<job_hook_actor> receivers{known.finished_hook};
      if (known.webhook)
        receivers.push_back(known.webhook);
      return sys.spawn(training_hooks, known.training_jobs, known.job_store,
                       known.hooks_lease, std::move(receivers), cfg);
    }));
  return result;
}

std::vector<child_spec> inventories(const gateway_config& config) {
  auto request = config.deadlines.request + margin;
  std::vector<child_spec> result;
  result.push_back(child<gpu_info_actor>(
    "gpu-info", &gateway_actors::gpu_info, [=](auto& sys, auto& known) {
      gpu_info_config cfg;
      cfg.request_timeout = request;
      cfg.scan_timeout = request;
      switch (config.gpu.source) {
        case gpu_config::kind::file:
          // A file lists only what its author selected.
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
        cfg.scan_timeout = scan_deadline(config) + margin;
      }
      return sys.spawn(gpu_info, known.gpu_probe, known.events, cfg);
    }));
  result.push_back(child<runtime_classes_actor>(
    "runtime-classes", &gateway_actors::runtime_classes,
    [=](auto& sys, auto& known) {
      auto cluster = config.gpu.source == gpu_config::kind::kubernetes;
      runtime_classes_config cfg;
      // A scan of the GPUs may be running.
      cfg.request_timeout = 2 * scan_deadline(config) + margin;
      return sys.spawn(runtime_classes,
                       cluster ? known.gpu_probe : gpu_probe_actor{}, cfg);
    }));
  result.push_back(child<ai_settings_actor>(
    "ai-settings", &gateway_actors::ai_settings, [=](auto& sys, auto&) {
      return sys.template spawn<caf::detached>(http::ai_settings,
                                               config.http.ai_settings);
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
                       known.lease, known.events, cfg);
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
gateway_children(const gateway_config& config, nats::embedded_server* embedded,
                 http::event_streams* streams,
                 std::function<void(std::string)> give_up) {
  auto resolved = config;
  // Only once: loading a driver may take a while.
  resolved.gpu.source = gpu_source(config.gpu);
  std::vector<child_spec> result;
  // First, so that it keeps its values when other actors are restarted.
  result.push_back(child<events_actor>(
    "events", &gateway_actors::events,
    [](auto& sys, auto&) { return sys.spawn(events, events_config{}); }));
  result.push_back(child<event_listener_actor>(
    "event-feed", &gateway_actors::event_feed, [=](auto& sys, auto& known) {
      return sys.spawn(http::event_feed, known.events, streams);
    }));
  for (auto& part :
       {edges(resolved, embedded, std::move(give_up)), lifecycle(resolved),
        hooks(resolved), inventories(resolved)})
    result.insert(result.end(), part.begin(), part.end());
  return result;
}

} // namespace aiops
