#pragma once

#include "actors/actors.hpp"
#include "base/time.hpp"

#include <functional>
#include <optional>
#include <vector>

namespace aiops {

/// INTERNAL: what TRAINING JOBS sends to itself.
using internal_training_jobs_actor = training_jobs_actor::extend<
  // Checks whether the job has stalled.
  caf::replies_to<tick_atom>::with<void>,
  // Judges the current change again.
  caf::replies_to<restart_atom>::with<void>>;

/// Keeps what other programs read of the training equal to the book: the status
/// of the model and, where the protocol keeps it in the store, the watchlist.
/// Belongs to TRAINING JOBS.
class training_mirror {
public:
  using on_done = std::function<void(const caf::error&)>;
  using on_book = std::function<void(const caf::expected<stored_book>&)>;

  struct environment {
    internal_training_jobs_actor::pointer self;
    backend_actor backend;
    milliseconds request_timeout;
    /// Reads the book from the store.
    std::function<void(on_book)> read;
    /// Whether a gateway submitted the job with this id before.
    std::function<bool(const std::string& id)> submitted;
  };

  void init(environment env);

  /// Takes over a new book. After a change by this replica, writes the status
  /// at once and calls `then`, with or without success. After a change by
  /// another replica, that one writes it, and `compare` checks whether it did.
  void follow(const stored_book& book);
  void follow(const stored_book& book, std::function<void()> then);

  /// Reads the mirror and corrects it.
  void compare();

  /// Removes status and watchlist, even if they are believed to be absent, if
  /// the training was cancelled.
  void forget(on_done then);

  /// Whether a write failed, so that `compare` should not be delayed.
  bool needs_compare() const {
    return target_ && !shown_ && !writing_;
  }

  /// Corrects the watchlist in the store: that of a failed submission is
  /// replaced by the last accepted one. With `all`, any watchlist is removed if
  /// the training was cancelled.
  void correct_watchlist(bool all, on_done then, int tries = 5);

private:
  /// The status that other programs should read; nothing: no value.
  using status = std::optional<model_status>;

  static status status_of(const training_book& book);

  void write();

  /// Compares with the known book, which was just read.
  void compare_with_store(on_done failed);

  /// @param tries How often to try when others write at the same time.
  void replace_watchlist(const stored_model& found, bool all, on_done then,
                         int tries);

  environment env_;
  std::optional<status> target_;
  /// The status in the store, if it is known.
  std::optional<status> shown_;
  bool writing_ = false;
  bool comparing_ = false;
  /// Whether there is a book. Without one, the values in the store are another
  /// program's.
  bool ours_ = false;
  /// Whether this replica has written a status.
  bool wrote_ = false;
  /// Called when the last change is visible to other programs.
  std::vector<std::function<void()>> waiting_;
};

} // namespace aiops
