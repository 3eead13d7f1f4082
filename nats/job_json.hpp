#pragma once

#include "actors/training_job.hpp"

#include <optional>
#include <string>
#include <string_view>

/// @file
/// Jobs as JSON: in the store, on `aiops.training.finished`, and as the body of
/// the webhook. `docs/nats.md` tells others how to read it.
///
/// Times are written in milliseconds, without what is finer. Readers take any
/// order, numbers as strings, and members they do not know; what is missing or
/// null is the default; they answer nothing for a member of a wrong type and
/// for a state or action they do not know.

namespace aiops {

std::string encode_job(const training_job& x);

std::optional<training_job> decode_job(std::string_view text);

/// `{"job":{…}|null,"before":{…}|null,"lastNumber":7,"model":{…}}`.
std::string encode_book(const training_book& x);

std::optional<training_book> decode_book(std::string_view text);

} // namespace aiops
