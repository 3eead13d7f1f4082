#pragma once

#include "actors/actors.hpp"
#include "base/time.hpp"

#include <functional>
#include <optional>
#include <vector>

namespace aiops {

/// Keeps what other programs read of the training equal to the book: the
/// model's status and, where the protocol has the store keep it, the watchlist.
/// Belongs to TRAINING JOBS.
class training_mirror {
public:
  using on_done = std::function<void(const caf::error&)>;
  using on_book = std::function<void(const caf::expected<stored_book>&)>;

  struct environment {
    training_jobs_actor::pointer self;
    backend_actor backend;
    milliseconds request_timeout;
    /// Reads the book from the store.
    std::function<void(on_book)> read;
    /// Whether a gateway submitted this job before.
    std::function<bool(const std::string& id)> submitted;
  };

  void init(environment env);

  /// This is the book now. After a change of ours the status is written at
  /// once and `then` called, with or without success; after one of another
  /// replica that one writes it, and `compare` sees whether it did.
  void follow(const stored_book& book);
  void follow(const stored_book& book, std::function<void()> then);

  /// Reads what others read, and puts it right.
  void compare();

  /// Removes both, whatever was known of them, if the training was given up.
  void forget(on_done then);

  /// Whether a write failed, so that `compare` should not wait.
  bool doubtful() const {
    return target_ && !shown_ && !writing_;
  }

  /// Puts the watchlist right in the store: one of a submission that came to
  /// nothing is replaced by the last accepted one. With `all`, whatever stands
  /// there goes if the training was given up.
  void correct_watchlist(bool all, on_done then, int tries = 5);

private:
  /// What shall be read of the model; nothing: no value.
  using status = std::optional<model_status>;

  static status status_of(const training_book& book);

  void write();

  /// By the book that is known, which was just read.
  void compare_with_store(on_done failed);

  /// Somebody else may write at the same time: it is tried so often.
  void replace_watchlist(const stored_model& found, bool all, on_done then,
                         int tries);

  environment env_;
  std::optional<status> target_;
  /// What stands there, as far as we know.
  std::optional<status> shown_;
  bool writing_ = false;
  bool comparing_ = false;
  /// Whether there is a book: without one, what stands there is another
  /// program's.
  bool ours_ = false;
  /// Whether we have written there.
  bool wrote_ = false;
  /// Called when what we changed last can be seen by all.
  std::vector<std::function<void()>> waiting_;
};

} // namespace aiops
