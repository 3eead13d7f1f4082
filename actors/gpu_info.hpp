#pragma once

#include "actors/actors.hpp"
#include "actors/config.hpp"

#include <vector>

namespace aiops {

struct gpu_info_config {
  /// How long one look at the GPUs may take.
  milliseconds request_timeout{5'000};
};

/// Asks the probe, once for all who wait, and keeps the last good list for
/// when the probe fails.
class gpu_info_state {
public:
  static inline const char* name = "gpu-info";

  explicit gpu_info_state(gpu_info_actor::pointer self) : self_(self) {
    // nop
  }

  gpu_info_actor::behavior_type make_behavior(gpu_probe_actor probe,
                                              const gpu_info_config& cfg);

private:
  using answer = snapshot_ptr<gpu_list>;

  caf::result<answer> get();

  void succeed(gpu_list gpus);

  void fail(const caf::error& err);

  gpu_info_actor::pointer self_;
  gpu_probe_actor probe_;
  gpu_info_config cfg_;
  /// Callers that wait for the request in flight; empty when there is none.
  std::vector<caf::typed_response_promise<answer>> waiting_;
  /// Null until the probe succeeded once.
  answer last_;
  /// Whether the last look failed, to log the first failure only.
  bool failing_ = false;
};

gpu_info_actor::behavior_type
gpu_info(gpu_info_actor::stateful_pointer<gpu_info_state> self,
         gpu_probe_actor probe, const gpu_info_config& cfg);

} // namespace aiops
