#include "tests/gpu/fake_nvml.hpp"

#include <cstdlib>
#include <cstring>

/// @file
/// A library with NVML's symbols that returns what a test sets. With
/// FAKE_NVML_OLD it is a version from before MIG.

namespace {

using fake_nvml::device;

constexpr int success = 0;
constexpr int invalid_argument = 2;
constexpr int not_found = 6;
constexpr int insufficient_size = 7;

fake_nvml::script& script() {
  auto address = std::getenv(fake_nvml::script_variable);
  return *reinterpret_cast<fake_nvml::script*>(
    std::strtoull(address, nullptr, 10));
}

int write(int code, const std::string& text, bool unterminated, char* to,
          unsigned int size) {
  if (code != success)
    return code;
  if (unterminated) {
    std::memset(to, 'x', size);
    return success;
  }
  if (text.size() >= size)
    return insufficient_size;
  std::memcpy(to, text.c_str(), text.size() + 1);
  return success;
}

template <class T>
void put(unsigned char* to, size_t offset, T value) {
  std::memcpy(to + offset, &value, sizeof(value));
}

int processes_of(device* from, unsigned int* count, void* to, size_t size) {
  if (from->processes_code != success)
    return from->processes_code;
  auto& all = from->processes;
  if (all.size() > *count) {
    *count = static_cast<unsigned int>(all.size());
    return insufficient_size;
  }
  auto out = static_cast<unsigned char*>(to);
  std::memset(out, 0, (script().clears_buffer ? *count : all.size()) * size);
  for (auto& x : all) {
    put(out, 0, x.pid);
    put(out, 8, x.memory_used);
    if (size > 16)
      put(out, 16, ~uint64_t{0});
    out += size;
  }
  *count = static_cast<unsigned int>(from->process_count < 0
                                       ? static_cast<int64_t>(all.size())
                                       : from->process_count);
  return success;
}

} // namespace

extern "C" {

int nvmlInit_v2() {
  auto& x = script();
  std::unique_lock lock{x.mutex};
  ++x.inits;
  ++x.inside;
  x.changed.notify_all();
  x.changed.wait(lock, [&x] { return !x.hang; });
  auto code = x.init_code;
#ifdef FAKE_NVML_OLD
  if (x.old_init_code != success)
    code = x.old_init_code;
#endif
  if (code != success)
    --x.inside;
  x.changed.notify_all();
  return code;
}

int nvmlShutdown() {
  auto& x = script();
  std::lock_guard lock{x.mutex};
  --x.inside;
  x.changed.notify_all();
  return success;
}

int nvmlDeviceGetCount_v2(unsigned int* count) {
  auto& x = script();
  *count = static_cast<unsigned int>(
    x.count < 0 ? static_cast<int64_t>(x.devices.size()) : x.count);
  return x.count_code;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned int index, device** to) {
  auto& all = script().devices;
  if (index >= all.size())
    return invalid_argument;
  *to = &all[index];
  return (*to)->handle_code;
}

int nvmlSystemGetDriverVersion(char* to, unsigned int size) {
  return write(success, script().driver, false, to, size);
}

int nvmlDeviceGetName(device* from, char* to, unsigned int size) {
  return write(from->name_code, from->product, from->unterminated, to, size);
}

int nvmlDeviceGetUUID(device* from, char* to, unsigned int size) {
  return write(from->uuid_code, from->uuid, from->unterminated, to, size);
}

int nvmlDeviceGetMemoryInfo(device* from, unsigned long long* to) {
  to[0] = from->memory;
  to[1] = from->memory - from->memory_used;
  to[2] = from->memory_used;
  return from->memory_code;
}

int nvmlDeviceGetUtilizationRates(device* from, unsigned int* to) {
  to[0] = to[1] = from->utilization;
  return from->utilization_code;
}

int nvmlSystemGetProcessName(unsigned int pid, char* to, unsigned int size) {
  for (auto& x : script().devices)
    for (auto& y : x.processes)
      if (y.pid == pid)
        return write(success, y.command, false, to, size);
  return not_found;
}

const char* nvmlErrorString(int code) {
  return code == 15 ? "GPU is lost" : code == 999 ? "Unknown\n" : "Some error";
}

#ifdef FAKE_NVML_OLD

int nvmlDeviceGetComputeRunningProcesses(device* from, unsigned int* count,
                                         void* to) {
  return processes_of(from, count, to, 16);
}

#else

int nvmlDeviceGetComputeRunningProcesses_v3(device* from, unsigned int* count,
                                            void* to) {
  return processes_of(from, count, to, script().process_size);
}

int nvmlDeviceGetMigMode(device* from, unsigned int* current,
                         unsigned int* pending) {
  *current = *pending = from->mig_mode;
  return from->mig_mode_code;
}

int nvmlDeviceGetMaxMigDeviceCount(device* from, unsigned int* count) {
  *count = from->max_instances;
  return success;
}

int nvmlDeviceGetMigDeviceHandleByIndex(device* from, unsigned int index,
                                        device** to) {
  if (index >= from->instances.size() || from->instances[index].uuid.empty())
    return not_found;
  *to = &from->instances[index];
  return success;
}

int nvmlDeviceGetAttributes_v2(device* from, unsigned char* to) {
  std::memset(to, 0, 40);
  put(to, 24, from->gpu_slices);
  put(to, 28, from->compute_slices);
  put(to, 32, from->memory_mib);
  return success;
}

#endif

} // extern "C"
