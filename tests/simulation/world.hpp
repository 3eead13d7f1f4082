#pragma once

#include "tests/simulation/ledger.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace aiops::simulation {

/// The result of one run.
struct run_result {
  std::optional<violation> failure;
  /// Equal for two runs of the same seed.
  uint64_t trace = 0;
  milliseconds virtual_time{0};
  uint64_t steps = 0;
  std::array<uint64_t, fault_count> faults{};
  fault_pairs pairs;
  /// The history, line by line, if it was requested.
  std::vector<std::string> history;
};

/// Everything in one run: two or three gateways, the network and the store
/// between them, the training backend, clients and operators.
///
/// In the first phase, the steps and faults of the plan happen. Then all faults
/// stop, and the gateways must settle, agree and serve requests.
class world {
public:
  world(const plan& what, bool with_history);

  /// Ends the actors first, because they use the other members until they end.
  ~world();

  run_result run();

  /// Offset of the wall clock of the owner of a lease.
  milliseconds clock_offset(const std::string& owner) const;

private:
  /// A request of a client.
  struct waiting_request {
    size_t target = 0;
    /// Deaths of the target when the request was sent. After another death
    /// there is no answer.
    uint64_t deaths = 0;
    std::shared_ptr<bool> done;
  };

  // -- the phase with faults ------------------------------------------------------

  void carry_out(const step& x);

  void carry_out_fault(const step& x);

  workload_list draw_list(random_source& random);

  void post(size_t target, workload_list xs, bool force);

  void remove(size_t target);

  void read_status(size_t target);

  void read_watchlist(size_t target);

  void read_jobs(size_t target);

  /// Sends a request of a client and checks the deadline of its answer.
  template <class T, class Handle, class... Ts>
  void ask(size_t target, const std::string& what, caf::timespan deadline,
           const Handle& to, std::function<void(T&)> on_value,
           std::function<void(const caf::error&)> on_error, Ts... xs);

  void send_report(const std::string& body, std::function<void(ec)> answered);

  // -- after the faults have stopped ----------------------------------------------

  void heal();

  void check_liveness();

  /// Advances the clock until `problem` returns an empty text or a deadline has
  /// passed; returns the last problem.
  std::string wait(caf::timespan limit, std::function<std::string()> problem);

  void expect_calm(const std::string& invariant, caf::timespan limit,
                   std::function<std::string()> problem);

  /// How the answers of a replica differ from what is stored; or empty.
  std::string disagreement();

  /// Whether a replica reports that the store has lost something.
  bool reports_a_loss(const replica& x);

  /// Checks that no replica reports a loss when nothing was lost.
  void check_false_alarm();

  /// Why a loss of the store is not reported; or empty.
  std::string silence_on_loss();

  /// The result of the last POST.
  struct post_outcome {
    std::string problem = "was not answered";
    std::string id;
    /// There was a training that no gateway submitted.
    bool unasked = false;
  };

  /// Sends DELETE, and repeats it until the deadline while the replica answers
  /// that it should be repeated; `problem` is empty if it succeeded.
  void give_up(size_t target, time_point until,
               std::shared_ptr<std::string> problem);

  /// The same for POST.
  void submit_last(size_t target, std::string name, time_point until,
                   std::shared_ptr<post_outcome> outcome);

  /// Sends DELETE, then POST, then waits until the training ends.
  /// @param rounds Maximum number of attempts, as earlier operations may
  /// interfere.
  void check_service(int rounds);

  void fail(const violation& x);

  void note(const std::string& text);

  caf::timespan query_deadline() const;

  plan plan_;
  timeline time_;
  faults faults_;
  jetstream_model store_;
  network net_;
  ledger ledger_;
  backend_model backend_;
  std::vector<std::unique_ptr<replica>> replicas_;
  random_source random_;
  workload_list last_list_;
  std::vector<waiting_request> waiting_;
  bool with_history_;
  run_result result_;
};

} // namespace aiops::simulation
