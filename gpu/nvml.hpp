#pragma once

#include "actors/actors.hpp"
#include "config/config.hpp"

#include <future>
#include <memory>
#include <string>
#include <vector>

namespace aiops::gpu {

struct nvml_config {
  /// NVIDIA's management library: a file, or a bare name that the dynamic
  /// linker looks up.
  std::string library = "libnvidia-ml.so.1";
  /// The name of this host.
  std::string node = {};
  /// How long a caller waits for a scan.
  milliseconds timeout{4'000};
};

/// Whether this host has an NVIDIA driver: the library can be opened, and
/// reports a GPU or a failure that is not the lack of a driver. A driver that
/// fails counts, so that its probe reports the failure. Returns within
/// `nvml_config::timeout`.
bool nvml_present(const std::string& library);

/// The result of one scan of the local GPUs.
struct nvml_view {
  gpu_list gpus;
  /// The driver, or why there is none.
  std::string state;
  /// Problems for the operator, one per GPU.
  std::vector<std::string> problems;
};

class nvml_session;

/// The probe of `--gpu-source nvml`: finds the GPUs of this host through the
/// driver's library. Blocks, so spawn it detached.
///
/// `nvidia.com/gpu` counts whole GPUs: `capacity` those that the driver
/// reports, `allocatable` those that answer, `allocated` those of them that run
/// a compute process. The instances of GPUs in MIG mode are counted by profile
/// in resources such as `nvidia.com/mig-1g.10gb`.
///
/// When no whole GPU answers and MIG is on, `nvidia.com/gpu` counts the
/// instances of all profiles instead, and no other resource does. Without
/// Kubernetes nothing is scheduled by profile, and the training backend checks
/// only whether there is any `nvidia.com/gpu`. The strategy `single` of the
/// Kubernetes device plugin uses the same name. Each device has its profile.
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
  std::shared_ptr<nvml_session> session_;
  /// The scan in flight, or one whose caller timed out. A call into a broken
  /// driver may never return and cannot be ended, so it has its own thread,
  /// which is never joined.
  std::future<caf::expected<nvml_view>> scan_;
  /// What was logged last.
  std::string state_;
  std::vector<std::string> problems_;
};

gpu_probe_actor::behavior_type
nvml(gpu_probe_actor::stateful_pointer<nvml_state> self, nvml_config config);

} // namespace aiops::gpu
