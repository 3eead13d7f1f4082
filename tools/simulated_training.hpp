#pragma once

#include "actors/workload.hpp"
#include "config/config.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace aiops::tools {

/// How a report is written.
struct report_style {
  /// All numbers as strings.
  bool strings = false;
  /// Null statistics.
  bool null_statistics = false;
  /// The id of the job in the report; nothing: that of the training.
  std::optional<std::string> id = {};
};

/// The state of a training backend, with a training whose progress depends only
/// on the clock. Pure: the time is a parameter, and messages are returned.
class simulated_training {
public:
  using time_point = std::chrono::system_clock::time_point;

  /// @param duration How long a training takes.
  explicit simulated_training(std::chrono::milliseconds duration,
                              backend_protocol protocol
                              = backend_protocol::request_reply);

  // -- what arrives over NATS -------------------------------------------------

  /// Takes the payload of `train_model`: starts a training when the list has
  /// new workloads, and resets the model when it is empty. Returns the reply.
  std::string submit(std::string_view payload, time_point now);

  /// Returns `not started`, `training` or `completed`.
  std::string status() const;

  /// Returns the last list as it was submitted.
  std::string watchlist() const;

  /// Whether nothing was ever submitted.
  bool fresh() const {
    return id_.empty() && workloads_.empty();
  }

  // -- progress ---------------------------------------------------------------

  /// Whether there is progress that was not reported yet.
  bool reporting() const;

  /// When the training started; changes with every training.
  time_point started() const {
    return started_;
  }

  /// Whether the training is over by the clock.
  bool due(time_point now) const;

  /// How far the training has come, 0 to 1.
  double done(time_point now) const;

  /// The body of the report at that time: of `PUT /model/statistics`, or with
  /// `kv` of `PUT /model/current_status`, which at the end has no statistics.
  std::string report(time_point now, const report_style& style = {}) const;

  /// The id of the submission that started the training; `kv` only.
  const std::string& id() const {
    return training_id_;
  }

  /// The id of the previous training; empty when there was none.
  const std::string& earlier_id() const {
    return earlier_id_;
  }

  /// Ends the training: from now on the status is `completed`.
  void finish();

  /// The end was reported to the gateway.
  void reported();

  // -- state that survives a restart ------------------------------------------

  std::string save() const;

  /// Restores what `save` returned; false when the text is something else.
  bool load(std::string_view text);

private:
  enum class phase { none, training, finished, reported };

  std::chrono::milliseconds duration_;
  backend_protocol protocol_;
  phase phase_ = phase::none;
  time_point started_;
  workload_list workloads_;
  /// Of the last submission.
  std::string id_;
  std::string training_id_;
  std::string earlier_id_;
};

/// What a gateway submits.
struct submission {
  /// Empty when it has none.
  std::string id;
  workload_list workloads;
};

/// Reads `{"<cluster>":{"<namespace>":["<deployment>",…]}}`.
std::optional<workload_list> parse_workloads(std::string_view text);

/// Reads `{"uuid":"…","workloads":{…}}`; without `workloads` the list is empty.
std::optional<submission> parse_submission(std::string_view text);

/// Writes the same.
std::string render_workloads(const workload_list& xs);

} // namespace aiops::tools
