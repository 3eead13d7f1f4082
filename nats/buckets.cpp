#include "nats/buckets.hpp"

#include "base/error.hpp"
#include "base/log.hpp"

#include <algorithm>
#include <utility>

namespace aiops::nats {

buckets_actor::behavior_type
buckets_state::make_behavior(bus_actor bus, kv_store_actor kv_store,
                             buckets_config cfg) {
  kv_store_ = std::move(kv_store);
  cfg_ = std::move(cfg);
  caf::anon_send(bus, subscribe_atom_v,
                 caf::actor_cast<bus_listener_actor>(self_));
  return {
    [this](update_atom, const bus_status& status) { update(status); },
    [this](tick_atom) { work(); },
  };
}

void buckets_state::update(const bus_status& status) {
  auto connection = status.connected ? status.connects : 0;
  if (connection == connection_)
    return;
  connection_ = connection;
  missing_.clear();
  backoff_.reset();
  if (connection_ == 0)
    return;
  missing_.assign(cfg_.names.begin(), cfg_.names.end());
  work();
}

void buckets_state::work() {
  if (checking_ || missing_.empty())
    return;
  checking_ = true;
  auto bucket = missing_.front();
  // The store looks for it and creates it, each with its own deadline; this one
  // only applies if the store has ended.
  self_->request(kv_store_, cfg_.request_timeout, check_atom_v, bucket)
    .then(
      [this, connection = connection_] {
        checking_ = false;
        if (connection == connection_) {
          missing_.pop_front();
          backoff_.reset();
        }
        work();
      },
      [this, bucket, connection = connection_](const caf::error& err) {
        checking_ = false;
        if (connection == connection_)
          fail(bucket, err);
        else
          work();
      });
}

void buckets_state::fail(const std::string& bucket, const caf::error& err) {
  if (!backoff_.failing())
    log::warning(name, "cannot create a bucket, tries again",
                 {{"bucket", bucket}, {"reason", text_of(err)}});
  self_->delayed_send(self_, backoff_.fail(cfg_.min_backoff, cfg_.max_backoff),
                      tick_atom_v);
}

buckets_actor::behavior_type
buckets(buckets_actor::stateful_pointer<buckets_state> self, bus_actor bus,
        kv_store_actor kv_store, buckets_config cfg) {
  return self->state.make_behavior(std::move(bus), std::move(kv_store),
                                   std::move(cfg));
}

} // namespace aiops::nats
