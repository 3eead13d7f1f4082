#include "tests/support/fakes.hpp"

namespace aiops::test {

void counts_store_script::publish(const stored_breakdown& counts) const {
  for (auto& listener : listeners)
    caf::anon_send(listener, update_atom_v, counts);
}

void lease_script::publish(const lease_status& status) const {
  for (auto& listener : listeners)
    caf::anon_send(listener, update_atom_v, status);
}

void job_store_script::store(training_book value) {
  for (auto* job : jobs_of(value))
    if (!job->list_id.empty())
      watchlists.emplace(job->list_id, job->workloads);
  books.push_back(value);
  book = {std::move(value), book.revision + 1, book.losses};
  if (!quiet)
    publish();
}

void job_store_script::publish() const {
  for (auto& listener : listeners)
    caf::anon_send(listener, update_atom_v, book);
}

backend_actor::behavior_type fake_backend(backend_actor::pointer self,
                                          backend_script_ptr script) {
  auto note = [=](const char* what) { script->asked.emplace_back(what); };
  return {
    [=](train_atom, const backend_submission& x, caf::timespan timeout) {
      note("train");
      return script->train(self, x, timeout);
    },
    [=](status_atom) {
      note("status");
      return script->status(self);
    },
    [=](watchlist_atom) {
      note("watchlist");
      return script->watchlist(self);
    },
    [=](check_atom) {
      note("check");
      return script->check(self);
    },
    [=](get_atom) {
      note("stored");
      return script->stored(self);
    },
    [=](put_atom, const model_status& x) {
      note("put");
      return script->put(self, x);
    },
    [=](delete_atom) {
      note("forget");
      return script->forget(self);
    },
    [=](put_atom, const backend_submission& x, uint64_t expected) {
      note("put watchlist");
      return script->put_watchlist(self, x, expected);
    },
  };
}

job_store_actor::behavior_type fake_job_store(job_store_actor::pointer,
                                              job_store_script_ptr script) {
  return {
    [=](get_atom) -> caf::result<stored_book> {
      ++script->reads;
      if (script->down)
        return script->down;
      return script->stale.value_or(script->book);
    },
    [=](put_atom, const training_book& x,
        uint64_t expected) -> caf::result<uint64_t> {
      if (script->down)
        return script->down;
      if (auto err = std::exchange(script->refuse, caf::error{}))
        return err;
      if (expected != script->book.revision)
        return make_error(ec::conflict, "another revision");
      script->store(x);
      if (auto err = std::exchange(script->lose_answer, caf::error{})) {
        if (auto next = std::exchange(script->overtake, std::nullopt))
          script->store(*next);
        return err;
      }
      return script->book.revision;
    },
    [=](put_atom, const training_job& x) -> caf::result<void> {
      if (script->down)
        return script->down;
      if (script->history_down)
        return script->history_down;
      script->history.emplace(x.number, x);
      return caf::unit;
    },
    [=](list_atom) -> caf::result<job_summaries> {
      ++script->lists;
      if (script->down)
        return script->down;
      job_summaries result;
      for (auto& [number, job] : script->history)
        result.push_back(summary_of(job));
      return result;
    },
    [=](get_atom, uint64_t number) -> caf::result<training_job> {
      ++script->finds;
      if (script->down)
        return script->down;
      auto i = script->history.find(number);
      if (i == script->history.end())
        return make_error(ec::not_found, "no such job");
      return i->second;
    },
    [=](put_atom, const backend_submission& x) -> caf::result<void> {
      if (script->down)
        return script->down;
      if (script->watchlists_down)
        return script->watchlists_down;
      script->watchlists.emplace(x.id, x.workloads);
      return caf::unit;
    },
    [=](list_atom, watchlist_atom) -> caf::result<std::vector<std::string>> {
      std::vector<std::string> ids;
      for (auto& [id, list] : script->watchlists)
        ids.push_back(id);
      return ids;
    },
    [=](delete_atom, const std::string& id) -> caf::result<void> {
      script->watchlists.erase(id);
      return caf::unit;
    },
    [=](subscribe_atom, const book_listener_actor& listener) {
      script->listeners.push_back(listener);
      if (!script->down)
        caf::anon_send(listener, update_atom_v, script->book);
    },
    [=](get_atom, hooks_atom) -> caf::result<uint64_t> {
      if (script->down)
        return script->down;
      return script->notified;
    },
    [=](put_atom, hooks_atom, uint64_t number) -> caf::result<void> {
      if (script->down)
        return script->down;
      script->notified = number;
      return caf::unit;
    },
  };
}

void training_jobs_script::publish(const stored_book& book) const {
  for (auto& listener : listeners)
    caf::anon_send(listener, update_atom_v, book);
}

training_jobs_actor::behavior_type
fake_training_jobs(training_jobs_actor::pointer self,
                   training_jobs_script_ptr script) {
  return {
    [=](put_atom, const job_change& x) { return script->put(self, x); },
    [=](delete_atom) { return script->forget(self); },
    [=](get_atom) { return script->get(self); },
    [=](list_atom) { return script->list(self); },
    [=](get_atom, const std::string& id) { return script->find(self, id); },
    [=](subscribe_atom, const book_listener_actor& listener) {
      script->listeners.push_back(listener);
    },
    [](update_atom, const stored_book&) { /* nop */ },
  };
}

job_hook_actor::behavior_type fake_job_hook(job_hook_actor::pointer self,
                                            job_hook_script_ptr script) {
  return {
    [=](put_atom, const training_job& x) { return script->put(self, x); },
  };
}

counts_store_actor::behavior_type
fake_counts_store(counts_store_actor::pointer self,
                  counts_store_script_ptr script) {
  return {
    [=](put_atom, const breakdown_ptr& x) { return script->put(self, x); },
    [=](put_atom, const std::string& failure) {
      script->failures.push_back(failure);
    },
    [=](get_atom) { return script->history(self); },
    [=](subscribe_atom, const breakdown_listener_actor& listener) {
      script->listeners.push_back(listener);
    },
  };
}

lease_actor::behavior_type fake_lease(lease_actor::pointer,
                                      lease_script_ptr script) {
  return {
    [=](subscribe_atom, const lease_listener_actor& listener) {
      script->listeners.push_back(listener);
    },
  };
}

log_source_actor::behavior_type fake_log_source(log_source_actor::pointer self,
                                                log_source_script_ptr script) {
  return {
    [=](count_atom) { return script->count(self); },
  };
}

gpu_probe_actor::behavior_type fake_gpu_probe(gpu_probe_actor::pointer self,
                                              gpu_probe_script_ptr script) {
  return {
    [=](get_atom) { return script->get(self); },
    [=](list_atom) { return script->classes(self); },
  };
}

events_actor::behavior_type fake_events(events_actor::pointer,
                                        events_script_ptr script) {
  return {
    [=](update_atom, const event_value& x) { script->published.push_back(x); },
    [](subscribe_atom, const event_listener_actor&) { /* nop */ },
  };
}

} // namespace aiops::test
