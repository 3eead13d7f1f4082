#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

/// @file
/// What the fake NVML library returns. The script is in the test program; an
/// environment variable holds its address, so that every copy of the library
/// finds it.

namespace fake_nvml {

inline constexpr const char* script_variable = "FAKE_NVML_SCRIPT";

struct process {
  unsigned int pid = 0;
  unsigned long long memory_used = 0;
  std::string command;
};

struct device {
  /// What the functions return, in the library's numbers.
  int handle_code = 0;
  int uuid_code = 0;
  int name_code = 0;
  int memory_code = 0;
  int utilization_code = 0;
  int processes_code = 0;
  int mig_mode_code = 3;
  std::string uuid;
  std::string product;
  /// Writes texts without their end.
  bool unterminated = false;
  unsigned long long memory = 0;
  unsigned long long memory_used = 0;
  unsigned int utilization = 0;
  std::vector<process> processes;
  /// The number of processes that is reported; -1: the actual one.
  int64_t process_count = -1;
  unsigned int mig_mode = 0;
  unsigned int max_instances = 0;
  /// Slots; one without UUID is empty.
  std::vector<device> instances;
  unsigned int gpu_slices = 0;
  unsigned int compute_slices = 0;
  unsigned long long memory_mib = 0;
};

struct script {
  int init_code = 0;
  /// The same for the old library.
  int old_init_code = 0;
  int count_code = 0;
  /// The number of devices that is reported; -1: the actual one.
  int64_t count = -1;
  std::string driver = "550.54.15";
  std::vector<device> devices;
  /// 16, 24 or 32.
  size_t process_size = 24;
  /// Writes zeros after the processes, to the end of the buffer.
  bool clears_buffer = false;
  // -- shared with a scan in another thread -----------------------------------

  std::mutex mutex;
  std::condition_variable changed;
  /// Calls of `nvmlInit_v2` wait as long as this is set.
  bool hang = false;
  int inits = 0;
  /// Callers between the start of `nvmlInit_v2` and its failure, or
  /// `nvmlShutdown`.
  int inside = 0;
};

} // namespace fake_nvml
