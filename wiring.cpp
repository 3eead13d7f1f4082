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

#include <algorithm>
#include <memory>
#include <string_view>

namespace aiops {

namespace {

// -- the configuration of several children --------------------------------------

/// What the children are made from.
struct plan {
  gateway_config config;
  deadlines until;
  nats::embedded_server* embedded;
  http::event_streams* streams;
  std::function<void(std::string)> give_up;
  /// The name of this replica in leases and counts.
  std::string owner;

  bool speaks_kv() const {
    return config.protocol == backend_protocol::kv;
  }

  std::string idle_text() const {
    return std::string{speaks_kv() ? nats::kv_idle_text
                                   : nats::request_reply_idle_text};
  }

  bool counts_logs() const {
    return config.aggregation.source != log_source::none;
  }

  nats::lease_config lease_on(std::string_view key) const {
    return {std::string{nats::subjects::gateway_bucket}, std::string{key},
            owner, config.aggregation.lease};
  }

  nats::kv_store_config kv_store() const {
    nats::kv_store_config result;
    result.request_timeout = until.bus;
    result.replicas = config.nats.replicas;
    return result;
  }
};

/// The source that `--gpu-source auto` selects.
gpu_config::kind gpu_source(const gpu_config& config) {
  if (config.source != gpu_config::kind::automatic)
    return config.source;
  if (config.kubernetes.in_cluster() || !config.kubernetes.url.empty()
      || !config.kubernetes.kubeconfig.empty())
    return gpu_config::kind::kubernetes;
  return gpu::nvml_present(gpu::nvml_config{}.library) ? gpu_config::kind::nvml
                                                       : gpu_config::kind::none;
}

/// The buckets of the gateway and of other programs of this protocol.
std::vector<std::string> bucket_names(const plan& x) {
  std::vector<std::string> result{
    std::string{nats::subjects::gateway_bucket},
    std::string{nats::subjects::aggregation_bucket}};
  if (x.speaks_kv()) {
    result.emplace_back(nats::subjects::statistics_bucket);
    result.emplace_back(nats::subjects::parameters_bucket);
  }
  return result;
}

nats::webhook_config webhook_of(const plan& x) {
  nats::webhook_config result;
  result.url = x.config.lifecycle.webhook_url;
  result.secret_file = x.config.lifecycle.webhook_secret_file;
  result.ca_file = x.config.lifecycle.webhook_ca_file;
  return result;
}

// -- the start of each child ----------------------------------------------------

using actors = gateway_actors;
using caf::actor_system;

events_actor start_events(actor_system& sys, const actors&, const plan&) {
  return sys.spawn(events, events_config{});
}

event_listener_actor start_event_feed(actor_system& sys, const actors& known,
                                      const plan& x) {
  return sys.spawn(http::event_feed, known.events, x.streams);
}

bus_actor start_bus(actor_system& sys, const actors&, const plan& x) {
  nats::bus_config cfg;
  cfg.nats = x.config.nats;
  cfg.give_up = x.give_up;
  if (auto embedded = x.embedded)
    cfg.locate = [embedded] { return embedded->connection(); };
  return sys.spawn(nats::bus, std::move(cfg));
}

kv_store_actor start_kv_store(actor_system& sys, const actors& known,
                              const plan& x) {
  return sys.spawn(nats::kv_store, known.bus, x.kv_store());
}

caf::actor start_storage_watch(actor_system& sys, const actors& known,
                               const plan& x) {
  if (!x.embedded)
    return {};
  nats::storage_watch_config cfg;
  cfg.request_timeout = x.until.store;
  cfg.report = [embedded = x.embedded](const std::string& failure) {
    embedded->probed(failure);
  };
  return caf::actor_cast<caf::actor>(
    sys.spawn<caf::detached>(nats::storage_watch, known.kv_store, cfg));
}

bus_listener_actor start_buckets(actor_system& sys, const actors& known,
                                 const plan& x) {
  return sys.spawn(nats::buckets, known.bus, known.kv_store,
                   nats::buckets_config{bucket_names(x), x.until.bucket()});
}

// Counting, reading and writing a million counts takes a while, so the actors
// of the counts are detached.

log_source_actor start_log_source(actor_system& sys, const actors& known,
                                  const plan& x) {
  auto& counts = x.config.aggregation;
  switch (counts.source) {
    case log_source::jetstream:
      return sys.spawn<caf::detached>(
        logs::jetstream_log_source, known.bus,
        logs::jetstream_log_source_config{counts, x.until.bus,
                                          x.config.nats.replicas});
    case log_source::opensearch:
      return sys.spawn<caf::detached>(
        logs::opensearch_log_source,
        logs::opensearch_log_source_config{counts.opensearch,
                                           count_deadline(counts.interval)});
    case log_source::none:
      break;
  }
  return {};
}

lease_actor start_lease(actor_system& sys, const actors& known, const plan& x) {
  if (!x.counts_logs())
    return {};
  return sys.spawn(nats::lease, known.kv_store,
                   x.lease_on(nats::subjects::aggregation_lease_key));
}

kv_store_actor start_counts_kv_store(actor_system& sys, const actors& known,
                                     const plan& x) {
  return sys.spawn<caf::detached>(nats::kv_store, known.bus, x.kv_store());
}

counts_store_actor start_counts_store(actor_system& sys, const actors& known,
                                      const plan& x) {
  nats::counts_store_config cfg;
  cfg.owner = x.owner;
  cfg.request_timeout = x.until.store;
  return sys.spawn<caf::detached>(nats::counts_store, known.bus,
                                  known.counts_kv_store, known.lease, cfg);
}

job_store_actor start_job_store(actor_system& sys, const actors& known,
                                const plan& x) {
  return sys.spawn(nats::job_store, known.kv_store,
                   nats::job_store_config{x.until.store});
}

backend_actor start_backend(actor_system& sys, const actors& known,
                            const plan& x) {
  auto spawn = [&](auto protocol) -> backend_actor {
    return sys.spawn(protocol, known.bus, known.kv_store,
                     nats::backend_config{x.until.bus});
  };
  return x.speaks_kv() ? spawn(nats::kv_backend)
                       : spawn(nats::request_reply_backend);
}

// A probe blocks, so it is detached.
gpu_probe_actor start_gpu_probe(actor_system& sys, const actors&,
                                const plan& x) {
  auto& gpus = x.config.gpu;
  switch (gpus.source) {
    case gpu_config::kind::file:
      return sys.spawn<caf::detached>(gpu::file, gpus.file);
    case gpu_config::kind::kubernetes:
      return sys.spawn<caf::detached>(
        gpu::kubernetes, gpu::kubernetes_probe_config{
                           gpus.kubernetes, x.until.scan(gpus.refresh)});
    case gpu_config::kind::nvml: {
      gpu::nvml_config cfg;
      cfg.node = host::host_name();
      return sys.spawn<caf::detached>(gpu::nvml, std::move(cfg));
    }
    default:
      return {};
  }
}

training_jobs_actor start_training_jobs(actor_system& sys, const actors& known,
                                        const plan& x) {
  training_jobs_config cfg;
  cfg.request_timeout = x.until.domain;
  cfg.stall_after = x.config.lifecycle.stall_after;
  cfg.idle_text = x.idle_text();
  cfg.outcome_time = x.until.outcome;
  if (x.speaks_kv())
    cfg.initial = nats::kv_initial_statistics();
  return sys.spawn(training_jobs, known.job_store, known.backend, cfg);
}

training_status_actor
start_training_status(actor_system& sys, const actors& known, const plan& x) {
  training_status_config cfg;
  cfg.request_timeout = x.until.domain;
  cfg.poll_interval = x.config.lifecycle.poll_interval;
  cfg.idle_text = x.idle_text();
  return sys.spawn(training_status, known.backend, known.training_jobs,
                   known.bus, known.events, cfg);
}

training_actor start_training(actor_system& sys, const actors& known,
                              const plan& x) {
  training_config cfg;
  cfg.request_timeout = x.until.domain;
  cfg.train_timeout = x.until.train;
  cfg.compare_by_book = x.speaks_kv();
  return sys.spawn(training, known.backend, known.training_jobs,
                   known.job_store, cfg);
}

watchlist_actor start_watchlist(actor_system& sys, const actors& known,
                                const plan& x) {
  return sys.spawn(watchlist, known.backend, known.training_jobs,
                   watchlist_config{x.until.domain});
}

bus_sink_actor start_progress_feed(actor_system& sys, const actors& known,
                                   const plan& x) {
  nats::progress_feed_config cfg;
  cfg.request_timeout = x.until.progress;
  return sys.spawn(nats::progress_feed, known.bus, known.training_status, cfg);
}

job_hook_actor start_nats_hook(actor_system& sys, const actors& known,
                               const plan& x) {
  return sys.spawn(nats::nats_hook, known.bus,
                   nats::nats_hook_config{x.until.bus_answer});
}

job_hook_actor start_webhook(actor_system& sys, const actors&, const plan& x) {
  auto cfg = webhook_of(x);
  if (cfg.url.empty())
    return {};
  return sys.spawn<caf::detached>(nats::webhook, std::move(cfg));
}

lease_actor start_hooks_lease(actor_system& sys, const actors& known,
                              const plan& x) {
  return sys.spawn(nats::lease, known.kv_store,
                   x.lease_on(nats::subjects::hooks_lease_key));
}

training_hooks_actor start_training_hooks(actor_system& sys,
                                          const actors& known, const plan& x) {
  training_hooks_config cfg;
  cfg.request_timeout = x.until.notification(webhook_of(x).timeout);
  cfg.give_up = x.config.lifecycle.webhook_give_up;
  std::vector<job_hook_actor> hooks{known.nats_hook};
  if (known.webhook)
    hooks.push_back(known.webhook);
  return sys.spawn(training_hooks, known.training_jobs, known.job_store,
                   known.hooks_lease, std::move(hooks), cfg);
}

gpu_info_actor start_gpu_info(actor_system& sys, const actors& known,
                              const plan& x) {
  gpu_info_config cfg;
  cfg.request_timeout = x.until.wait;
  cfg.scan_timeout = x.until.domain;
  auto scan_in_background = [&](const char* source) {
    cfg.source = source;
    cfg.refresh = x.config.gpu.refresh;
    cfg.scan_timeout = outlast(x.until.scan(cfg.refresh));
  };
  switch (x.config.gpu.source) {
    case gpu_config::kind::file:
      // The file contains what is to be listed.
      cfg.listed.clear();
      cfg.source = "file";
      break;
    case gpu_config::kind::kubernetes:
      scan_in_background("kubernetes");
      break;
    case gpu_config::kind::nvml:
      scan_in_background("nvml");
      break;
    default:
      break;
  }
  return sys.spawn(gpu_info, known.gpu_probe, known.events, cfg);
}

runtime_classes_actor
start_runtime_classes(actor_system& sys, const actors& known, const plan& x) {
  runtime_classes_config cfg;
  cfg.request_timeout = x.until.classes(x.config.gpu.refresh);
  return sys.spawn(runtime_classes, known.gpu_probe, cfg);
}

ai_settings_actor start_ai_settings(actor_system& sys, const actors&,
                                    const plan& x) {
  return sys.spawn<caf::detached>(http::ai_settings, x.config.http.ai_settings);
}

log_aggregation_actor
start_log_aggregation(actor_system& sys, const actors& known, const plan& x) {
  log_aggregation_config cfg;
  cfg.interval = x.config.aggregation.interval;
  cfg.source = std::string{to_string(x.config.aggregation.source)};
  cfg.request_timeout = x.until.wait;
  // Each uses a worker of the HTTP server until the counts are loaded.
  cfg.max_waiting = std::max<size_t>(1, x.config.http.workers / 5);
  return sys.spawn(log_aggregation, known.log_source, known.counts_store,
                   known.lease, known.events, cfg);
}

log_history_actor start_log_history(actor_system& sys, const actors& known,
                                    const plan& x) {
  log_history_config cfg;
  cfg.request_timeout = x.until.wait;
  return sys.spawn(log_history, known.counts_store, cfg);
}

// -- the table ------------------------------------------------------------------

/// The name of a child: the member of the directory, with dashes.
template <auto Member>
std::string name_of() {
  std::string_view text = __PRETTY_FUNCTION__;
  constexpr std::string_view scope = "gateway_actors::";
  text.remove_prefix(text.find(scope) + scope.size());
  auto end = text.find_first_not_of("abcdefghijklmnopqrstuvwxyz_");
  std::string result{text.substr(0, end)};
  std::replace(result.begin(), result.end(), '_', '-');
  return result;
}

template <class Handle>
Handle handle_type(Handle gateway_actors::*);

using plan_ptr = std::shared_ptr<const plan>;

/// A child that `start` starts, for the member of the directory.
template <auto Member>
child_spec child(plan_ptr x, decltype(handle_type(Member)) (*start)(
                               actor_system&, const actors&, const plan&)) {
  return {name_of<Member>(),
          [x = std::move(x), start](actor_system& sys, actors& known) {
            known.*Member = start(sys, known, *x);
            return caf::actor_cast<caf::actor>(known.*Member);
          }};
}

} // namespace

std::vector<child_spec>
gateway_children(const gateway_config& config, nats::embedded_server* embedded,
                 http::event_streams* streams,
                 std::function<void(std::string)> give_up) {
  auto resolved = config;
  // Once: the search for a driver may take a while.
  resolved.gpu.source = gpu_source(config.gpu);
  // In an embedded server no other replica can hold a lease, so a lease of an
  // earlier run belongs to this one.
  auto owner = config.nats.token.empty() ? nats::replica_id() : "embedded";
  auto x = std::make_shared<const plan>(
    plan{std::move(resolved), config.deadlines.all(), embedded, streams,
         std::move(give_up), std::move(owner)});
  return {
    // First, so that it keeps its state when others start again.
    child<&actors::events>(x, start_events),
    child<&actors::event_feed>(x, start_event_feed),
    child<&actors::bus>(x, start_bus),
    child<&actors::kv_store>(x, start_kv_store),
    child<&actors::storage_watch>(x, start_storage_watch),
    child<&actors::buckets>(x, start_buckets),
    // Before the lease, which is then returned first when all stop: a count may
    // take a while to end.
    child<&actors::log_source>(x, start_log_source),
    child<&actors::lease>(x, start_lease),
    child<&actors::counts_kv_store>(x, start_counts_kv_store),
    child<&actors::counts_store>(x, start_counts_store),
    child<&actors::job_store>(x, start_job_store),
    child<&actors::backend>(x, start_backend),
    child<&actors::gpu_probe>(x, start_gpu_probe),
    child<&actors::training_jobs>(x, start_training_jobs),
    child<&actors::training_status>(x, start_training_status),
    child<&actors::training>(x, start_training),
    child<&actors::watchlist>(x, start_watchlist),
    child<&actors::progress_feed>(x, start_progress_feed),
    child<&actors::nats_hook>(x, start_nats_hook),
    child<&actors::webhook>(x, start_webhook),
    child<&actors::hooks_lease>(x, start_hooks_lease),
    child<&actors::training_hooks>(x, start_training_hooks),
    child<&actors::gpu_info>(x, start_gpu_info),
    child<&actors::runtime_classes>(x, start_runtime_classes),
    child<&actors::ai_settings>(x, start_ai_settings),
    child<&actors::log_aggregation>(x, start_log_aggregation),
    child<&actors::log_history>(x, start_log_history),
  };
}

} // namespace aiops
