#pragma once

#include "base/error.hpp"
#include "tests/simulation/network.hpp"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace aiops::simulation {

/// A report of progress, as the backend sent it.
struct sent_report {
  /// `epoch_base` * number of the training + number of the report, so that the
  /// report can be identified from what is shown.
  int64_t epoch = 0;
  int64_t elapsed = 0;
  /// Whether it names its job.
  bool has_id = false;
  bool has_statistics = true;
  /// Whether it reports that the training has ended.
  bool completed = false;
  bool failed = false;
};

inline constexpr int64_t epoch_base = 1'000;

/// The state of a training.
enum class truth : uint8_t { runs, completed, failed, replaced, lost };

/// One training of the backend.
struct true_training {
  /// Consecutive number, from 1.
  int64_t number = 0;
  /// The job with which it was submitted; empty when no gateway submitted it.
  std::string job;
  time_point started;
  milliseconds length{0};
  bool fails = false;
  /// When it stops reporting; nothing if it does not.
  std::optional<time_point> silent_from;
  truth state = truth::runs;
  std::optional<time_point> ended;
  std::vector<sent_report> reports;
};

/// What the backend did with a watchlist that it received.
enum class effect : uint8_t { none, refused, trained, updated, reset };

std::string_view to_string(effect x);

/// Observes the backend; the checker implements it.
class backend_observer {
public:
  virtual ~backend_observer() = default;

  /// A watchlist reached the backend.
  /// @param by_request Whether it came by a request. Otherwise the backend
  /// found
  ///        it in the store when it started.
  virtual void on_received(const std::string& job, effect what, bool by_request)
    = 0;

  /// The backend sent that answer; `good` when it accepts the watchlist.
  virtual void on_answered(const std::string& job, bool good) = 0;

  /// A report was answered.
  virtual void on_report_answered(const true_training& which,
                                  const sent_report& report, ec code)
    = 0;
};

/// A model of the training backends of both protocols, which knows the real
/// state of each training.
class backend_model {
public:
  /// Sends a report to a gateway. `answered` receives the result, which is
  /// `disconnected` when there was no gateway.
  using report_sender
    = std::function<void(std::string body, std::function<void(ec)> answered)>;

  backend_model(timeline& time, faults& what, network& net,
                jetstream_model& store, const setup& config,
                backend_observer& observer);

  /// The job whose watchlist a replica has just sent. Only the simulation knows
  /// it, because one of the protocols does not send it.
  std::function<std::string(size_t link, const std::string& payload)> job_of;

  report_sender send_report;

  void start();

  /// Ends the process, which restarts after that time.
  void crash(caf::timespan length, bool forgets);

  /// Begins a training that no gateway submitted.
  void train_unasked();

  /// Ends all faults. A trainer that has died stays dead.
  void heal();

  /// The behaviour of trainings that begin from now on.
  void set_training_length(milliseconds length) {
    config_.training_length = length;
    config_.report_interval = length / 4;
  }

  // -- the real state -----------------------------------------------------------

  const workload_list& watchlist() const {
    return workloads_;
  }

  /// The job that the watchlist came with; empty after a reset or restart.
  const std::string& watchlist_job() const {
    return job_;
  }

  const std::vector<true_training>& trainings() const {
    return trainings_;
  }

  /// The training that runs; null when there is none.
  const true_training* running() const;

  const true_training* find(int64_t number) const;

  /// Whether a watchlist has arrived that it has not entered yet.
  bool busy() const {
    return busy_ > 0;
  }

  bool up() const {
    return up_;
  }

private:
  using answer_handler = network::answer_handler;

  void serve();

  void take(size_t link, const bus_request& request,
            const answer_handler& answer);

  void question(const bus_request& request, const answer_handler& answer);

  /// Enters a watchlist.
  effect enter(const std::string& job, workload_list xs);

  void begin(const std::string& job);

  void end(truth how);

  std::string status() const;

  /// Sends the next report of that training and schedules the following ones.
  void report(int64_t number);

  void send(int64_t number, sent_report what, std::string status,
            int64_t percentage);

  std::string encode(const true_training& which, const sent_report& what,
                     const std::string& status, int64_t percentage);

  true_training* current();

  /// A process of the kv protocol finds what was submitted meanwhile.
  void read_parameters();

  timeline& time_;
  faults& faults_;
  network& net_;
  jetstream_model& store_;
  setup config_;
  backend_observer& observer_;
  random_source random_;
  bool up_ = false;
  int busy_ = 0;
  /// Number of processes until now.
  uint64_t process_ = 0;
  workload_list workloads_;
  std::string job_;
  std::vector<true_training> trainings_;
};

} // namespace aiops::simulation
