#pragma once

#include "actors/actors.hpp"
#include "config/config.hpp"

#include <future>
#include <memory>
#include <string>
#include <vector>

namespace aiops::gpu {

struct nvml_config {
  /// NVIDIA's management library: a file, or a bare name that is looked up
  /// where the system has its libraries.
  std::string library = "libnvidia-ml.so.1";
  /// The name of this host.
  std::string node = {};
  /// How long a look may take before its caller hears that it takes too long.
  milliseconds timeout{4'000};
};

/// Whether this host has an NVIDIA driver: the library can be opened, and
/// reports a GPU or a failure that is not the lack of a driver. A driver that
/// fails counts, so that its probe says what is wrong. Answers within some
/// seconds.
bool nvml_present(const std::string& library);

/// What one look at the local driver found.
struct nvml_view {
  gpu_list gpus;
  /// The driver, or why there is none.
  std::string state;
  /// What an operator should look into, one entry a GPU.
  std::vector<std::string> complaints;
};

class nvml_eye;

/// The probe of `--gpu-source nvml`: sees the GPUs of this host through the
/// driver's own library. Blocks, so spawn it detached.
///
/// `nvidia.com/gpu` counts whole GPUs: `capacity` those that the driver
/// reports, `allocatable` those that answer, `allocated` those of them that run
/// a compute process. The instances of GPUs in MIG mode are counted by profile
/// in resources such as `nvidia.com/mig-1g.10gb`.
///
/// When no whole GPU answers and MIG is on, `nvidia.com/gpu` counts the
/// instances of all profiles instead, and no other resource does: on a host
/// alone nobody schedules by profile, and the training backend asks only
/// whether there is any `nvidia.com/gpu`. The Kubernetes device plugin's
/// strategy `single` names them likewise. Each device says its profile.
///
/// A host without driver has no GPUs: an empty list and a line in the log.
class nvml_state {
public:
  static inline const char* name = "gpu-nvml";

  ~nvml_state();

  gpu_probe_actor::behavior_type make_behavior(nvml_config config);

private:
  caf::result<gpu_list> get();

  void report(const nvml_view& view);

  milliseconds timeout_{0};
  std::shared_ptr<nvml_eye> eye_;
  /// The look in flight, or one that nobody has waited for to its end. A call
  /// into a broken driver may never return and cannot be ended: it has a
  /// thread of its own, which nobody has to join.
  std::future<caf::expected<nvml_view>> look_;
  /// What the log knows already.
  std::string state_;
  std::vector<std::string> complaints_;
};

gpu_probe_actor::behavior_type
nvml(gpu_probe_actor::stateful_pointer<nvml_state> self, nvml_config config);

} // namespace aiops::gpu
