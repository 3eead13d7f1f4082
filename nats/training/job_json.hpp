#pragma once

#include "actors/training/training_book.hpp"

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

namespace aiops::nats {

/// A job with its lists, for others.
std::string encode_job(const training_job& x);

/// A job for the store, which keeps its lists elsewhere.
std::string encode_record(const training_job& x);

/// What a reader finds in the store: a job without lists, but with their
/// lengths; or one of an older version, with its lists and no ids of them.
std::optional<job_summary> decode_record(std::string_view text);

/// The book as one value of the store.
struct book_record {
  /// Jobs and watchlist have no lists, or (of an older version) no ids of them.
  training_book book;
  /// A UUID of this write, and of the write that it was judged by; empty in a
  /// book of an older version.
  std::string write;
  std::string previous;
  /// That of the write with which this book began.
  std::string origin;
};

/// `{"watchlist":{…},"training":{…}|null,"submission":{…}|null,"leaving":[…],
/// "lastNumber":7,"model":{…},"write":"…","previous":"…","origin":"…"}`, always
/// smaller than `max_book_size`.
std::string encode_book(const training_book& x, const std::string& write,
                        const std::string& previous, const std::string& origin);

/// Reads the books of older versions, too:
/// `{"job":{…}|null,"before":{…}|null,"lastNumber":7,"model":{…}}`.
std::optional<book_record> decode_book(std::string_view text);

} // namespace aiops::nats
