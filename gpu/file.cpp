#include "gpu/file.hpp"

#include "actors/workload.hpp"
#include "base/error.hpp"

#include <nlohmann/json.hpp>

#include <charconv>
#include <string>
#include <utility>

namespace aiops::gpu {

namespace {

using nlohmann::json;

caf::error wrong(std::string why) {
  return make_error(ec::invalid_configuration, std::move(why));
}

/// An integer of 0 or more in plain digits, also as a string.
std::optional<int64_t> to_count(const json& x) {
  int64_t result = -1;
  if (x.is_number_unsigned()) {
    auto value = x.get<uint64_t>();
    result = value <= INT64_MAX ? static_cast<int64_t>(value) : -1;
  } else if (x.is_string()) {
    auto& text = x.get_ref<const std::string&>();
    auto last = text.data() + text.size();
    auto [end, failure] = std::from_chars(text.data(), last, result);
    if (failure != std::errc{} || end != last)
      return std::nullopt;
  }
  return result < 0 ? std::nullopt : std::optional{result};
}

std::string item_name(size_t index) {
  return "item " + std::to_string(index + 1);
}

caf::expected<int64_t> count_field(const json& item, const char* key,
                                   size_t index) {
  auto i = item.find(key);
  auto result = i == item.end() ? std::nullopt : to_count(*i);
  if (!result)
    return wrong(item_name(index) + ": \"" + key
                 + "\" has to be an integer of 0 or more");
  return *result;
}

caf::expected<gpu_resource> to_resource(const json& item, size_t index) {
  if (!item.is_object())
    return wrong(item_name(index) + " has to be an object");
  auto name = item.find("name");
  if (name == item.end() || !name->is_string()
      || !valid_name(name->get_ref<const std::string&>()))
    return wrong(item_name(index) + ": \"name\" has to be a non-empty string");
  auto capacity = count_field(item, "capacity", index);
  if (!capacity)
    return std::move(capacity.error());
  auto allocatable = count_field(item, "allocatable", index);
  if (!allocatable)
    return std::move(allocatable.error());
  return gpu_resource{name->get<std::string>(), *capacity, *allocatable};
}

} // namespace

caf::expected<gpu_list> parse(std::string_view text) {
  auto document = json::parse(text, nullptr, false);
  if (document.is_discarded())
    return wrong("it is not JSON");
  auto* items = &document;
  if (document.is_object())
    if (auto i = document.find("items"); i != document.end())
      items = &*i;
  if (!items->is_array())
    return wrong("it has to be a list, or an object with a list \"items\"");
  gpu_list result;
  for (size_t i = 0; i < items->size(); ++i) {
    auto resource = to_resource((*items)[i], i);
    if (!resource)
      return std::move(resource.error());
    result.push_back(std::move(*resource));
  }
  return result;
}

gpu_probe_actor::behavior_type
file_state::make_behavior(std::filesystem::path path) {
  path_ = std::move(path);
  return {
    [this](get_atom) { return get(); },
    [](list_atom) { return std::vector<std::string>{}; },
  };
}

caf::result<gpu_list> file_state::get() {
  auto now = stamp_of(path_);
  if (stamp_ == now)
    return gpus_;
  stamp_.reset();
  auto gpus = read();
  if (!gpus)
    return std::move(gpus.error());
  gpus_ = std::move(*gpus);
  stamp_ = now;
  return gpus_;
}

caf::expected<gpu_list> file_state::read() const {
  auto text = read_small_file(path_);
  if (!text)
    return unusable(text_of(text.error()));
  auto result = parse(*text);
  if (!result)
    return unusable(text_of(result.error()));
  return result;
}

caf::error file_state::unusable(std::string_view why) const {
  return wrong("the GPU file " + path_.string()
               + " cannot be used: " + std::string{why});
}

gpu_probe_actor::behavior_type
file(gpu_probe_actor::stateful_pointer<file_state> self,
     std::filesystem::path path) {
  return self->state.make_behavior(std::move(path));
}

} // namespace aiops::gpu
