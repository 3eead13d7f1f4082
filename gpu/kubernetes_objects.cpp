#include "gpu/kubernetes_objects.hpp"

#include <simdjson.h>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace aiops::gpu {

namespace {

namespace dom = simdjson::dom;

/// How many unreadable quantities are kept.
constexpr size_t max_unreadable = 10;

/// Holds 19 decimal digits times 2^60.
__extension__ typedef unsigned __int128 wide;

constexpr wide largest = INT64_MAX;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// The factor of a suffix: 10^decimal * 2^binary.
struct scale {
  int decimal = 0;
  int binary = 0;
};

std::optional<scale> read_scale(std::string_view suffix) {
  static constexpr std::string_view binary = "KMGTPE";
  static constexpr std::string_view decimal = "num kMGTPE";
  if (suffix.empty())
    return scale{};
  if (suffix.size() == 2 && suffix[1] == 'i')
    if (auto i = binary.find(suffix[0]); i != std::string_view::npos)
      return scale{0, 10 * (static_cast<int>(i) + 1)};
  if (suffix.size() == 1 && suffix[0] != ' ')
    if (auto i = decimal.find(suffix[0]); i != std::string_view::npos)
      return scale{3 * (static_cast<int>(i) - 3), 0};
  if (suffix.size() > 1 && (suffix[0] == 'e' || suffix[0] == 'E')) {
    suffix.remove_prefix(
      suffix[1] == '+' && suffix.size() > 2 && is_digit(suffix[2]) ? 2 : 1);
    scale result;
    auto last = suffix.data() + suffix.size();
    auto [end, failure] = std::from_chars(suffix.data(), last, result.decimal);
    if (failure == std::errc{} && end == last)
      return result;
  }
  return std::nullopt;
}

/// `mantissa` times the scale, rounded up; `inexact` says that it lacks digits.
int64_t scaled(wide mantissa, bool inexact, scale by) {
  for (auto i = 0; i < by.binary; ++i)
    mantissa *= 2;
  for (; by.decimal < 0 && mantissa > 0; ++by.decimal) {
    inexact = inexact || mantissa % 10 != 0;
    mantissa /= 10;
  }
  for (; by.decimal > 0 && mantissa > 0 && mantissa <= largest; --by.decimal)
    mantissa *= 10;
  mantissa += inexact ? 1 : 0;
  return static_cast<int64_t>(std::min(mantissa, largest));
}

caf::error unreadable_page(const std::string& what) {
  return make_error(ec::bad_reply, "the answer of the Kubernetes API server is "
                                   "not a list: "
                                     + what);
}

/// Reads a list: its items and the token of the next page.
struct list_page {
  dom::array items;
  std::string next;
};

caf::expected<list_page> read_page(dom::parser& parser, std::string_view body) {
  dom::element page;
  // The whole page is parsed before it is used, so that a part of a page is
  // never accepted.
  if (auto problem = parser.parse(body.data(), body.size(), false).get(page))
    return unreadable_page(simdjson::error_message(problem));
  list_page result;
  dom::element items;
  if (page["items"].get(items))
    return unreadable_page("it has no items");
  // An empty list may be null.
  if (!items.is_null() && items.get(result.items))
    return unreadable_page("its items are not a list");
  std::string_view token;
  if (page["metadata"]["continue"].get(token) == simdjson::SUCCESS)
    result.next = token;
  if (items.is_null()) {
    // An empty array.
    if (parser.parse(std::string_view{"[]"}).get(result.items))
      return unreadable_page("its items are not a list");
  }
  return result;
}

/// The field of an object; nothing when it is missing.
std::optional<dom::element> find(const dom::element& in, std::string_view key) {
  dom::element result;
  if (in.is_object() && in[key].get(result) == simdjson::SUCCESS)
    return result;
  return std::nullopt;
}

std::string_view text_at(const dom::element& in, std::string_view key) {
  std::string_view result;
  if (auto x = find(in, key))
    if (x->get(result))
      result = {};
  return result;
}

bool true_at(const dom::element& in, std::string_view key) {
  auto result = false;
  if (auto x = find(in, key))
    if (x->get(result))
      result = false;
  return result;
}

/// Adds; a sum that is too large becomes the largest number.
void add_units(int64_t& to, int64_t what) {
  to = what > INT64_MAX - to ? INT64_MAX : to + what;
}

/// The labels of a node, which describe its GPUs.
class node_labels {
public:
  explicit node_labels(const dom::element& node) {
    if (auto metadata = find(node, "metadata"))
      labels_ = find(*metadata, "labels");
  }

  std::string_view get(std::string_view label) const {
    return labels_ ? text_at(*labels_, label) : std::string_view{};
  }

  /// The value of the first label that exists.
  std::string_view first(std::initializer_list<std::string_view> of) const {
    for (auto label : of)
      if (auto result = get(label); !result.empty())
        return result;
    return {};
  }

private:
  std::optional<dom::element> labels_;
};

/// A quantity of `unit` bytes, in bytes; 0 when it is not a quantity.
int64_t bytes_of(std::string_view text, int64_t unit = 1) {
  auto number = read_quantity(text).value_or(0);
  return number > INT64_MAX / unit ? 0 : number * unit;
}

void describe_nvidia(gpu_resource& gpu, const node_labels& labels) {
  std::string base = gpu.name;
  if (base.ends_with(".shared"))
    base.resize(base.size() - 7);
  auto own = [&](const char* what) { return labels.get(base + what); };
  auto strategy = own(".sharing-strategy");
  auto product = own(".product");
  if (product.empty())
    product = labels.get("nvidia.com/gpu.product");
  auto replicas = read_quantity(own(".replicas")).value_or(1);
  if ((!strategy.empty() && strategy != "none") || replicas > 1)
    gpu.kind = gpu_kind::shared;
  // With the strategy `single`, instances have the resource name of GPUs.
  else if (gpu.kind == gpu_kind::full
           && labels.get("nvidia.com/mig.strategy") == "single"
           && product.find("-MIG-") != std::string_view::npos)
    gpu.kind = gpu_kind::mig;
  gpu.product = product;
  gpu.memory = bytes_of(own(".memory"), 1024 * 1024);
  gpu.driver = labels.get("nvidia.com/cuda.driver-version.full");
  if (gpu.driver.empty()) {
    auto major = labels.first(
      {"nvidia.com/cuda.driver-version.major", "nvidia.com/cuda.driver.major"});
    auto minor = labels.first(
      {"nvidia.com/cuda.driver-version.minor", "nvidia.com/cuda.driver.minor"});
    auto revision = labels.first({"nvidia.com/cuda.driver-version.revision",
                                  "nvidia.com/cuda.driver.rev"});
    gpu.driver = major;
    for (auto part : {minor, revision})
      if (!gpu.driver.empty() && !part.empty())
        gpu.driver += '.' + std::string{part};
  }
}

void describe_amd(gpu_resource& gpu, const node_labels& labels) {
  gpu.product = labels.first(
    {"amd.com/gpu.product-name", "beta.amd.com/gpu.product-name"});
  // "192G" means 192 GiB.
  std::string memory{
    labels.first({"amd.com/gpu.vram", "beta.amd.com/gpu.vram"})};
  if (memory.ends_with('G') || memory.ends_with('M'))
    memory += 'i';
  gpu.memory = bytes_of(memory);
  gpu.driver = labels.get("amd.com/gpu.driver-version");
}

void describe_intel(gpu_resource& gpu, const node_labels& labels) {
  gpu.product = labels.first({"gpu.intel.com/product", "gpu.intel.com/family"});
  // The label is the sum over all GPUs.
  auto count = read_quantity(labels.get("gpu.intel.com/device.count"));
  if (count.value_or(0) > 0)
    gpu.memory = bytes_of(labels.get("gpu.intel.com/memory.max")) / *count;
}

void describe(gpu_resource& gpu, const node_labels& labels) {
  if (gpu.vendor == "nvidia")
    describe_nvidia(gpu, labels);
  else if (gpu.vendor == "amd")
    describe_amd(gpu, labels);
  else
    describe_intel(gpu, labels);
}

bool is_ready(const dom::element& status) {
  dom::array conditions;
  if (auto x = find(status, "conditions"); !x || x->get(conditions))
    return false;
  for (auto condition : conditions)
    if (text_at(condition, "type") == "Ready")
      return text_at(condition, "status") == "True";
  return false;
}

} // namespace

std::optional<int64_t> read_quantity(std::string_view text) {
  if (text.starts_with('+'))
    text.remove_prefix(1);
  auto negative = text.starts_with('-');
  if (negative)
    text.remove_prefix(1);
  wide mantissa = 0;
  auto digits = 0;
  auto significant = 0;
  auto inexact = false;
  auto fraction = false;
  // The power of ten by which the digits have to be multiplied.
  auto exponent = 0;
  size_t i = 0;
  for (; i < text.size(); ++i) {
    if (text[i] == '.' && !fraction) {
      fraction = true;
      continue;
    }
    if (!is_digit(text[i]))
      break;
    ++digits;
    if (significant < 19) {
      mantissa = mantissa * 10 + static_cast<unsigned>(text[i] - '0');
      significant += mantissa > 0 ? 1 : 0;
      exponent -= fraction ? 1 : 0;
    } else {
      // More digits than are kept.
      inexact = inexact || text[i] != '0';
      exponent += fraction ? 0 : 1;
    }
  }
  auto by = read_scale(text.substr(i));
  if (digits == 0 || text.size() > 100 || !by)
    return std::nullopt;
  if (mantissa == 0 && !inexact)
    return 0;
  if (negative)
    return std::nullopt;
  by->decimal = std::clamp(by->decimal, -1000, 1000) + exponent;
  return scaled(mantissa, inexact, *by);
}

std::optional<kubernetes_resource_kind>
classify_kubernetes_resource(std::string_view resource) {
  if (resource.starts_with("nvidia.com/")) {
    auto shared = resource.ends_with(".shared");
    if (resource.starts_with("nvidia.com/mig-"))
      return kubernetes_resource_kind{"nvidia", shared ? gpu_kind::shared
                                                       : gpu_kind::mig};
    if (resource.starts_with("nvidia.com/gpu"))
      return kubernetes_resource_kind{"nvidia", shared ? gpu_kind::shared
                                                       : gpu_kind::full};
  } else if (resource == "amd.com/gpu") {
    return kubernetes_resource_kind{"amd", gpu_kind::full};
  } else if (resource == "gpu.intel.com/i915"
             || resource == "gpu.intel.com/xe") {
    return kubernetes_resource_kind{"intel", gpu_kind::full};
  }
  return std::nullopt;
}

// -- kubernetes_inventory -----------------------------------------------------

const size_t kubernetes_inventory::padding = simdjson::SIMDJSON_PADDING;

kubernetes_inventory::kubernetes_inventory()
  : parser_(std::make_unique<dom::parser>()) {
  // nop
}

kubernetes_inventory::~kubernetes_inventory() {
  // nop
}

void kubernetes_inventory::clear_nodes() {
  gpus_.clear();
  unreadable_.clear();
}

void kubernetes_inventory::clear_pods() {
  allocated_.clear();
  pods_known_ = false;
}

void kubernetes_inventory::release() {
  parser_ = std::make_unique<dom::parser>();
}

caf::expected<std::string>
kubernetes_inventory::add_nodes(std::string_view body) {
  auto page = read_page(*parser_, body);
  if (!page)
    return std::move(page.error());
  for (auto node : page->items)
    add_node(node);
  return std::move(page->next);
}

caf::expected<std::string>
kubernetes_inventory::add_pods(std::string_view body) {
  auto page = read_page(*parser_, body);
  if (!page)
    return std::move(page.error());
  for (auto pod : page->items)
    add_pod(pod);
  pods_known_ = true;
  return std::move(page->next);
}

void kubernetes_inventory::clear_runtime_classes() {
  runtime_classes_.clear();
}

caf::expected<std::string>
kubernetes_inventory::add_runtime_classes(std::string_view body) {
  auto page = read_page(*parser_, body);
  if (!page)
    return std::move(page.error());
  for (auto item : page->items)
    if (auto metadata = find(item, "metadata"))
      if (auto name = text_at(*metadata, "name"); !name.empty())
        runtime_classes_.emplace(name);
  return std::move(page->next);
}

gpu_list kubernetes_inventory::result() const {
  gpu_list result;
  result.reserve(gpus_.size());
  for (auto& [where, gpu] : gpus_) {
    result.push_back(gpu);
    if (!pods_known_)
      continue;
    int64_t used = 0;
    if (auto node = allocated_.find(where.first); node != allocated_.end())
      if (auto i = node->second.find(where.second); i != node->second.end())
        used = i->second;
    result.back().allocated = used;
  }
  return result;
}

void kubernetes_inventory::add_node(const dom::element& node) {
  auto metadata = find(node, "metadata");
  auto status = find(node, "status");
  auto node_name = metadata ? text_at(*metadata, "name") : std::string_view{};
  if (node_name.empty() || !status)
    return;
  std::map<std::string, gpu_resource> found;
  auto take = [&](const char* from, int64_t gpu_resource::*to) {
    dom::object resources;
    if (auto x = find(*status, from); !x || x->get(resources))
      return;
    for (auto [resource, amount] : resources)
      if (auto kind = classify_kubernetes_resource(resource)) {
        auto& gpu = found[std::string{resource}];
        gpu.vendor = kind->vendor;
        gpu.kind = kind->kind;
        gpu.*to = quantity(amount);
      }
  };
  take("capacity", &gpu_resource::capacity);
  take("allocatable", &gpu_resource::allocatable);
  if (found.empty())
    return;
  auto ready = is_ready(*status);
  auto spec = find(node, "spec");
  auto schedulable = !(spec && true_at(*spec, "unschedulable"));
  node_labels labels{node};
  for (auto& [resource, gpu] : found) {
    gpu.name = resource;
    gpu.node = node_name;
    gpu.ready = ready;
    gpu.schedulable = schedulable;
    describe(gpu, labels);
    gpus_.insert_or_assign(key{gpu.node, gpu.name}, std::move(gpu));
  }
}

void kubernetes_inventory::add_pod(const dom::element& pod) {
  auto spec = find(pod, "spec");
  if (!spec)
    return;
  auto node_name = text_at(*spec, "nodeName");
  if (node_name.empty())
    return;
  // Not every server supports the field selector.
  if (auto status = find(pod, "status")) {
    auto phase = text_at(*status, "phase");
    if (phase == "Succeeded" || phase == "Failed")
      return;
  }
  // As the scheduler counts: the sum over all containers, or the amount while
  // an init container runs if that is larger. Init containers that always
  // restart keep running beside all that start after them.
  units held;
  units largest_use;
  auto walk = [&](const char* list, auto&& each) {
    dom::array containers;
    if (auto x = find(*spec, list); x && !x->get(containers))
      for (auto container : containers)
        each(container);
  };
  walk("initContainers", [&](const dom::element& container) {
    auto stays = text_at(container, "restartPolicy") == "Always";
    for (auto& [resource, amount] : requests_of(container)) {
      auto peak = held[resource];
      add_units(peak, amount);
      largest_use[resource] = std::max(largest_use[resource], peak);
      if (stays)
        held[resource] = peak;
    }
  });
  walk("containers", [&](const dom::element& container) {
    for (auto& [resource, amount] : requests_of(container))
      add_units(held[resource], amount);
  });
  for (auto& [resource, amount] : held)
    largest_use[resource] = std::max(largest_use[resource], amount);
  if (largest_use.empty())
    return;
  auto node = allocated_.find(node_name);
  if (node == allocated_.end())
    node = allocated_.emplace(std::string{node_name}, units{}).first;
  for (auto& [resource, amount] : largest_use)
    add_units(node->second[resource], amount);
}

int64_t kubernetes_inventory::quantity(const dom::element& x) {
  std::string_view text;
  int64_t number = 0;
  double real = 0;
  if (x.get(text) == simdjson::SUCCESS) {
    if (auto result = read_quantity(text))
      return *result;
  } else if (x.get(number) == simdjson::SUCCESS) {
    if (number >= 0)
      return number;
  } else if (x.get(real) == simdjson::SUCCESS && real >= 0 && real < 9e18) {
    return static_cast<int64_t>(std::ceil(real));
  }
  if (unreadable_.size() < max_unreadable)
    unreadable_.insert(simdjson::minify(x).substr(0, 100));
  return 0;
}

kubernetes_inventory::units
kubernetes_inventory::requests_of(const dom::element& container) {
  units result;
  auto resources = find(container, "resources");
  if (!resources)
    return result;
  // A limit without a request counts as the request.
  for (auto kind : {"limits", "requests"}) {
    dom::object amounts;
    if (auto x = find(*resources, kind); x && !x->get(amounts))
      for (auto [resource, amount] : amounts)
        if (classify_kubernetes_resource(resource))
          result.insert_or_assign(std::string{resource}, quantity(amount));
  }
  return result;
}

} // namespace aiops::gpu
