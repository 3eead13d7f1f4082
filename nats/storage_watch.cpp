#include "nats/storage_watch.hpp"

#include "base/error.hpp"
#include "nats/subjects.hpp"

namespace aiops::nats {

namespace {

/// Its value has no meaning.
const auto probe = kv_write{std::string{subjects::gateway_bucket}, "probe",
                            "{}", std::nullopt};

} // namespace

storage_watch_actor::behavior_type
storage_watch_state::make_behavior(kv_store_actor kv_store,
                                   storage_watch_config cfg) {
  kv_store_ = std::move(kv_store);
  cfg_ = std::move(cfg);
  caf::anon_send(self_, tick_atom_v);
  return {
    [this](tick_atom) { write(); },
  };
}

void storage_watch_state::write() {
  self_->request(kv_store_, cfg_.request_timeout, put_atom_v, probe)
    .then([this](uint64_t) { report({}); },
          [this](const caf::error& err) { report(text_of(err)); });
}

void storage_watch_state::report(const std::string& failure) {
  cfg_.report(failure);
  self_->delayed_send(
    self_, failure.empty() ? cfg_.interval : cfg_.retry_interval, tick_atom_v);
}

storage_watch_actor::behavior_type
storage_watch(storage_watch_actor::stateful_pointer<storage_watch_state> self,
              kv_store_actor kv_store, storage_watch_config cfg) {
  return self->state.make_behavior(std::move(kv_store), std::move(cfg));
}

} // namespace aiops::nats
