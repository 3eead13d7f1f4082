#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

/// @file
/// The progress of a training, and the rules for reports of it. A backend sends
/// a report once and does not retry, so a report with an impossible number is
/// corrected instead of refused. The edges parse; these are the rules.

namespace aiops {

/// The progress of a training, as the backend reports it.
struct training_statistics {
  /// Seconds since the training began.
  int64_t time_elapsed = 0;
  /// 0 to 100.
  int64_t percentage_completed = 0;
  /// Seconds until the training ends, by the backend's own estimate; 0 when it
  /// gives none.
  int64_t remaining_time = 0;
  int64_t current_epoch = 0;
  double model_accuracy = 0.0;
  /// Free text; known backends send `fetching data` and `train`.
  std::string stage;

  friend bool operator==(const training_statistics&, const training_statistics&)
    = default;
};

/// A number as a report has it; a double may be NaN or infinite.
using reported_number = std::variant<int64_t, double>;

/// A number of a report that was not taken unchanged.
struct report_correction {
  /// Name of the field on the wire.
  std::string_view field;
  /// The number as text.
  std::string sent;
  /// Whether the field keeps its value; otherwise the number was clamped.
  bool kept = false;

  friend bool operator==(const report_correction&, const report_correction&)
    = default;
};

struct integer_field;

/// The statistics of one report. A field that the report does not have is 0; a
/// field without a finite number is nothing and keeps the value before.
struct reported_statistics {
  std::optional<int64_t> time_elapsed = 0;
  std::optional<int64_t> percentage_completed = 0;
  std::optional<int64_t> remaining_time = 0;
  std::optional<int64_t> current_epoch = 0;
  std::optional<double> model_accuracy = 0.0;
  std::string stage;
  /// In the order of the fields.
  std::vector<report_correction> corrections;

  reported_statistics() = default;

  reported_statistics(const training_statistics& x);

  /// Enters an integer; false when it has a fraction.
  bool set(const integer_field& field, const reported_number& x);

  void set_accuracy(const reported_number& x);

  /// The statistics after the report.
  training_statistics over(const training_statistics& before) const;

  friend bool operator==(const reported_statistics&, const reported_statistics&)
    = default;
};

struct integer_field {
  /// Name of the field on the wire.
  std::string_view name;
  std::optional<int64_t> reported_statistics::*member;
  /// The minimum is 0.
  int64_t max = std::numeric_limits<int64_t>::max();
};

inline constexpr std::array<integer_field, 4> integer_fields = {{
  {"timeElapsed", &reported_statistics::time_elapsed},
  {"percentageCompleted", &reported_statistics::percentage_completed, 100},
  {"remainingTime", &reported_statistics::remaining_time},
  {"currentEpoch", &reported_statistics::current_epoch},
}};

inline constexpr std::string_view accuracy_field = "modelAccuracy";

/// Logs each kind of correction the first time that it is made.
class correction_log {
public:
  /// Returns how many lines it wrote.
  size_t report(std::string_view component, const reported_statistics& x);

private:
  /// Field, and whether it kept its value.
  std::set<std::pair<std::string_view, bool>> reported_;
};

} // namespace aiops
