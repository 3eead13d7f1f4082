#include "gpu/kubernetes_objects.hpp"

#include <doctest/doctest.h>

using namespace aiops;
using gpu::classify_kubernetes_resource;
using gpu::kubernetes_inventory;
using gpu::read_quantity;

namespace {

std::string padded(const std::string& text) {
  return text + std::string(kubernetes_inventory::padding, '\0');
}

std::string_view without_padding(const std::string& text) {
  return std::string_view{text}.substr(0, text.size()
                                            - kubernetes_inventory::padding);
}

std::string list(const std::string& items) {
  return R"({"metadata":{},"items":[)" + items + "]}";
}

void add_nodes(kubernetes_inventory& to, const std::string& items) {
  auto text = padded(list(items));
  auto next = to.add_nodes(without_padding(text));
  REQUIRE(next);
  CHECK(next->empty());
}

void add_pods(kubernetes_inventory& to, const std::string& items) {
  auto text = padded(list(items));
  auto next = to.add_pods(without_padding(text));
  REQUIRE(next);
  CHECK(next->empty());
}

/// The GPUs of one node with these labels and resources.
gpu_list gpus_of(const std::string& labels, const std::string& resources) {
  kubernetes_inventory inventory;
  add_nodes(inventory,
            R"({"metadata":{"name":"n","labels":{)" + labels
              + R"(}},"status":{"capacity":{)" + resources
              + R"(},"allocatable":{)" + resources
              + R"(},"conditions":[{"type":"Ready","status":"True"}]}})");
  return inventory.result();
}

/// A pod on node `n` with these fields of its spec.
std::string pod(const std::string& spec, const std::string& phase = "Running") {
  return R"({"spec":{"nodeName":"n",)" + spec + R"(},"status":{"phase":")"
         + phase + R"("}})";
}

std::string container(int gpus, const std::string& more = "") {
  return R"({"resources":{"requests":{"nvidia.com/gpu":")"
         + std::to_string(gpus) + R"("}})" + more + "}";
}

/// How many GPUs of node `n` these pods use.
int64_t allocated(const std::string& pods) {
  kubernetes_inventory inventory;
  add_nodes(inventory, R"({"metadata":{"name":"n"},"status":{"capacity":)"
                       R"({"nvidia.com/gpu":"100"}}})");
  CHECK(!inventory.result().front().allocated);
  add_pods(inventory, pods);
  return inventory.result().front().allocated.value_or(-1);
}

constexpr int64_t gib = 1024 * 1024 * 1024;

} // namespace

TEST_CASE("quantities become integers") {
  CHECK(read_quantity("0") == 0);
  CHECK(read_quantity("2") == 2);
  CHECK(read_quantity("+2") == 2);
  CHECK(read_quantity("-0") == 0);
  CHECK(read_quantity("1k") == 1000);
  CHECK(read_quantity("2e0") == 2);
  CHECK(read_quantity("2E3") == 2000);
  CHECK(read_quantity("1e+2") == 100);
  CHECK(read_quantity("1200e-2") == 12);
  CHECK(read_quantity("1Ki") == 1024);
  CHECK(read_quantity("0.5Ki") == 512);
  CHECK(read_quantity("1.5Ei") == 1729382256910270464);
  CHECK(read_quantity("1E") == 1'000'000'000'000'000'000);
  CHECK(read_quantity("2000m") == 2);
  CHECK(read_quantity("1500m") == 2);
  CHECK(read_quantity("1n") == 1);
  CHECK(read_quantity("5.") == 5);
  CHECK(read_quantity(".5") == 1);
  CHECK(read_quantity("0.1k") == 100);
  CHECK(read_quantity("9223372036854775807") == INT64_MAX);
  CHECK(read_quantity("9223372036854775808") == INT64_MAX);
  CHECK(read_quantity("1e999999") == INT64_MAX);
  CHECK(read_quantity("1e-999999") == 1);
  CHECK(read_quantity("99999999999999999999999Ei") == INT64_MAX);
}

TEST_CASE("anything but a quantity is refused") {
  for (auto text : {"",
                    "-1",
                    "-1k",
                    "k",
                    ".",
                    "e3",
                    "1 k",
                    "1kk",
                    "1K",
                    "1ki",
                    "1e",
                    "1e+",
                    "1e+-2",
                    "1.2.3",
                    " 1",
                    "1 ",
                    "0x10",
                    "two",
                    "1e99999999999999999999",
                    "--1",
                    "+-1",
                    "1i",
                    "1mi"}) {
    CAPTURE(text);
    CHECK(!read_quantity(text));
  }
  CHECK(!read_quantity(std::string(101, '1')));
}

TEST_CASE("resources that are GPUs are recognized") {
  auto is = [](const char* resource, std::string_view vendor, gpu_kind kind) {
    CAPTURE(resource);
    CHECK(classify_kubernetes_resource(resource)
          == gpu::kubernetes_resource_kind{vendor, kind});
  };
  is("nvidia.com/gpu", "nvidia", gpu_kind::full);
  is("nvidia.com/gpu.shared", "nvidia", gpu_kind::shared);
  is("nvidia.com/mig-1g.10gb", "nvidia", gpu_kind::mig);
  is("nvidia.com/mig-1g.5gb.me", "nvidia", gpu_kind::mig);
  is("nvidia.com/mig-1g.10gb.shared", "nvidia", gpu_kind::shared);
  is("amd.com/gpu", "amd", gpu_kind::full);
  is("gpu.intel.com/i915", "intel", gpu_kind::full);
  is("gpu.intel.com/xe", "intel", gpu_kind::full);
  for (auto resource :
       {"cpu", "gpu.intel.com/i915_monitoring", "gpu.intel.com/xe_monitoring",
        "gpu.intel.com/millicores", "nvidia.com/hostdev", "amd.com/gpu2"}) {
    CAPTURE(resource);
    CHECK(!classify_kubernetes_resource(resource));
  }
}

TEST_CASE("an NVIDIA node has product, memory and driver") {
  auto gpus = gpus_of(R"("nvidia.com/gpu.product":"NVIDIA-A100-SXM4-80GB",
    "nvidia.com/gpu.memory":"81920","nvidia.com/gpu.replicas":"1",
    "nvidia.com/gpu.sharing-strategy":"none",
    "nvidia.com/cuda.driver.major":"535","nvidia.com/cuda.driver.minor":"104",
    "nvidia.com/cuda.driver.rev":"05")",
                      R"("cpu":"128","nvidia.com/gpu":"8")");
  REQUIRE(gpus.size() == 1);
  CHECK(gpus[0].node == "n");
  CHECK(gpus[0].name == "nvidia.com/gpu");
  CHECK(gpus[0].vendor == "nvidia");
  CHECK(gpus[0].kind == gpu_kind::full);
  CHECK(gpus[0].product == "NVIDIA-A100-SXM4-80GB");
  CHECK(gpus[0].memory == 80 * gib);
  CHECK(gpus[0].driver == "535.104.05");
  CHECK(gpus[0].capacity == 8);
  CHECK(gpus[0].ready);
  CHECK(gpus[0].schedulable);
}

TEST_CASE("MIG instances are distinguished from whole GPUs") {
  auto mixed = gpus_of(R"("nvidia.com/gpu.product":"NVIDIA-A100-SXM4-40GB",
    "nvidia.com/gpu.memory":"40960","nvidia.com/mig.strategy":"mixed",
    "nvidia.com/mig-1g.5gb.product":"NVIDIA-A100-SXM4-40GB-MIG-1g.5gb",
    "nvidia.com/mig-1g.5gb.memory":"4864",
    "nvidia.com/mig-2g.10gb.replicas":"4")",
                       R"("nvidia.com/mig-2g.10gb":"12",
    "nvidia.com/mig-1g.5gb":"3","nvidia.com/gpu":"1")");
  REQUIRE(mixed.size() == 3);
  CHECK(mixed[0].name == "nvidia.com/gpu");
  CHECK(mixed[0].kind == gpu_kind::full);
  CHECK(mixed[1].name == "nvidia.com/mig-1g.5gb");
  CHECK(mixed[1].kind == gpu_kind::mig);
  CHECK(mixed[1].product == "NVIDIA-A100-SXM4-40GB-MIG-1g.5gb");
  CHECK(mixed[1].memory == int64_t{4864} * 1024 * 1024);
  CHECK(mixed[2].kind == gpu_kind::shared);
  CHECK(mixed[2].memory == 0);
  auto single = gpus_of(R"("nvidia.com/mig.strategy":"single",
    "nvidia.com/gpu.product":"NVIDIA-A100-SXM4-40GB-MIG-1g.5gb")",
                        R"("nvidia.com/gpu":"7")");
  CHECK(single.at(0).kind == gpu_kind::mig);
}

TEST_CASE("labels show which GPUs are shared") {
  auto kind = [](const std::string& labels, const std::string& resource) {
    return gpus_of(labels, '"' + resource + R"(":"40")").at(0).kind;
  };
  CHECK(kind(R"("nvidia.com/gpu.replicas":"2")", "nvidia.com/gpu")
        == gpu_kind::shared);
  for (auto strategy : {"time-slicing", "mps"})
    CHECK(kind(R"("nvidia.com/gpu.sharing-strategy":")" + std::string{strategy}
                 + '"',
               "nvidia.com/gpu")
          == gpu_kind::shared);
  CHECK(kind("", "nvidia.com/gpu.shared") == gpu_kind::shared);
  auto renamed = gpus_of(R"("nvidia.com/gpu.product":"Tesla-T4-SHARED",
    "nvidia.com/gpu.memory":"15360")",
                         R"("nvidia.com/gpu.shared":"4")");
  CHECK(renamed.at(0).product == "Tesla-T4-SHARED");
  CHECK(renamed.at(0).memory == 15 * gib);
}

TEST_CASE("AMD and Intel nodes have product and memory") {
  auto amd = gpus_of(R"("amd.com/gpu.product-name":"AMD_Instinct_MI300X",
    "amd.com/gpu.vram":"192G","amd.com/gpu.driver-version":"6.8.5")",
                     R"("amd.com/gpu":"8")");
  REQUIRE(amd.size() == 1);
  CHECK(amd[0].vendor == "amd");
  CHECK(amd[0].product == "AMD_Instinct_MI300X");
  CHECK(amd[0].memory == 192 * gib);
  CHECK(amd[0].driver == "6.8.5");
  auto old = gpus_of(R"("beta.amd.com/gpu.vram":"64G")",
                     R"("amd.com/gpu":"1")");
  CHECK(old.at(0).memory == 64 * gib);
  auto intel = gpus_of(R"("gpu.intel.com/product":"Max_1550",
    "gpu.intel.com/device.count":"2","gpu.intel.com/memory.max":"274877906944")",
                       R"("gpu.intel.com/i915":"2",
    "gpu.intel.com/i915_monitoring":"1","gpu.intel.com/millicores":"2000",
    "gpu.intel.com/xe":"1")");
  REQUIRE(intel.size() == 2);
  CHECK(intel[0].name == "gpu.intel.com/i915");
  CHECK(intel[0].vendor == "intel");
  CHECK(intel[0].product == "Max_1550");
  CHECK(intel[0].memory == 128 * gib);
  CHECK(intel[1].name == "gpu.intel.com/xe");
}

TEST_CASE("nodes are sorted by name, with their readiness") {
  kubernetes_inventory inventory;
  auto node = [](const std::string& name, const std::string& spec,
                 const std::string& conditions) {
    return R"({"metadata":{"name":")" + name + R"("},"spec":)" + spec
           + R"(,"status":{"capacity":{"nvidia.com/gpu":"2"},)"
             R"("allocatable":{"nvidia.com/gpu":"1"},"conditions":)"
           + conditions + "}}";
  };
  auto ready = R"([{"type":"Ready","status":"True"}])";
  add_nodes(inventory,
            node("d", "{}", "null") + ',' + node("b", "{}", ready) + ','
              + node("a", R"({"unschedulable":true})", ready) + ','
              + node("c", "{}", R"([{"type":"Ready","status":"Unknown"}])"));
  auto gpus = inventory.result();
  REQUIRE(gpus.size() == 4);
  CHECK(gpus[0].node == "a");
  CHECK(gpus[0].ready);
  CHECK(!gpus[0].schedulable);
  CHECK(gpus[0].capacity == 2);
  CHECK(gpus[0].allocatable == 1);
  CHECK(gpus[1].ready);
  CHECK(gpus[1].schedulable);
  CHECK(!gpus[2].ready);
  CHECK(!gpus[3].ready);
  inventory.clear_nodes();
  CHECK(inventory.empty());
}

TEST_CASE("a quantity becomes an integer, an unreadable one 0") {
  kubernetes_inventory inventory;
  add_nodes(inventory,
            R"({"metadata":{"name":"a"},"status":{
    "capacity":{"nvidia.com/gpu":"1k","amd.com/gpu":3,"gpu.intel.com/xe":2e0},
    "allocatable":{"nvidia.com/gpu":"2e0","amd.com/gpu":"many",
                   "gpu.intel.com/xe":null}}})");
  auto gpus = inventory.result();
  REQUIRE(gpus.size() == 3);
  CHECK(gpus[0].capacity == 3);
  CHECK(gpus[0].allocatable == 0);
  CHECK(gpus[1].capacity == 2);
  CHECK(gpus[1].allocatable == 0);
  CHECK(gpus[2].capacity == 1000);
  CHECK(gpus[2].allocatable == 2);
  CHECK(inventory.unreadable() == std::set<std::string>{"\"many\"", "null"});
}

TEST_CASE("pods use what their containers request") {
  auto one = R"("containers":[)" + container(1) + ']';
  CHECK(allocated("") == 0);
  CHECK(allocated(pod(one)) == 1);
  CHECK(allocated(pod(one) + ',' + pod(one)) == 2);
  CHECK(allocated(
          pod(R"("containers":[)" + container(1) + ',' + container(2) + ']'))
        == 3);
  // Pods that have ended or are not scheduled use nothing.
  CHECK(allocated(pod(one, "Succeeded") + ',' + pod(one, "Failed")) == 0);
  CHECK(allocated(pod(one, "Pending")) == 1);
  CHECK(allocated(R"({"spec":{)" + one + "}}") == 0);
  CHECK(allocated(R"({"spec":{"nodeName":"other",)" + one + "}}") == 0);
  // A limit without a request counts as the request.
  CHECK(allocated(pod(R"("containers":[{"resources":{"limits":)"
                      R"({"nvidia.com/gpu":"4"}}}])"))
        == 4);
  CHECK(allocated(pod(R"("containers":[{"resources":{"limits":)"
                      R"({"nvidia.com/gpu":"4"},"requests":)"
                      R"({"nvidia.com/gpu":"4"}}}])"))
        == 4);
}

TEST_CASE("init containers count when they request more than the others") {
  auto with = [](const std::string& init, int gpus) {
    return allocated(pod(R"("initContainers":[)" + init + R"(],"containers":[)"
                         + container(gpus) + ']'));
  };
  auto restarts = R"(,"restartPolicy":"Always")";
  CHECK(with(container(1), 2) == 2);
  CHECK(with(container(3), 2) == 3);
  CHECK(with(container(3) + ',' + container(2), 1) == 3);
  // A sidecar keeps running beside all that start after it.
  CHECK(with(container(1, restarts), 2) == 3);
  CHECK(with(container(1, restarts) + ',' + container(5), 2) == 6);
  CHECK(with(container(5) + ',' + container(1, restarts), 2) == 5);
}

TEST_CASE("anything but a list is an error, and odd objects are skipped") {
  kubernetes_inventory inventory;
  for (auto text :
       {"", "{", "[]", "3", "{}", R"({"items":3})", R"({"items":{}})"}) {
    CAPTURE(text);
    auto body = padded(text);
    auto result = inventory.add_nodes(without_padding(body));
    REQUIRE(!result);
    CHECK(code_of(result.error()) == ec::bad_reply);
    CHECK(!inventory.add_pods(without_padding(body)));
  }
  auto none = padded(R"({"metadata":{"continue":"c"},"items":null})");
  CHECK(*inventory.add_nodes(without_padding(none)) == "c");
  for (auto odd : {"3", "null", "{}", R"({"metadata":3,"status":3,"spec":3})",
                   R"({"metadata":{"name":"n"},"status":{"capacity":[]}})",
                   R"({"spec":{"nodeName":"n","containers":{},)"
                   R"("initContainers":[3,{"resources":[]}]}})"}) {
    add_nodes(inventory, odd);
    add_pods(inventory, odd);
  }
  CHECK(inventory.empty());
}
