#pragma once

#include "actors/workload.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace aiops::tools {

/// What a training backend remembers, and a training that only the clock
/// advances. Pure: time comes in, texts of the wire go out.
class training_job {
public:
  using time_point = std::chrono::system_clock::time_point;

  /// @param duration How long a training takes.
  explicit training_job(std::chrono::milliseconds duration);

  // -- what arrives over NATS -------------------------------------------------

  /// Takes the payload of `train_model`: trains when something new is in the
  /// list, forgets everything when it is empty. Answers the reply.
  std::string submit(std::string_view payload, time_point now);

  /// Answers `not started`, `training` or `completed`.
  std::string status() const;

  /// Answers the last list as it was submitted.
  std::string watchlist() const;

  // -- progress ---------------------------------------------------------------

  /// Whether there is progress that the gateway was not told yet.
  bool reporting() const;

  /// When the training began; changes with every training.
  time_point started() const {
    return started_;
  }

  /// Whether the training is over by the clock.
  bool due(time_point now) const;

  /// The body of `PUT /model/statistics` at that time.
  std::string statistics(time_point now) const;

  /// The training is over: from now on the status is `completed`.
  void finish();

  /// The gateway knows about the end.
  void reported();

  // -- state that survives a restart ------------------------------------------

  std::string save() const;

  /// Restores what `save` gave; false when the text is something else.
  bool load(std::string_view text);

private:
  enum class phase { none, training, finished, reported };

  std::chrono::milliseconds duration_;
  phase phase_ = phase::none;
  time_point started_;
  workload_list workloads_;
};

/// Reads `{"<cluster>":{"<namespace>":["<deployment>",…]}}`.
std::optional<workload_list> parse_workloads(std::string_view text);

/// Writes the same.
std::string render_workloads(const workload_list& xs);

} // namespace aiops::tools
