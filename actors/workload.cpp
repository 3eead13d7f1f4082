#include "actors/workload.hpp"

#include "base/utf8.hpp"

#include <algorithm>
#include <iterator>

namespace aiops {

workload_list normalize(workload_list xs) {
  std::sort(xs.begin(), xs.end());
  xs.erase(std::unique(xs.begin(), xs.end()), xs.end());
  return xs;
}

const workload_list& shared_workloads::get() const noexcept {
  static const workload_list none;
  return list_ ? *list_ : none;
}

bool valid_name(std::string_view name) {
  if (name.empty())
    return false;
  size_t length = 0;
  while (!name.empty()) {
    auto point = next_code_point(name);
    auto control = point < 0x20 || (point >= 0x7f && point < 0xa0);
    if (control || ++length > max_name_length)
      return false;
  }
  return true;
}

std::string_view to_string(training_action action) {
  switch (action) {
    case training_action::train:
      return "train";
    case training_action::update:
      return "update";
    case training_action::reset:
      return "reset";
    case training_action::none:
      break;
  }
  return "none";
}

workload_diff diff(const workload_list& before, const workload_list& after) {
  auto only_in = [](const workload_list& xs, const workload_list& ys) {
    workload_list result;
    std::set_difference(xs.begin(), xs.end(), ys.begin(), ys.end(),
                        std::back_inserter(result));
    return result;
  };
  return {only_in(after, before), only_in(before, after)};
}

training_action action_for(const workload_list& before,
                           const workload_list& after) {
  if (after.empty())
    return training_action::reset;
  auto [added, removed] = diff(before, after);
  if (!added.empty())
    return training_action::train;
  return removed.empty() ? training_action::none : training_action::update;
}

} // namespace aiops
