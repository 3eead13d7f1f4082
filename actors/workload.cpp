#include "actors/workload.hpp"

#include <algorithm>
#include <iterator>

namespace aiops {

namespace {

/// Reads one UTF-8 code point at the front of `text` and removes it; -1 when
/// the bytes are no valid UTF-8 (overlong forms and surrogates are not).
int32_t next_code_point(std::string_view& text) {
  auto byte = [&](size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  auto lead = byte(0);
  auto length = lead < 0x80u             ? 1
                : (lead & 0xe0u) == 0xc0 ? 2
                : (lead & 0xf0u) == 0xe0 ? 3
                : (lead & 0xf8u) == 0xf0 ? 4
                                         : 0;
  if (length == 0)
    return -1;
  constexpr int32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  constexpr uint32_t mask[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
  auto point = static_cast<int32_t>(lead & mask[length]);
  for (auto i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0u) != 0x80u)
      return -1;
    point = (point << 6) | static_cast<int32_t>(byte(i) & 0x3fu);
  }
  if (point < least[length] || point > 0x10ffff
      || (point >= 0xd800 && point <= 0xdfff))
    return -1;
  text.remove_prefix(length);
  return point;
}

} // namespace

workload_list normalize(workload_list xs) {
  std::sort(xs.begin(), xs.end());
  xs.erase(std::unique(xs.begin(), xs.end()), xs.end());
  return xs;
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
  workload_diff result;
  std::set_difference(after.begin(), after.end(), before.begin(), before.end(),
                      std::back_inserter(result.added));
  std::set_difference(before.begin(), before.end(), after.begin(), after.end(),
                      std::back_inserter(result.removed));
  return result;
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
