#pragma once

#include "actors/messages.hpp"
#include "tests/simulation/jetstream_model.hpp"

#include <optional>
#include <string>
#include <vector>

/// @file
/// How the checker reads the training book. Everything in the simulation that
/// depends on the contents of a book is here.

namespace aiops::simulation {

/// A job, as the checker needs it.
struct job_view {
  std::string id;
  uint64_t number = 0;
  job_state state = job_state::submitted;
  training_action action = training_action::train;
  workload_list workloads;
  /// Whether the book has the outcome of its submission.
  bool settled = false;
  /// Whether the backend accepted it, according to the book.
  bool accepted = false;
  training_statistics statistics;
  std::string reason;

  friend bool operator==(const job_view&, const job_view&) = default;
};

struct book_view {
  /// All jobs in the book, the newest first.
  std::vector<job_view> jobs;
  /// The watchlist of the last submission that the backend accepted or may have
  /// accepted, and its job.
  workload_list watchlist;
  std::string watchlist_job;
  uint64_t last_number = 0;
  model_status model;
  /// Whether other programs must not find the training.
  bool nothing_to_show = true;
  /// The id of this write, and of the write that it was judged by.
  std::string write;
  std::string previous;

  const job_view* find(const std::string& id) const;

  /// The latest submission that is not settled; null when there is none.
  const job_view* unsettled() const;

  /// Of the training that runs or ran last; empty without one.
  std::string training;

  /// A job that runs; null when there is none.
  const job_view* running_job() const;
};

uint64_t last_number_of(const stored_book& book);

/// One line for a reader.
std::string describe(const book_view& x);

book_view view_of(const training_book& book);

/// Whether the key of a change is that of the book.
bool is_book(const jetstream_model::change& x);

/// The book in the store; nothing when there is none or it cannot
/// be read.
std::optional<book_view> read_book(const jetstream_model& store);

/// The job that a change stored in the history; nothing for other changes.
std::optional<job_view> archived_job(const jetstream_model::change& x);

/// Whether the gateways report that the store has lost something.
bool reports_loss(const training_overview& overview);

} // namespace aiops::simulation
