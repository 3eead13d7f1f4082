#pragma once

#include "actors/training/training_book.hpp"

#include <optional>
#include <string>
#include <string_view>

/// @file
/// Jobs as JSON: in the store, on `aiops.training.finished`, and as the body of
/// the webhook. `docs/nats.md` documents it for other programs.
///
/// Times are written in milliseconds, without fractions. Readers accept any
/// order, numbers as strings, and unknown members; a missing member or null is
/// the default. They return nothing for a member of a wrong type and for an
/// unknown state or action.

namespace aiops::nats {

/// A job with its lists, for other programs.
std::string encode_job(const training_job& x);

/// A job for the store, which has its lists in separate values.
std::string encode_record(const training_job& x);

/// Reads a job of the store: without lists, but with their lengths; or one of
/// an older version, with its lists and without their ids.
std::optional<job_summary> decode_record(std::string_view text);

/// The book as one value of the store.
struct book_record {
  /// Jobs and watchlist have no lists, or (in an older version) no ids of
  /// lists.
  training_book book;
  /// The UUIDs of this write and of the write on which it is based; empty in a
  /// book of an older version.
  std::string write;
  std::string previous;
  /// The UUID of the write with which this book began.
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
