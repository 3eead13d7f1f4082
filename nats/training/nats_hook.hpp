#pragma once

#include "actors/actors.hpp"

namespace aiops::nats {

struct finished_hook_config {
  /// Deadline of the bus.
  caf::timespan request_timeout = std::chrono::seconds{5};
};

/// Tells of jobs that have ended on `aiops.training.finished`. Whoever listens
/// hears it; nobody having listened is no error.
class finished_hook_state {
public:
  static inline const char* name = "finished-hook";

  explicit finished_hook_state(job_hook_actor::pointer self);

  job_hook_actor::behavior_type make_behavior(bus_actor bus,
                                              const finished_hook_config& cfg);

private:
  caf::result<void> publish(const training_job& x);

  job_hook_actor::pointer self_;
  bus_actor bus_;
  finished_hook_config cfg_;
};

job_hook_actor::behavior_type
finished_hook(job_hook_actor::stateful_pointer<finished_hook_state> self,
              bus_actor bus, const finished_hook_config& cfg);

} // namespace aiops::nats
