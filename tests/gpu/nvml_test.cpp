#include "gpu/nvml.hpp"

#include "tests/gpu/fake_nvml.hpp"
#include "tests/support/deterministic.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <optional>
#include <string>

#include <unistd.h>

using namespace aiops;
using namespace aiops::test;

namespace {

constexpr auto library = AIOPS_FAKE_NVML;
constexpr auto old_library = AIOPS_FAKE_NVML_OLD;

constexpr int lost = 15;
constexpr int not_supported = 3;
constexpr int mismatch = 18;
constexpr int64_t gib = 1024 * 1024 * 1024;

fake_nvml::device card(std::string uuid) {
  fake_nvml::device result;
  result.uuid = std::move(uuid);
  result.product = "NVIDIA H100 80GB HBM3";
  result.memory = 80 * gib;
  result.memory_used = gib;
  result.utilization = 7;
  return result;
}

fake_nvml::device instance(std::string uuid, const std::string& profile) {
  auto result = card(std::move(uuid));
  result.product += " MIG " + profile;
  result.memory = 10 * gib;
  result.utilization_code = not_supported;
  return result;
}

fake_nvml::device divided(std::string uuid,
                          std::vector<fake_nvml::device> instances) {
  auto result = card(std::move(uuid));
  result.mig_mode_code = 0;
  result.mig_mode = 1;
  result.max_instances = 7;
  // As on a GPU: the slots are not filled from the front.
  result.instances.emplace_back();
  for (auto& x : instances)
    result.instances.push_back(std::move(x));
  return result;
}

/// Captures what is written to standard error.
class captured_log {
public:
  captured_log() {
    auto pattern
      = (std::filesystem::temp_directory_path() / "gpu-log-XXXXXX").string();
    auto file = ::mkstemp(pattern.data());
    REQUIRE(file >= 0);
    path_ = pattern;
    before_ = ::dup(2);
    ::dup2(file, 2);
    ::close(file);
  }

  ~captured_log() {
    ::dup2(before_, 2);
    ::close(before_);
    std::filesystem::remove(path_);
  }

  /// How many lines contain a text.
  size_t lines_with(std::string_view what) const {
    std::ifstream in{path_};
    size_t result = 0;
    for (std::string line; std::getline(in, line);)
      if (line.find(what) != std::string::npos)
        ++result;
    return result;
  }

private:
  std::filesystem::path path_;
  int before_ = -1;
};

struct nvml_fixture : deterministic {
  nvml_fixture() {
    auto address = reinterpret_cast<uintptr_t>(&script);
    ::setenv(fake_nvml::script_variable, std::to_string(address).c_str(), 1);
    use(library);
  }

  ~nvml_fixture() {
    hang(false);
    // A scan whose caller timed out still reads the script.
    wait_for([this] { return script.inside == 0; });
  }

  void use(std::string path) {
    gpu::nvml_config cfg;
    cfg.library = std::move(path);
    cfg.node = "here";
    cfg.timeout = timeout;
    aut = spawn(gpu::nvml, cfg);
  }

  auto scan() {
    return ask(aut, get_atom_v);
  }

  gpu_list found() {
    auto x = scan();
    REQUIRE(x->value);
    return *x->value;
  }

  gpu_resource found_one() {
    auto x = found();
    REQUIRE(x.size() == 1);
    return x.front();
  }

  std::string why(ec code) {
    auto x = scan();
    CHECK(x->code() == code);
    return text_of(x->error);
  }

  void hang(bool on) {
    std::lock_guard lock{script.mutex};
    script.hang = on;
    script.changed.notify_all();
  }

  /// Waits for the library, which runs in another thread.
  template <class F>
  void wait_for(F condition) {
    std::unique_lock lock{script.mutex};
    CHECK(script.changed.wait_for(lock, 30s, condition));
  }

  fake_nvml::script script;
  milliseconds timeout{30'000};
  gpu_probe_actor aut;
};

} // namespace

TEST_CASE_FIXTURE(nvml_fixture, "a host without NVIDIA driver has no GPUs") {
  captured_log log;
  use("/nowhere/libnvidia-ml.so.1");
  CHECK(found().empty());
  CHECK(found().empty());
  CHECK(log.lines_with("found no NVIDIA driver") == 1);
  CHECK_FALSE(gpu::nvml_present("/nowhere/libnvidia-ml.so.1"));
}

TEST_CASE_FIXTURE(nvml_fixture, "a driver that is not loaded is found later") {
  script.devices = {card("GPU-0")};
  for (auto code : {9, 12}) {
    script.init_code = code;
    CHECK(found().empty());
    CHECK_FALSE(gpu::nvml_present(library));
    script.init_code = 0;
    CHECK(found().size() == 1);
    CHECK(gpu::nvml_present(library));
  }
}

TEST_CASE_FIXTURE(nvml_fixture, "a driver without GPUs is an empty list") {
  CHECK(found().empty());
  CHECK_FALSE(gpu::nvml_present(library));
}

TEST_CASE_FIXTURE(nvml_fixture, "whole GPUs are one resource") {
  script.devices = {card("GPU-0"), card("GPU-1"), card("GPU-2")};
  script.devices[1].processes = {
    {71, 3 * gib, "/usr/bin/python3 train.py --password=x"},
    {72, ~0ull, "trainer"},
  };
  auto x = found_one();
  CHECK(x.name == "nvidia.com/gpu");
  CHECK(x.capacity == 3);
  CHECK(x.allocatable == 3);
  CHECK(x.allocated == 1);
  CHECK(x.node == "here");
  CHECK(x.vendor == "nvidia");
  CHECK(x.kind == gpu_kind::full);
  CHECK(x.product == "NVIDIA H100 80GB HBM3");
  CHECK(x.memory == 80 * gib);
  CHECK(x.driver == "550.54.15");
  CHECK(x.ready);
  REQUIRE(x.devices.size() == 3);
  gpu_device device{
    "GPU-1",  "NVIDIA H100 80GB HBM3",
    80 * gib, gib,
    7,        {{71, "/usr/bin/python3", 3 * gib}, {72, "trainer", 0}}};
  CHECK(x.devices[1] == device);
  CHECK(x.devices[2].uuid == "GPU-2");
}

TEST_CASE_FIXTURE(nvml_fixture, "different products and memory are shown") {
  script.devices = {card("GPU-0"), card("GPU-1"), card("GPU-2")};
  script.devices[1].product = "NVIDIA A10";
  script.devices[1].memory = 24 * gib;
  auto x = found_one();
  CHECK(x.product == "NVIDIA A10, NVIDIA H100 80GB HBM3");
  CHECK(x.memory == 0);
  CHECK(x.devices[1].memory == 24 * gib);
}

TEST_CASE_FIXTURE(nvml_fixture, "processes are read in every layout") {
  script.devices = {card("GPU-0")};
  script.devices[0].processes = {{71, 1, "a"}, {72, 2, "b"}, {73, 3, "c"}};
  std::vector<gpu_process> expected{{71, "a", 1}, {72, "b", 2}, {73, "c", 3}};
  for (size_t size : {16, 24, 32}) {
    CAPTURE(size);
    script.process_size = size;
    CHECK(found_one().devices[0].processes == expected);
  }
  script.process_size = 24;
  script.clears_buffer = true;
  CHECK(found_one().devices[0].processes == expected);
}

TEST_CASE_FIXTURE(nvml_fixture,
                  "an older library works without newer functions") {
  script.devices = {divided("GPU-0", {instance("MIG-0", "1g.10gb")})};
  script.devices[0].processes = {{71, 1, "a"}, {72, 2, "b"}};
  use(old_library);
  auto x = found_one();
  CHECK(x.kind == gpu_kind::full);
  CHECK(x.allocated == 1);
  std::vector<gpu_process> expected{{71, "a", 1}, {72, "b", 2}};
  CHECK(x.devices[0].processes == expected);
  script.clears_buffer = true;
  CHECK(found_one().devices[0].processes == expected);
}

TEST_CASE_FIXTURE(nvml_fixture,
                  "a GPU that does not answer cannot be allocated") {
  using code = int fake_nvml::device::*;
  using device = fake_nvml::device;
  for (code failing : {&device::handle_code, &device::uuid_code,
                       &device::name_code, &device::memory_code,
                       &device::utilization_code, &device::processes_code}) {
    captured_log log;
    script.devices = {card("GPU-0"), card("GPU-1")};
    script.devices[0].*failing = lost;
    use(library);
    auto x = found_one();
    CHECK(x.capacity == 2);
    CHECK(x.allocatable == 1);
    CHECK(x.allocated == 0);
    REQUIRE(x.devices.size() == 1);
    CHECK(x.devices[0].uuid == "GPU-1");
    CHECK(found_one() == x);
    CHECK(log.lines_with("does not answer: GPU is lost; reset it") == 1);
  }
}

TEST_CASE_FIXTURE(nvml_fixture, "what a GPU does not support is unknown") {
  script.devices = {card("GPU-0"), card("GPU-1")};
  auto& limited = script.devices[0];
  limited.name_code = limited.memory_code = limited.utilization_code
    = not_supported;
  limited.processes_code = not_supported;
  script.devices[1].processes = {{71, 1, "a"}};
  auto x = found_one();
  CHECK(x.allocatable == 2);
  CHECK(x.allocated == std::nullopt);
  CHECK(x.product == "NVIDIA H100 80GB HBM3");
  CHECK(x.devices[0] == gpu_device{"GPU-0", "", 0, 0, std::nullopt, {}});
}

TEST_CASE_FIXTURE(nvml_fixture, "MIG instances are counted by profile") {
  script.devices = {card("GPU-0"),
                    divided("GPU-1", {instance("MIG-0", "1g.10gb"),
                                      instance("MIG-1", "1g.10gb"),
                                      instance("MIG-2", "1g.20gb+me")})};
  script.devices[1].instances[1].processes = {{71, 1, "a"}};
  auto x = found();
  REQUIRE(x.size() == 3);
  CHECK(x[0].name == "nvidia.com/gpu");
  CHECK(x[0].capacity == 1);
  CHECK(x[0].kind == gpu_kind::full);
  CHECK(x[1].name == "nvidia.com/mig-1g.10gb");
  CHECK(x[1].kind == gpu_kind::mig);
  CHECK(x[1].capacity == 2);
  CHECK(x[1].allocatable == 2);
  CHECK(x[1].allocated == 1);
  CHECK(x[1].memory == 10 * gib);
  CHECK(x[1].node == "here");
  CHECK(x[1].product == "NVIDIA H100 80GB HBM3 MIG 1g.10gb");
  CHECK(x[1].devices[1].uuid == "MIG-1");
  CHECK(x[1].devices[1].utilization == std::nullopt);
  CHECK(x[2].name == "nvidia.com/mig-1g.20gb.me");
  CHECK(x[2].capacity == 1);
}

TEST_CASE_FIXTURE(nvml_fixture,
                  "if all GPUs are divided, instances count as GPUs") {
  script.devices = {divided("GPU-0", {instance("MIG-0", "1g.10gb")}),
                    divided("GPU-1", {instance("MIG-1", "1g.10gb"),
                                      instance("MIG-2", "3g.40gb")}),
                    card("GPU-2")};
  script.devices[1].instances[1].processes = {{71, 1, "a"}};
  script.devices[2].handle_code = lost;
  auto x = found_one();
  CHECK(x.name == "nvidia.com/gpu");
  CHECK(x.kind == gpu_kind::mig);
  CHECK(x.capacity == 4);
  CHECK(x.allocatable == 3);
  CHECK(x.allocated == 1);
  CHECK(x.devices.size() == 3);
  script.devices = {divided("GPU-0", {})};
  x = found_one();
  CHECK(x.capacity == 0);
  CHECK(x.allocatable == 0);
}

TEST_CASE_FIXTURE(nvml_fixture,
                  "a profile without a name is named by its slices") {
  auto nameless = [](unsigned gpu, unsigned compute, unsigned long long mib) {
    auto result = card("MIG");
    result.gpu_slices = gpu;
    result.compute_slices = compute;
    result.memory_mib = mib;
    return result;
  };
  script.devices = {card("GPU-0"), divided("GPU-1", {nameless(1, 1, 9856),
                                                     nameless(3, 3, 40192),
                                                     nameless(3, 1, 40192)})};
  auto x = found();
  REQUIRE(x.size() == 4);
  CHECK(x[1].name == "nvidia.com/mig-1c.3g.40gb");
  CHECK(x[2].name == "nvidia.com/mig-1g.10gb");
  CHECK(x[2].product == "NVIDIA H100 80GB HBM3 MIG 1g.10gb");
  CHECK(x[3].name == "nvidia.com/mig-3g.40gb");
}

TEST_CASE_FIXTURE(nvml_fixture, "absurd answers are refused or left out") {
  script.count = 1'000'000;
  CHECK(why(ec::bad_reply).find("1000000 GPUs") != std::string::npos);
  script.count = -1;
  script.devices = {card("GPU-0"), card("GPU-1"), card("GPU-2")};
  auto& x = script.devices[0];
  x.unterminated = true;
  x.memory = ~0ull;
  x.memory_used = ~0ull;
  x.utilization = 101;
  x.processes = {{71, 1, "\xff\xfe"}, {72, 2, std::string(255, 'x')}};
  x.process_count = 1'000'000;
  script.devices[1].product = "a\nb";
  script.devices[1].uuid = std::string(255, 'x');
  // Divided into 4 thousand million instances that do not exist.
  script.devices[2] = divided("GPU-2", {});
  script.devices[2].max_instances = ~0u;
  script.driver = "\xc3";
  auto y = found_one();
  CHECK(y.capacity == 2);
  CHECK(y.driver.empty());
  CHECK(y.devices[0].uuid.empty());
  CHECK(y.devices[0].product.empty());
  CHECK(y.devices[0].memory == 0);
  CHECK(y.devices[0].utilization == std::nullopt);
  REQUIRE(y.devices[0].processes.size() == 2);
  CHECK(y.devices[0].processes[0] == gpu_process{71, "", 1});
  CHECK(y.devices[1].product.empty());
}

TEST_CASE_FIXTURE(nvml_fixture, "a GPU with very many processes is in use") {
  script.devices = {card("GPU-0"), card("GPU-1")};
  for (unsigned pid = 1; pid <= 1024; ++pid)
    script.devices[0].processes.push_back({pid, 1, "a"});
  script.devices[1].processes = script.devices[0].processes;
  script.devices[1].processes.push_back({5000, 1, "a"});
  auto x = found_one();
  CHECK(x.allocated == 2);
  CHECK(x.devices[0].processes.size() == 128);
  CHECK(x.devices[1].processes.empty());
}

TEST_CASE_FIXTURE(nvml_fixture, "an error says what is wrong with a driver") {
  auto has = [](const std::string& text, std::string_view what) {
    CAPTURE(text);
    CHECK(text.find(what) != std::string::npos);
  };
  script.init_code = mismatch;
  has(why(ec::refused), "reload the module or restart the host");
  CHECK(gpu::nvml_present(library));
  script.init_code = 4;
  has(why(ec::refused), "let the gateway open /dev/nvidiactl");
  script.init_code = 999;
  has(why(ec::refused), "error 999");
  script.init_code = 0;
  script.count_code = 1;
  has(why(ec::refused), "Some error");
  use("libm.so.6");
  has(why(ec::bad_reply), "libm.so.6 has no nvmlInit_v2; update the driver");
}

TEST_CASE_FIXTURE(nvml_fixture, "an updated library replaces the open one") {
  auto pattern
    = (std::filesystem::temp_directory_path() / "gpu-nvml-XXXXXX").string();
  REQUIRE(::mkdtemp(pattern.data()) != nullptr);
  std::filesystem::path folder = pattern;
  auto path = folder / "libnvidia-ml.so.1";
  std::filesystem::copy_file(old_library, path);
  script.devices = {divided("GPU-0", {instance("MIG-0", "1g.10gb")})};
  use(path);
  CHECK(found_one().kind == gpu_kind::full);
  std::filesystem::copy_file(library, folder / "new");
  std::filesystem::rename(folder / "new", path);
  // The open library works until the kernel module is updated, too.
  CHECK(found_one().kind == gpu_kind::full);
  script.old_init_code = mismatch;
  CHECK(found_one().kind == gpu_kind::mig);
  std::filesystem::remove_all(folder);
  CHECK(script.inits == 4);
}

TEST_CASE_FIXTURE(nvml_fixture,
                  "the library is not initialized between scans") {
  script.devices = {card("GPU-0")};
  for (int i = 1; i < 4; ++i) {
    found();
    CHECK(script.inits == i);
    CHECK(script.inside == 0);
  }
}

TEST_CASE_FIXTURE(nvml_fixture,
                  "a driver that hangs does not block its caller") {
  timeout = 20ms;
  use(library);
  script.devices = {card("GPU-0")};
  hang(true);
  CHECK(why(ec::timeout).find("no answer within 20 ms") != std::string::npos);
  CHECK(why(ec::timeout).find("no answer within 20 ms") != std::string::npos);
  hang(false);
  // One scan was in flight all the time, and its result is used.
  auto until = std::chrono::steady_clock::now() + 30s;
  auto x = scan();
  while (!x->value && std::chrono::steady_clock::now() < until)
    x = scan();
  REQUIRE(x->value);
  CHECK(x->value->size() == 1);
  CHECK(script.inits == 1);
}

TEST_CASE_FIXTURE(nvml_fixture, "a probe ends while its driver hangs") {
  timeout = 1ms;
  use(library);
  hang(true);
  CHECK(scan()->code() == ec::timeout);
  wait_for([this] { return script.inside != 0; });
  kill(aut);
  aut = nullptr;
}
