#include "tests/http/fixture.hpp"

#include "base/error.hpp"

#include <thread>

namespace aiops::test {

namespace {

using script_ptr = std::shared_ptr<gateway::shared_script>;

/// Answers with the result of `fun`, or not at all if the script is mute.
template <class T, class Self, class F>
caf::result<T> play(Self* self, const script_ptr& shared, F fun) {
  std::lock_guard guard{shared->mutex};
  ++shared->script.asked;
  auto answer = fun(shared->script);
  if (shared->script.mute)
    return self->template make_response_promise<T>();
  if constexpr (std::is_void_v<T>) {
    if (answer)
      return answer;
    return caf::unit;
  } else {
    if (answer)
      return std::move(*answer);
    return answer.error();
  }
}

training_actor::behavior_type fake_training(training_actor::pointer self,
                                            script_ptr shared) {
  return {
    [=](train_atom, training_request& x) {
      return play<training_result>(self, shared, [&](actor_script& script) {
        script.trained.push_back(std::move(x));
        return script.train;
      });
    },
    [](update_atom, const stored_book&) { /* nop */ },
  };
}

training_jobs_actor::behavior_type fake_jobs(training_jobs_actor::pointer self,
                                             script_ptr shared) {
  return {
    [](put_atom, const job_change&) -> caf::result<book_update> {
      return make_error(ec::conflict, "fake");
    },
    [=](delete_atom) {
      return play<stored_book>(self, shared, [](actor_script& script) {
        ++script.deleted;
        return script.after_delete;
      });
    },
    [](get_atom) -> caf::result<stored_book> { return stored_book{}; },
    [=](list_atom) {
      return play<snapshot_ptr<job_summaries>>(
        self, shared, [](actor_script& script) { return script.jobs; });
    },
    [=](get_atom, const std::string& id) {
      auto find = [&](actor_script& script) -> caf::expected<training_job> {
        if (!script.jobs)
          return script.jobs.error();
        auto i = script.job_by_id.find(id);
        if (i == script.job_by_id.end())
          return make_error(ec::not_found, "none of the last jobs has this id");
        return i->second;
      };
      return play<training_job>(self, shared, find);
    },
    [](subscribe_atom, const book_listener_actor&) { /* nop */ },
    [](update_atom, const stored_book&) { /* nop */ },
  };
}

training_status_actor::behavior_type
fake_status(training_status_actor::pointer self, script_ptr shared) {
  return {
    [=](get_atom) {
      return play<snapshot_ptr<model_status>>(
        self, shared, [](actor_script& script) { return script.status; });
    },
    [=](overview_atom) {
      return play<snapshot_ptr<training_overview>>(
        self, shared, [](actor_script& script) { return script.training; });
    },
    [=](put_atom, job_progress& x) {
      return play<void>(self, shared, [&](actor_script& script) {
        script.progress.push_back(std::move(x));
        return script.put;
      });
    },
    [](update_atom, const stored_book&) { /* nop */ },
    [](update_atom, const bus_status&) { /* nop */ },
  };
}

watchlist_actor::behavior_type fake_watchlist(watchlist_actor::pointer self,
                                              script_ptr shared) {
  return {
    [=](get_atom) {
      return play<snapshot_ptr<workload_list>>(
        self, shared, [](actor_script& script) { return script.watchlist; });
    },
    [=](overview_atom) {
      return play<snapshot_ptr<watchlist_overview>>(
        self, shared, [](actor_script& script) { return script.submitted; });
    },
    [](update_atom, const stored_book&) { /* nop */ },
  };
}

gpu_info_actor::behavior_type fake_gpus(gpu_info_actor::pointer self,
                                        script_ptr shared) {
  return {
    [=](get_atom) {
      return play<snapshot_ptr<gpu_list>>(
        self, shared, [](actor_script& script) { return script.gpus; });
    },
    [=](overview_atom) {
      return play<snapshot_ptr<gpu_inventory>>(
        self, shared, [](actor_script& script) { return script.inventory; });
    },
  };
}

log_aggregation_actor::behavior_type
fake_aggregation(log_aggregation_actor::pointer self, script_ptr shared) {
  return {
    [=](get_atom, std::string& id) {
      return play<snapshot_ptr<cluster_counts>>(
        self, shared, [&](actor_script& script) {
          script.clusters_asked.push_back(std::move(id));
          return script.counts;
        });
    },
    [=](get_atom) {
      return play<snapshot_ptr<cluster_overview>>(
        self, shared, [](actor_script& script) {
          return caf::expected<snapshot_ptr<cluster_overview>>{
            script.prepared ? script.prepared : make_snapshot(script.overview)};
        });
    },
    [](update_atom, const stored_breakdown&) { /* nop */ },
    [](update_atom, const lease_status&) { /* nop */ },
  };
}

log_history_actor::behavior_type fake_history(log_history_actor::pointer self,
                                              script_ptr shared) {
  return {
    [=](get_atom, std::string& id) {
      return play<snapshot_ptr<cluster_history>>(
        self, shared, [&](actor_script& script) {
          script.clusters_asked.push_back(std::move(id));
          return script.history;
        });
    },
    [](update_atom, const stored_breakdown&) { /* nop */ },
  };
}

runtime_classes_actor::behavior_type
fake_classes(runtime_classes_actor::pointer self, script_ptr shared) {
  return {
    [=](get_atom) {
      return play<std::vector<std::string>>(
        self, shared, [](actor_script& script) {
          return caf::expected<std::vector<std::string>>{
            script.runtime_classes};
        });
    },
  };
}

ai_settings_actor::behavior_type fake_settings(ai_settings_actor::pointer self,
                                               script_ptr shared) {
  return {
    [=](get_atom) {
      return play<std::string>(
        self, shared, [](actor_script& script) { return script.ai_settings; });
    },
  };
}

bus_actor::behavior_type fake_bus(bus_actor::pointer self, script_ptr shared) {
  return {
    [](request_atom, const bus_request&) -> caf::result<bus_reply> {
      return make_error(ec::no_responders, "fake");
    },
    [](subscribe_atom, const std::string&, const bus_sink_actor&) { /* nop */ },
    [](subscribe_atom, const std::string&, const std::string&,
       const bus_sink_actor&) { /* nop */ },
    [](put_atom, const bus_message&) { /* nop */ },
    [](subscribe_atom, const bus_listener_actor&) { /* nop */ },
    [=](status_atom) {
      return play<bus_status>(self, shared, [](actor_script& script) {
        return caf::expected<bus_status>{script.bus};
      });
    },
  };
}

} // namespace

struct gateway::system_config : caf::actor_system_config {
  system_config() {
    use_sharing_scheduler(*this, 2);
  }
};

gateway::gateway(const std::function<void(http_config&)>& change,
                 deadline_config deadlines)
  : config_(std::make_unique<system_config>()),
    system_(std::make_unique<caf::actor_system>(*config_)),
    shared_(std::make_shared<shared_script>()) {
  spawn_actors();
  http_config config;
  config.port = 0;
  config.workers = 10;
  if (change)
    change(config);
  http_context context{system_.get(), &directory_, deadlines.all()};
  context.durability = [shared = shared_] {
    std::lock_guard guard{shared->mutex};
    return shared->script.durability;
  };
  server_ = std::make_unique<http_server>(config,
                                          route_handlers(context, config));
  auto port = server_->bind();
  if (port)
    port_ = *port;
  server_->start();
}

gateway::~gateway() {
  server_.reset();
  auto actors = directory_.get();
  auto end = [](const auto& handle) {
    if (handle)
      caf::anon_send_exit(handle, caf::exit_reason::kill);
  };
  end(actors->training);
  end(actors->training_jobs);
  end(actors->training_status);
  end(actors->watchlist);
  end(actors->gpu_info);
  end(actors->log_aggregation);
  end(actors->log_history);
  end(actors->runtime_classes);
  end(actors->ai_settings);
  end(actors->bus);
}

raw_response gateway::ask(std::string_view method, std::string_view target,
                          std::string_view body,
                          std::string_view headers) const {
  auto client = connect();
  std::string request{method};
  request += ' ';
  request += target;
  request += " HTTP/1.1\r\nHost: x\r\n";
  request += headers;
  if (!body.empty())
    request += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  request += "\r\n";
  request += body;
  client.send(request);
  return client.receive(method == "HEAD");
}

void gateway::spawn_actors() {
  gateway_actors actors;
  actors.training = system_->spawn(fake_training, shared_);
  actors.training_jobs = system_->spawn(fake_jobs, shared_);
  actors.training_status = system_->spawn(fake_status, shared_);
  actors.watchlist = system_->spawn(fake_watchlist, shared_);
  actors.gpu_info = system_->spawn(fake_gpus, shared_);
  actors.log_aggregation = system_->spawn(fake_aggregation, shared_);
  actors.log_history = system_->spawn(fake_history, shared_);
  actors.runtime_classes = system_->spawn(fake_classes, shared_);
  actors.ai_settings = system_->spawn(fake_settings, shared_);
  actors.bus = system_->spawn(fake_bus, shared_);
  directory_.set(std::move(actors));
}

bool eventually(const std::function<bool()>& condition) {
  auto until = std::chrono::steady_clock::now() + std::chrono::seconds{10};
  while (!condition()) {
    if (std::chrono::steady_clock::now() > until)
      return false;
    std::this_thread::yield();
  }
  return true;
}

} // namespace aiops::test
