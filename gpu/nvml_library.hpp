#pragma once

#include <string>

/// @file
/// The part of NVIDIA's management library (NVML) that we use: our own
/// declarations of its binary interface, which the vendor keeps stable. They
/// hold on 64-bit Linux.

namespace aiops::gpu {

/// What a function of the library returns; other values occur.
enum class nvml_code : int {
  success = 0,
  invalid_argument = 2,
  not_supported = 3,
  no_permission = 4,
  not_found = 6,
  insufficient_size = 7,
  driver_not_loaded = 9,
  library_not_found = 12,
  function_not_found = 13,
  gpu_is_lost = 15,
  reset_required = 16,
  /// Library and kernel module are of different versions.
  version_mismatch = 18,
  no_data = 21,
  argument_version_mismatch = 25,
  deprecated = 26,
  not_ready = 27,
};

/// Names a GPU or a MIG instance, until the library is shut down.
using nvml_device = struct nvml_device_object*;

/// In bytes.
struct nvml_memory {
  unsigned long long total;
  unsigned long long free;
  unsigned long long used;
};

/// In percent.
struct nvml_utilization {
  unsigned int gpu;
  unsigned int memory;
};

/// What every layout of a process begins with.
struct nvml_process {
  unsigned int pid;
  /// In bytes; all bits set when it is not known.
  unsigned long long memory_used;
};

struct nvml_attributes {
  unsigned int multiprocessors;
  unsigned int copy_engines;
  unsigned int decoders;
  unsigned int encoders;
  unsigned int jpeg_decoders;
  unsigned int optical_flow_units;
  unsigned int gpu_slices;
  unsigned int compute_slices;
  unsigned long long memory_mib;
};

/// The library, open as long as this object exists.
struct nvml_library {
  /// @param path file or bare name, as `dlopen` takes it.
  explicit nvml_library(const std::string& path);

  ~nvml_library();

  nvml_library(const nvml_library&) = delete;
  nvml_library& operator=(const nvml_library&) = delete;

  /// The library's text for a code, at most 127 characters.
  std::string describe(nvml_code code) const;

  void* handle = nullptr;
  /// Why the library cannot be opened; empty when it is open.
  std::string problem;
  /// The first necessary function that is missing; empty when it has all.
  std::string lacks;

  // -- necessary functions, present unless `problem` or `lacks` is set -------

  nvml_code (*init)() = nullptr;
  nvml_code (*shutdown)() = nullptr;
  nvml_code (*count)(unsigned int*) = nullptr;
  nvml_code (*device)(unsigned int, nvml_device*) = nullptr;

  // -- functions that may be missing: null ------------------------------------

  nvml_code (*driver_version)(char*, unsigned int) = nullptr;
  nvml_code (*name_of)(nvml_device, char*, unsigned int) = nullptr;
  nvml_code (*uuid_of)(nvml_device, char*, unsigned int) = nullptr;
  nvml_code (*memory_of)(nvml_device, nvml_memory*) = nullptr;
  nvml_code (*utilization_of)(nvml_device, nvml_utilization*) = nullptr;
  /// Fills an array of processes with a stride of `process_size`.
  nvml_code (*processes_of)(nvml_device, unsigned int*, void*) = nullptr;
  nvml_code (*program_of)(unsigned int, char*, unsigned int) = nullptr;
  nvml_code (*mig_mode_of)(nvml_device, unsigned int*, unsigned int*) = nullptr;
  nvml_code (*mig_count_of)(nvml_device, unsigned int*) = nullptr;
  nvml_code (*mig_device)(nvml_device, unsigned int, nvml_device*) = nullptr;
  nvml_code (*attributes_of)(nvml_device, nvml_attributes*) = nullptr;
  const char* (*error_text)(nvml_code) = nullptr;

  /// Documented size of a process for the function that was found, in bytes.
  size_t process_size = 0;
};

} // namespace aiops::gpu
