#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <string>

namespace aiops::nats {

/// One write of the book.
struct book_write {
  uint64_t revision = 0;
  /// A UUID; empty for writes of older versions.
  std::string id = {};
  /// The UUID of the write on which it is based.
  std::string previous = {};
  /// When the server stored it, by its clock; the epoch when that is not known.
  std::chrono::system_clock::time_point created = {};
  /// Number of the latest job in it; never decreases.
  uint64_t number = 0;
  /// The id of the write that began this book when there was none; empty in
  /// what older versions wrote.
  std::string origin = {};
};

/// Detects that the store lost acknowledged writes of the book. After a power
/// failure, or when a cluster continues from an older copy, revisions are used
/// again, so a revision alone is not sufficient. The writes of the book are a
/// line. A write based on an older one than the last shows the loss, and so
/// does a book that was started again.
class book_line {
public:
  /// Returns whether the book that was read shows a loss.
  bool saw(const book_write& x);

  /// Returns whether an own write shows a loss. `went_back`: whether it
  /// replaced a book that was older than another one when it was sent.
  bool wrote(const book_write& x, bool went_back);

  /// Whether the store showed a newer book before. That is not a loss yet,
  /// because an old copy of the store may have answered.
  bool older(const book_write& x) const;

  /// The newest revision that the store showed; 0 before the first.
  uint64_t newest() const {
    return line_.empty() ? 0 : line_.back().revision;
  }

  /// Restarts the line with this book, because the store has shown it for too
  /// long to be an old copy.
  void give_way(const book_write& x);

private:
  void add(const book_write& x);

  /// The newest last.
  std::deque<book_write> line_;
};

} // namespace aiops::nats
