#include "actors/training/progress.hpp"

#include "base/log.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace aiops {

namespace {

std::string describe(const reported_number& x) {
  if (auto whole = std::get_if<int64_t>(&x))
    return std::to_string(*whole);
  char text[32];
  std::snprintf(text, sizeof(text), "%g", std::get<double>(x));
  return text;
}

bool finite(const reported_number& x) {
  auto number = std::get_if<double>(&x);
  return !number || std::isfinite(*number);
}

/// The whole number nearest to `x` that fits; nothing when it has a fraction.
std::optional<int64_t> whole(const reported_number& x) {
  if (auto n = std::get_if<int64_t>(&x))
    return *n;
  auto number = std::get<double>(x);
  if (number != std::floor(number))
    return std::nullopt;
  // The bounds are exact as doubles: -2^63 and 2^63.
  if (number >= 0x1p63)
    return std::numeric_limits<int64_t>::max();
  if (number < -0x1p63)
    return std::numeric_limits<int64_t>::min();
  return static_cast<int64_t>(number);
}

} // namespace

reported_statistics::reported_statistics(const training_statistics& x)
  : time_elapsed(x.time_elapsed), percentage_completed(x.percentage_completed),
    remaining_time(x.remaining_time), current_epoch(x.current_epoch),
    model_accuracy(x.model_accuracy), stage(x.stage) {
  // nop
}

bool reported_statistics::set(const integer_field& field,
                              const reported_number& x) {
  auto& to = this->*field.member;
  if (!finite(x)) {
    to.reset();
    corrections.push_back({field.name, describe(x), true});
    return true;
  }
  auto n = whole(x);
  if (!n)
    return false;
  to = std::clamp<int64_t>(*n, 0, field.max);
  auto as_sent = std::visit(
    [&](auto sent) { return static_cast<decltype(sent)>(*to) == sent; }, x);
  if (!as_sent)
    corrections.push_back({field.name, describe(x), false});
  return true;
}

void reported_statistics::set_accuracy(const reported_number& x) {
  model_accuracy = std::visit([](auto n) { return static_cast<double>(n); }, x);
  if (finite(x))
    return;
  model_accuracy.reset();
  corrections.push_back({accuracy_field, describe(x), true});
}

training_statistics
reported_statistics::over(const training_statistics& before) const {
  return {time_elapsed.value_or(before.time_elapsed),
          percentage_completed.value_or(before.percentage_completed),
          remaining_time.value_or(before.remaining_time),
          current_epoch.value_or(before.current_epoch),
          model_accuracy.value_or(before.model_accuracy),
          stage};
}

size_t correction_log::report(std::string_view component,
                              const reported_statistics& x) {
  size_t lines = 0;
  for (auto& correction : x.corrections)
    if (reported_.emplace(correction.field, correction.kept).second) {
      ++lines;
      log::warning(
        component,
        correction.kept
          ? "a field of a report is not a number, the last value is kept"
          : "a number in a report is out of range, it is clamped",
        {{"field", correction.field}, {"sent", correction.sent}});
    }
  return lines;
}

} // namespace aiops
