#include "nats/training/nats_hook.hpp"

#include "base/relay.hpp"
#include "nats/subjects.hpp"
#include "nats/training/job_json.hpp"

namespace aiops::nats {

nats_hook_state::nats_hook_state(job_hook_actor::pointer self) : self_(self) {
  // nop
}

job_hook_actor::behavior_type
nats_hook_state::make_behavior(bus_actor bus, const nats_hook_config& cfg) {
  bus_ = std::move(bus);
  cfg_ = cfg;
  return {
    [this](put_atom, const training_job& x) { return publish(x); },
  };
}

caf::result<void> nats_hook_state::publish(const training_job& x) {
  auto promise = self_->make_response_promise();
  self_
    ->request(
      bus_, cfg_.request_timeout, put_atom_v,
      bus_message{std::string{subjects::training_finished}, encode_job(x), {}})
    .then([promise]() mutable { promise.deliver(caf::unit); }, relay(promise));
  return promise;
}

job_hook_actor::behavior_type
nats_hook(job_hook_actor::stateful_pointer<nats_hook_state> self, bus_actor bus,
          const nats_hook_config& cfg) {
  return self->state.make_behavior(std::move(bus), cfg);
}

} // namespace aiops::nats
