#pragma once

#include "actors/actors.hpp"

namespace aiops::nats {

struct nats_hook_config {
  /// Deadline of the bus.
  caf::timespan request_timeout = std::chrono::seconds{5};
};

/// Publishes jobs that have ended on `aiops.training.finished`. That the
/// subject has no subscriber is not an error.
class nats_hook_state {
public:
  static inline const char* name = "nats-hook";

  explicit nats_hook_state(job_hook_actor::pointer self);

  job_hook_actor::behavior_type make_behavior(bus_actor bus,
                                              const nats_hook_config& cfg);

private:
  caf::result<void> publish(const training_job& x);

  job_hook_actor::pointer self_;
  bus_actor bus_;
  nats_hook_config cfg_;
};

job_hook_actor::behavior_type
nats_hook(job_hook_actor::stateful_pointer<nats_hook_state> self, bus_actor bus,
          const nats_hook_config& cfg);

} // namespace aiops::nats
