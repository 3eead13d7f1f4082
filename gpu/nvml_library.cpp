#include "gpu/nvml_library.hpp"

#include "actors/workload.hpp"

#include <cstring>

#include <dlfcn.h>

namespace aiops::gpu {

namespace {

/// The longest error text that is used.
constexpr size_t max_text = 127;

template <class F>
bool find(void* handle, const char* symbol, F*& function) {
  function = reinterpret_cast<F*>(::dlsym(handle, symbol));
  return function != nullptr;
}

} // namespace

nvml_library::nvml_library(const std::string& path) {
  // Lazy: a newer library may need symbols that this host lacks, and works as
  // long as they are not used.
  handle = ::dlopen(path.c_str(), RTLD_LAZY | RTLD_LOCAL);
  if (handle == nullptr) {
    auto why = ::dlerror();
    problem = why != nullptr ? why : "it cannot be opened";
    return;
  }
  auto need = [this](const char* symbol, auto& function) {
    if (!find(handle, symbol, function) && lacks.empty())
      lacks = symbol;
  };
  need("nvmlInit_v2", init);
  need("nvmlShutdown", shutdown);
  need("nvmlDeviceGetCount_v2", count);
  need("nvmlDeviceGetHandleByIndex_v2", device);
  find(handle, "nvmlSystemGetDriverVersion", driver_version);
  find(handle, "nvmlDeviceGetName", name_of);
  find(handle, "nvmlDeviceGetUUID", uuid_of);
  find(handle, "nvmlDeviceGetMemoryInfo", memory_of);
  find(handle, "nvmlDeviceGetUtilizationRates", utilization_of);
  find(handle, "nvmlSystemGetProcessName", program_of);
  find(handle, "nvmlDeviceGetMigMode", mig_mode_of);
  find(handle, "nvmlDeviceGetMaxMigDeviceCount", mig_count_of);
  find(handle, "nvmlDeviceGetMigDeviceHandleByIndex", mig_device);
  find(handle, "nvmlDeviceGetAttributes_v2", attributes_of);
  find(handle, "nvmlErrorString", error_text);
  // Since _v2, two identifiers of the MIG instance follow.
  process_size = 24;
  if (!find(handle, "nvmlDeviceGetComputeRunningProcesses_v3", processes_of)
      && !find(handle, "nvmlDeviceGetComputeRunningProcesses_v2",
               processes_of)) {
    process_size = sizeof(nvml_process);
    find(handle, "nvmlDeviceGetComputeRunningProcesses", processes_of);
  }
}

nvml_library::~nvml_library() {
  if (handle != nullptr)
    ::dlclose(handle);
}

std::string nvml_library::describe(nvml_code code) const {
  if (auto text = error_text != nullptr ? error_text(code) : nullptr) {
    std::string result(text, ::strnlen(text, max_text));
    if (valid_name(result))
      return result;
  }
  return "error " + std::to_string(static_cast<int>(code));
}

} // namespace aiops::gpu
