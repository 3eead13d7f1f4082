#pragma once

#include "actors/messages.hpp"
#include "tests/simulation/jetstream_model.hpp"

#include <optional>
#include <string>
#include <vector>

/// @file
/// How the checker reads the training book. Everything that depends on what a
/// book is made of stands here and nowhere else in the simulation.

namespace aiops::simulation {

/// A job as the checker wants it.
struct job_view {
  std::string id;
  uint64_t number = 0;
  job_state state = job_state::submitted;
  training_action action = training_action::train;
  workload_list workloads;
  /// Whether the book knows what became of its submission.
  bool settled = false;
  /// Whether the book says that the backend accepted it.
  bool accepted = false;
  training_statistics statistics;
  std::string reason;

  friend bool operator==(const job_view&, const job_view&) = default;
};

struct book_view {
  /// All jobs that it holds, the newest first.
  std::vector<job_view> jobs;
  /// The list of the last submission that the backend accepted or may have
  /// accepted, and the job that it came with.
  workload_list watchlist;
  std::string watchlist_job;
  uint64_t last_number = 0;
  model_status model;
  /// Whether others shall find nothing of the training.
  bool nothing_to_show = true;

  const job_view* find(const std::string& id) const;

  /// The latest submission that is not settled; null when all are.
  const job_view* unsettled() const;

  /// Of the training that runs or ran last; empty without one.
  std::string training;

  /// A job that runs; null when none does.
  const job_view* running_job() const;
};

uint64_t last_number_of(const stored_book& book);

/// One line for a person.
std::string describe(const book_view& x);

book_view view_of(const training_book& book);

/// Whether the key of a change holds the book.
bool is_book(const jetstream_model::change& x);

/// The book as it stands in the store; nothing when there is none or it cannot
/// be read.
std::optional<book_view> read_book(const jetstream_model& store);

/// The job that a change stored in the history; nothing for other changes.
std::optional<job_view> archived_job(const jetstream_model::change& x);

/// Whether the gateways say that the store has lost something.
bool reports_loss(const training_overview& overview);

} // namespace aiops::simulation
