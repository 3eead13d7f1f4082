#pragma once

#include "actors/training/training_book.hpp"
#include "base/error.hpp"

#include <string>
#include <string_view>

/// @file
/// Progress that backends report over NATS. The same fields, ranges and texts
/// as in the REST API.

namespace aiops::nats {

/// Reads `ModelTrainingStatistics` or, when it has `status` or `statistics`,
/// `ModelStatus`; either with the `uuid` of the job if it is known. An error is
/// `invalid_argument` and names the field.
caf::expected<job_progress> decode_progress(std::string_view text);

/// `{}`, or `{"code":3,"message":"…","details":[]}` with the code of gRPC.
std::string encode_outcome(const caf::error& err);

} // namespace aiops::nats
