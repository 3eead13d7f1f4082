#pragma once

#include "actors/actors.hpp"

namespace aiops::gpu {

/// The probe of `--gpu-source none`: sees no GPUs.
class none_state {
public:
  static inline const char* name = "gpu-none";

  gpu_probe_actor::behavior_type make_behavior();
};

/// @param unused keeps the number of arguments above zero, which CAF 0.17.6
///        needs.
gpu_probe_actor::behavior_type
none(gpu_probe_actor::stateful_pointer<none_state> self, caf::unit_t unused);

} // namespace aiops::gpu
