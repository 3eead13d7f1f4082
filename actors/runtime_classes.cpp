#include "actors/runtime_classes.hpp"

#include "base/error.hpp"
#include "base/log.hpp"

#include <algorithm>
#include <utility>

namespace aiops {

internal_runtime_classes_actor::behavior_type
runtime_classes_state::make_behavior(gpu_probe_actor probe,
                                     const runtime_classes_config& cfg) {
  probe_ = std::move(probe);
  cfg_ = cfg;
  if (probe_)
    caf::anon_send(self_, tick_atom_v);
  return {
    [this](get_atom) { return names_; },
    [this](tick_atom) { read(); },
  };
}

void runtime_classes_state::read() {
  self_->request(probe_, cfg_.request_timeout, list_atom_v)
    .then([this](std::vector<std::string>& xs) { succeed(std::move(xs)); },
          [this](const caf::error& err) { fail(err); });
}

void runtime_classes_state::succeed(std::vector<std::string> names) {
  if (backoff_.failing())
    log::info(name, "reads the runtime classes again");
  backoff_.reset();
  names_ = std::move(names);
  self_->delayed_send(self_, cfg_.refresh, tick_atom_v);
}

void runtime_classes_state::fail(const caf::error& err) {
  if (!backoff_.failing())
    log::warning(name, "cannot read the runtime classes",
                 {{"reason", text_of(err)}});
  self_->delayed_send(self_, backoff_.fail(cfg_.min_backoff, cfg_.refresh),
                      tick_atom_v);
}

internal_runtime_classes_actor::behavior_type runtime_classes(
  internal_runtime_classes_actor::stateful_pointer<runtime_classes_state> self,
  gpu_probe_actor probe, const runtime_classes_config& cfg) {
  return self->state.make_behavior(std::move(probe), cfg);
}

} // namespace aiops
