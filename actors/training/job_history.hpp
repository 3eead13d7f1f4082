#pragma once

#include "actors/training/training_book.hpp"

#include <cstdint>
#include <map>
#include <set>

namespace aiops {

/// Maximum number of jobs that are listed.
inline constexpr uint64_t listed_jobs = 100;

/// The last jobs that left the book, in memory. They never change again, so
/// they are not read again. Jobs that another replica stored may be missing,
/// which `complete` detects.
class job_history {
public:
  /// Adds jobs that have left the book.
  void add(job_summaries jobs);

  /// Adds the jobs that were read from the store while this was the book.
  void read(const training_book& book, job_summaries jobs);

  /// Whether all of the last jobs are in the book or here.
  bool complete(const training_book& book) const;

  /// The last jobs, the newest first, from the book and from here.
  job_summaries last_jobs(const training_book& book) const;

  bool contains(const std::string& id) const;

  /// Ids of the watchlists that these jobs refer to.
  std::set<std::string> lists() const;

  /// Removes everything, after the store was created anew.
  void clear();

private:
  /// By number.
  std::map<uint64_t, job_summary> jobs_;
  /// The store has no further jobs up to this number, and none with a number in
  /// `absent_`.
  uint64_t complete_up_to_ = 0;
  std::set<uint64_t> absent_;
};

} // namespace aiops
