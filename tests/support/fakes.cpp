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

backend_actor::behavior_type fake_backend(backend_actor::pointer self,
                                          backend_script_ptr script) {
  return {
    [=](train_atom, const workload_list& xs, caf::timespan timeout) {
      script->asked.push_back("train");
      return script->train(self, xs, timeout);
    },
    [=](status_atom) {
      script->asked.push_back("status");
      return script->status(self);
    },
    [=](watchlist_atom) {
      script->asked.push_back("watchlist");
      return script->watchlist(self);
    },
  };
}

store_actor::behavior_type fake_store(store_actor::pointer self,
                                      store_script_ptr script) {
  return {
    [=](get_atom) { return script->get(self); },
    [=](put_atom, const training_statistics& x) {
      return script->put(self, x);
    },
    [=](put_atom, const training_statistics& x, uint64_t revision) {
      return script->put_if(self, x, revision);
    },
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
    [](tick_atom) { /* nop */ },
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
  };
}

} // namespace aiops::test
