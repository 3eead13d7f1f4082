#pragma once

#include "actors/training/training_book.hpp"
#include "base/error.hpp"

#include <string_view>

namespace aiops {

/// What a report of progress looks like.
enum class progress_form {
  /// `ModelTrainingStatistics`.
  statistics,
  /// `ModelStatus`: `{"status","statistics"}`, both optional.
  status,
  /// `ModelStatus` if it has one of these fields, else the other.
  either,
};

/// Reads a report, in either form with the `uuid` of the job if it is known.
/// An error is `invalid_argument`, and calls the text `what`.
caf::expected<job_progress>
read_progress(std::string_view text, progress_form form, std::string_view what);

} // namespace aiops
