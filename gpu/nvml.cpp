#include "gpu/nvml.hpp"

#include "actors/workload.hpp"
#include "base/error.hpp"
#include "base/log.hpp"
#include "gpu/nvml_library.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstring>
#include <exception>
#include <map>
#include <optional>
#include <set>
#include <system_error>
#include <thread>
#include <utility>

namespace aiops::gpu {

namespace {

// -- bounds -------------------------------------------------------------------

/// More than any host has.
constexpr unsigned int max_gpus = 256;

/// More than any GPU can be divided into.
constexpr unsigned int max_instances = 64;

/// Processes per GPU that are requested, and that are listed.
constexpr unsigned int max_processes = 1024;
constexpr size_t max_listed_processes = 128;

/// The largest layout of a process that a driver is known to have used.
constexpr size_t max_process_size = 32;

/// What a buffer for processes holds before the library writes into it.
constexpr unsigned char untouched = 0xa5;

// -- values -------------------------------------------------------------------

caf::error failed(ec code, std::string what) {
  return make_error(code, "cannot query the NVIDIA driver: " + std::move(what));
}

bool no_driver(nvml_code code) {
  return code == nvml_code::driver_not_loaded
         || code == nvml_code::library_not_found;
}

/// Whether a GPU that returns this code works. At most, it does not have or
/// show a value.
bool works(nvml_code code) {
  switch (code) {
    case nvml_code::success:
    case nvml_code::invalid_argument:
    case nvml_code::not_supported:
    case nvml_code::no_permission:
    case nvml_code::not_found:
    case nvml_code::insufficient_size:
    case nvml_code::function_not_found:
    case nvml_code::no_data:
    case nvml_code::argument_version_mismatch:
    case nvml_code::deprecated:
    case nvml_code::not_ready:
      return true;
    default:
      return false;
  }
}

/// Calls a function of the library that may be missing.
template <class F, class... Ts>
nvml_code call(F* function, Ts... xs) {
  return function != nullptr ? function(xs...) : nvml_code::function_not_found;
}

/// A number of bytes; 0 when it is impossible.
int64_t to_bytes(unsigned long long x) {
  return x <= static_cast<unsigned long long>(INT64_MAX)
           ? static_cast<int64_t>(x)
           : 0;
}

/// A text that the library writes into a buffer; empty unless it has an end
/// and is one line of UTF-8.
template <class F>
nvml_code read_text(std::string& result, F write) {
  std::array<char, 256> buffer{};
  auto code = write(buffer.data(), static_cast<unsigned int>(buffer.size()));
  if (code == nvml_code::success) {
    auto length = ::strnlen(buffer.data(), buffer.size());
    result.assign(buffer.data(), length);
    if (length == buffer.size() || !valid_name(result))
      result.clear();
  }
  return code;
}

/// The products of all devices, each once.
std::string joined(const std::vector<gpu_device>& devices) {
  std::set<std::string> products;
  for (auto& x : devices)
    if (!x.product.empty())
      products.insert(x.product);
  std::string result;
  for (auto& x : products)
    result += (result.empty() ? "" : ", ") + x;
  return result;
}

/// The memory of each device; 0 when they differ.
int64_t common_memory(const std::vector<gpu_device>& devices) {
  auto differs = [&](const gpu_device& x) {
    return x.memory != devices.front().memory;
  };
  if (devices.empty() || std::any_of(devices.begin(), devices.end(), differs))
    return 0;
  return devices.front().memory;
}

/// The distance from one process to the next, in bytes. Drivers have used
/// three different ones for the same version of the function; the number of
/// bytes written shows which.
size_t stride_of(const std::vector<unsigned char>& buffer, size_t count,
                 size_t documented) {
  auto end = std::find_if(buffer.rbegin(), buffer.rend(),
                          [](unsigned char x) { return x != untouched; });
  auto written = static_cast<size_t>(buffer.rend() - end);
  for (size_t size : {size_t{16}, size_t{24}, max_process_size})
    if (written == count * size)
      return size;
  return documented;
}

/// A profile such as `1g.10gb+me`, as it is written in the name of a resource.
std::optional<std::string> to_profile(std::string_view text) {
  auto allowed = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '.'
           || c == '+' || c == '-';
  };
  if (text.empty() || text.size() > 32
      || !std::all_of(text.begin(), text.end(), allowed))
    return std::nullopt;
  std::string result{text};
  std::replace(result.begin(), result.end(), '+', '.');
  return result;
}

/// The profile computed from its definition: slices, and the memory in eighths
/// of the GPU's.
std::string to_profile(const nvml_attributes& x, int64_t memory_of_gpu) {
  auto mib = static_cast<double>(x.memory_mib);
  auto gib = mib / 1024;
  if (memory_of_gpu > 0) {
    auto whole = static_cast<double>(memory_of_gpu) / (1024 * 1024);
    gib = std::ceil(mib / whole * 8) / 8 * std::ceil(whole / 1024);
  }
  // No GPU has more, and the number must not overflow.
  auto size = std::lround(std::clamp(gib, 0.0, 1e6));
  auto result = std::to_string(x.gpu_slices) + "g." + std::to_string(size)
                + "gb";
  if (x.compute_slices != x.gpu_slices)
    result = std::to_string(x.compute_slices) + "c." + result;
  return result;
}

// -- what the driver reports --------------------------------------------------

/// A GPU or a MIG instance.
struct nvml_unit {
  gpu_device device;
  /// Whether it runs a compute process; nothing when that is not known.
  std::optional<bool> busy;
};

struct nvml_gpu {
  nvml_unit whole;
  bool mig = false;
  /// By profile.
  std::multimap<std::string, nvml_unit> instances = {};
};

/// The resource of these units, which all work.
gpu_resource to_resource(std::string resource, gpu_kind kind,
                         std::vector<nvml_unit> units) {
  gpu_resource result;
  result.name = std::move(resource);
  result.vendor = "nvidia";
  result.kind = kind;
  result.capacity = result.allocatable = static_cast<int64_t>(units.size());
  result.allocated = 0;
  for (auto& x : units) {
    if (!x.busy)
      result.allocated.reset();
    else if (result.allocated && *x.busy)
      ++*result.allocated;
    result.devices.push_back(std::move(x.device));
  }
  result.product = joined(result.devices);
  result.memory = common_memory(result.devices);
  return result;
}

/// Reads all GPUs from a library that is initialized.
class nvml_reader {
public:
  nvml_reader(const nvml_library& lib, const std::string& node,
              const std::atomic<bool>& cancelled)
    : lib_(lib), node_(node), cancelled_(cancelled) {
    // nop
  }

  caf::expected<nvml_view> read();

private:
  std::optional<nvml_gpu> read_gpu(unsigned int index);

  nvml_code read_unit(nvml_device device, nvml_unit& unit);

  nvml_code read_processes(nvml_device device, nvml_unit& unit);

  void read_program(gpu_process& process);

  nvml_code read_instances(nvml_device device, nvml_gpu& gpu);

  /// @param gpus The GPUs that answer.
  /// @param count The number of all GPUs.
  gpu_list resources(std::vector<nvml_gpu> gpus, int64_t count);

  const nvml_library& lib_;
  const std::string& node_;
  const std::atomic<bool>& cancelled_;
  std::string driver_;
  nvml_view view_;
};

caf::expected<nvml_view> nvml_reader::read() {
  read_text(driver_, [this](char* to, unsigned int size) {
    return call(lib_.driver_version, to, size);
  });
  unsigned int count = 0;
  if (auto code = lib_.count(&count); code != nvml_code::success)
    return failed(ec::refused, lib_.describe(code));
  if (count > max_gpus)
    return failed(ec::bad_reply, "it reports " + std::to_string(count)
                                   + " GPUs, more than "
                                   + std::to_string(max_gpus));
  view_.state = "found driver " + (driver_.empty() ? "" : driver_ + " ")
                + "with " + std::to_string(count) + " GPUs";
  std::vector<nvml_gpu> gpus;
  for (unsigned int i = 0; i < count && !cancelled_; ++i)
    if (auto gpu = read_gpu(i))
      gpus.push_back(std::move(*gpu));
  if (count > 0)
    view_.gpus = resources(std::move(gpus), count);
  return std::move(view_);
}

std::optional<nvml_gpu> nvml_reader::read_gpu(unsigned int index) {
  nvml_gpu result;
  nvml_device device = nullptr;
  auto code = lib_.device(index, &device);
  auto reachable = code == nvml_code::success && device != nullptr;
  if (reachable)
    code = read_unit(device, result.whole);
  if (reachable && works(code)) {
    unsigned int current = 0;
    unsigned int pending = 0;
    code = call(lib_.mig_mode_of, device, &current, &pending);
    result.mig = code == nvml_code::success && current == 1;
  }
  if (reachable && works(code) && result.mig)
    code = read_instances(device, result);
  if (reachable && works(code))
    return result;
  auto& uuid = result.whole.device.uuid;
  auto remedy = code == nvml_code::gpu_is_lost
                    || code == nvml_code::reset_required
                  ? "; reset it or restart the host"
                : code == nvml_code::no_permission
                  ? "; let the gateway open its device file"
                  : "";
  view_.problems.push_back(
    "GPU " + std::to_string(index) + (uuid.empty() ? "" : " (" + uuid + ")")
    + " does not answer: " + lib_.describe(code) + remedy);
  return std::nullopt;
}

nvml_code nvml_reader::read_unit(nvml_device device, nvml_unit& unit) {
  auto& to = unit.device;
  auto code = read_text(to.uuid, [&](char* out, unsigned int size) {
    return call(lib_.uuid_of, device, out, size);
  });
  if (works(code))
    code = read_text(to.product, [&](char* out, unsigned int size) {
      return call(lib_.name_of, device, out, size);
    });
  if (!works(code))
    return code;
  nvml_memory memory{};
  code = call(lib_.memory_of, device, &memory);
  if (!works(code))
    return code;
  if (code == nvml_code::success) {
    to.memory = to_bytes(memory.total);
    to.memory_used = std::min(to_bytes(memory.used), to.memory);
  }
  nvml_utilization utilization{};
  code = call(lib_.utilization_of, device, &utilization);
  if (!works(code))
    return code;
  if (code == nvml_code::success && utilization.gpu <= 100)
    to.utilization = utilization.gpu;
  return read_processes(device, unit);
}

nvml_code nvml_reader::read_processes(nvml_device device, nvml_unit& unit) {
  unsigned int count = max_processes;
  std::vector<unsigned char> buffer(max_processes * max_process_size,
                                    untouched);
  auto code = call(lib_.processes_of, device, &count, buffer.data());
  // There are more processes than fit.
  if (code == nvml_code::insufficient_size)
    unit.busy = true;
  if (code != nvml_code::success)
    return code;
  count = std::min(count, max_processes);
  unit.busy = count > 0;
  auto stride = stride_of(buffer, count, lib_.process_size);
  auto listed = std::min<size_t>(count, max_listed_processes);
  for (size_t i = 0; i < listed && !cancelled_; ++i) {
    nvml_process process;
    auto first = buffer.data() + i * stride;
    // The library wrote fewer than it reported: no process has this id.
    if (std::all_of(first, first + sizeof(process.pid),
                    [](unsigned char x) { return x == untouched; }))
      break;
    std::memcpy(&process, first, sizeof(process));
    gpu_process result;
    result.pid = process.pid;
    result.memory_used = to_bytes(process.memory_used);
    read_program(result);
    unit.device.processes.push_back(std::move(result));
  }
  return code;
}

void nvml_reader::read_program(gpu_process& process) {
  std::string command;
  read_text(command, [&](char* to, unsigned int size) {
    return call(lib_.program_of, static_cast<unsigned int>(process.pid), to,
                size);
  });
  // Arguments are left out, because they may contain secrets.
  process.program = command.substr(0, command.find(' '));
}

nvml_code nvml_reader::read_instances(nvml_device device, nvml_gpu& gpu) {
  unsigned int count = 0;
  auto code = call(lib_.mig_count_of, device, &count);
  if (code != nvml_code::success)
    return code;
  auto& product = gpu.whole.device.product;
  for (unsigned int i = 0; i < std::min(count, max_instances); ++i) {
    nvml_device handle = nullptr;
    code = call(lib_.mig_device, device, i, &handle);
    // Most slots are empty.
    if (code == nvml_code::not_found || code == nvml_code::invalid_argument)
      continue;
    if (code != nvml_code::success || handle == nullptr)
      return code;
    nvml_unit unit;
    code = read_unit(handle, unit);
    if (!works(code))
      return code;
    auto& long_name = unit.device.product;
    auto mark = long_name.rfind(" MIG ");
    auto profile = mark == std::string::npos
                     ? std::nullopt
                     : to_profile(std::string_view{long_name}.substr(mark + 5));
    nvml_attributes attributes{};
    if (!profile
        && call(lib_.attributes_of, handle, &attributes) == nvml_code::success)
      profile = to_profile(attributes, gpu.whole.device.memory);
    if (!profile)
      profile = "unknown";
    // Old drivers give an instance the name of its GPU.
    if (mark == std::string::npos)
      long_name = product + " MIG " + *profile;
    gpu.instances.emplace(std::move(*profile), std::move(unit));
  }
  return nvml_code::success;
}

gpu_list nvml_reader::resources(std::vector<nvml_gpu> gpus, int64_t count) {
  auto lost = count - static_cast<int64_t>(gpus.size());
  std::vector<nvml_unit> whole;
  std::map<std::string, std::vector<nvml_unit>> by_profile;
  std::vector<nvml_unit> instances;
  auto only_mig = std::none_of(gpus.begin(), gpus.end(),
                               [](auto& x) { return !x.mig; })
                  && !gpus.empty();
  for (auto& gpu : gpus) {
    if (!gpu.mig)
      whole.push_back(std::move(gpu.whole));
    for (auto& [profile, unit] : gpu.instances)
      (only_mig ? instances : by_profile[profile]).push_back(std::move(unit));
  }
  gpu_list result;
  result.push_back(
    only_mig
      ? to_resource("nvidia.com/gpu", gpu_kind::mig, std::move(instances))
      : to_resource("nvidia.com/gpu", gpu_kind::full, std::move(whole)));
  result.front().capacity += lost;
  for (auto& [profile, units] : by_profile)
    result.push_back(to_resource("nvidia.com/mig-" + profile, gpu_kind::mig,
                                 std::move(units)));
  for (auto& x : result) {
    x.node = node_;
    x.driver = driver_;
  }
  return result;
}

/// Runs a function in its own thread.
template <class F>
auto run_in_thread(F f) {
  std::packaged_task<decltype(f())()> task{std::move(f)};
  auto result = task.get_future();
  std::thread{std::move(task)}.detach();
  return result;
}

} // namespace

// -- scans ---------------------------------------------------------------------

/// Scans the GPUs through the driver. Only one thread may use it at a time.
class nvml_session {
public:
  explicit nvml_session(nvml_config config) : config_(std::move(config)) {
    // nop
  }

  caf::expected<nvml_view> scan();

  /// Ends a scan early. @thread-safe
  void cancel() {
    cancelled_ = true;
  }

private:
  /// The result when the library cannot be initialized.
  caf::expected<nvml_view> not_initialized(nvml_code code) const;

  nvml_config config_;
  std::atomic<bool> cancelled_ = false;
  /// Open as long as it works.
  std::optional<nvml_library> library_;
};

caf::expected<nvml_view> nvml_session::scan() {
  auto fresh = !library_;
  for (;;) {
    if (!library_)
      library_.emplace(config_.library);
    if (!library_->problem.empty()) {
      nvml_view none;
      none.state = "found no NVIDIA driver: " + library_->problem;
      library_.reset();
      return none;
    }
    if (!library_->lacks.empty()) {
      auto lacks = library_->lacks;
      library_.reset();
      return failed(ec::bad_reply, config_.library + " has no " + lacks
                                     + "; update the driver");
    }
    // Initialized only during a scan. In between, the driver's module can be
    // reloaded, GPUs reset and MIG switched, which an initialized library
    // prevents or does not notice. If the driver suspends idle GPUs,
    // nvidia-persistenced makes this cheap.
    auto code = library_->init();
    if (code == nvml_code::success) {
      auto result = nvml_reader{*library_, config_.node, cancelled_}.read();
      library_->shutdown();
      return result;
    }
    auto result = not_initialized(code);
    // After an update of the driver, the open library is the old one.
    library_.reset();
    if (fresh || cancelled_)
      return result;
    fresh = true;
  }
}

caf::expected<nvml_view> nvml_session::not_initialized(nvml_code code) const {
  auto reason = library_->describe(code);
  if (no_driver(code)) {
    nvml_view none;
    none.state = "found no NVIDIA driver: " + reason;
    return none;
  }
  if (code == nvml_code::version_mismatch)
    return failed(ec::refused,
                  config_.library
                    + " and the kernel module are of different versions; after "
                      "an update of the driver reload the module or restart "
                      "the host");
  if (code == nvml_code::no_permission)
    return failed(ec::refused, reason
                                 + "; let the gateway open /dev/nvidiactl and "
                                   "/dev/nvidia*");
  return failed(ec::refused, reason);
}

bool nvml_present(const std::string& library) {
  try {
    nvml_config config;
    config.library = library;
    auto timeout = config.timeout;
    auto session = std::make_shared<nvml_session>(std::move(config));
    auto scan = run_in_thread([session] { return session->scan(); });
    if (scan.wait_for(timeout) != std::future_status::ready) {
      session->cancel();
      return true;
    }
    auto view = scan.get();
    return !view || !view->gpus.empty();
  } catch (const std::exception&) {
    return false;
  }
}

// -- the actor ----------------------------------------------------------------

nvml_state::~nvml_state() {
  if (session_)
    session_->cancel();
}

gpu_probe_actor::behavior_type nvml_state::make_behavior(nvml_config config) {
  timeout_ = config.timeout;
  session_ = std::make_shared<nvml_session>(std::move(config));
  return {
    [this](get_atom) { return get(); },
    [](list_atom) { return std::vector<std::string>{}; },
  };
}

caf::result<gpu_list> nvml_state::get() {
  try {
    // On a slow host, the next caller gets the result of the scan that timed
    // out for the last one.
    if (!scan_.valid())
      scan_ = run_in_thread([session = session_] { return session->scan(); });
    if (scan_.wait_for(timeout_) != std::future_status::ready)
      return failed(ec::timeout, "no answer within "
                                   + std::to_string(timeout_.count())
                                   + " ms; see the kernel log");
    auto view = scan_.get();
    if (!view)
      return std::move(view.error());
    report(*view);
    return std::move(view->gpus);
  } catch (const std::exception& x) {
    return failed(ec::internal, x.what());
  }
}

void nvml_state::report(const nvml_view& view) {
  if (view.state != state_)
    log::info(name, view.state);
  state_ = view.state;
  for (auto& x : view.problems)
    if (std::find(problems_.begin(), problems_.end(), x) == problems_.end())
      log::warning(name, "cannot use a GPU", {{"reason", x}});
  problems_ = view.problems;
}

gpu_probe_actor::behavior_type
nvml(gpu_probe_actor::stateful_pointer<nvml_state> self, nvml_config config) {
  return self->state.make_behavior(std::move(config));
}

} // namespace aiops::gpu
