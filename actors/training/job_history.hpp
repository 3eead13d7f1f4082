#pragma once

#include "actors/training/training_book.hpp"

#include <cstdint>
#include <map>
#include <set>

namespace aiops {

/// Jobs that are answered.
inline constexpr uint64_t listed_jobs = 100;

/// The last jobs that left the book, kept in memory. They never change again,
/// whichever replica stored them, so this needs no renewal: it can only lack
/// jobs, and knows whether it does.
class job_history {
public:
  /// Keeps jobs that have ended for good.
  void add(job_summaries jobs);

  /// The store was read when this was the book, and had these jobs.
  void read(const training_book& book, job_summaries jobs);

  /// Whether all of the last jobs are in the book or here.
  bool complete(const training_book& book) const;

  /// The last jobs, the newest first, from the book and from here.
  job_summaries last_jobs(const training_book& book) const;

  bool contains(const std::string& id) const;

  /// Ids of the watchlists that these jobs refer to.
  std::set<std::string> lists() const;

  /// Forgets everything: the store was made anew.
  void clear();

private:
  /// By number.
  std::map<uint64_t, job_summary> jobs_;
  /// The store has no other jobs up to this number, nor those of `absent_`.
  uint64_t complete_up_to_ = 0;
  std::set<uint64_t> absent_;
};

} // namespace aiops
