#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <string>

namespace aiops::nats {

/// One write of the book.
struct book_write {
  uint64_t revision = 0;
  /// A UUID of its own; empty for what older versions wrote.
  std::string id = {};
  /// That of the write by which it was judged.
  std::string previous = {};
  /// When the server stored it, by its clock; the epoch when that is not known.
  std::chrono::system_clock::time_point created = {};
  /// Of the latest job in it; never falls.
  uint64_t number = 0;
  /// The id of the write that began this book when there was none; empty in
  /// what older versions wrote.
  std::string origin = {};
};

/// Notices when the store lost acknowledged writes of the book: after a power
/// failure, or when a cluster goes on from an older copy, revisions go back and
/// are used again, so that a revision alone says little. The writes of the book
/// are a line; a write that names an older one than the last shows the
/// loss, and so does one of a book that was begun anew.
class book_line {
public:
  /// Answers whether the book that was read shows a loss.
  bool saw(const book_write& x);

  /// Likewise for a write of ours; `went_back`: whether it was over a book that
  /// was older than another one when it was sent.
  bool wrote(const book_write& x, bool went_back);

  /// Whether the store showed something newer before: it may be an old copy
  /// that answers, so this is no loss yet.
  bool older(const book_write& x) const;

  /// The newest revision that the store showed; 0 before the first.
  uint64_t newest() const {
    return line_.empty() ? 0 : line_.back().revision;
  }

  /// The store has shown an older book for too long to be an old copy: the line
  /// begins again with it.
  void give_way(const book_write& x);

private:
  void add(const book_write& x);

  /// The newest last.
  std::deque<book_write> line_;
};

} // namespace aiops::nats
