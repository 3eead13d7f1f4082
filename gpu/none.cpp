#include "gpu/none.hpp"

namespace aiops::gpu {

gpu_probe_actor::behavior_type none_state::make_behavior() {
  return {
    [](get_atom) { return gpu_list{}; },
    [](list_atom) { return std::vector<std::string>{}; },
  };
}

gpu_probe_actor::behavior_type
none(gpu_probe_actor::stateful_pointer<none_state> self, caf::unit_t) {
  return self->state.make_behavior();
}

} // namespace aiops::gpu
