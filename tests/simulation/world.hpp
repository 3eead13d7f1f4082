#pragma once

#include "tests/simulation/ledger.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace aiops::simulation {

/// What came of one run.
struct run_result {
  std::optional<violation> failure;
  /// Two runs of one seed have the same.
  uint64_t trace = 0;
  milliseconds virtual_time{0};
  uint64_t steps = 0;
  std::array<uint64_t, fault_count> faults{};
  fault_pairs pairs;
  /// What happened, line by line, if it was asked for.
  std::vector<std::string> history;
};

/// Two or three gateways, the network and the store between them, the training
/// backend, and people; everything that one run consists of.
///
/// First the safety phase, in which the steps and faults of the plan happen.
/// Then all faults stop, and the gateways have to come to rest, to agree, and
/// to serve.
class world {
public:
  world(const plan& what, bool with_history);

  /// Actors use the rest of the world to their end.
  ~world();

  run_result run();

  /// How far the wall clock of the owner of a lease is ahead.
  milliseconds clock_offset(const std::string& owner) const;

private:
  /// A request of a client.
  struct waiting_request {
    size_t target = 0;
    /// Of the target when it was sent: after one there is no answer.
    uint64_t deaths = 0;
    std::shared_ptr<bool> done;
  };

  // -- the safety phase -----------------------------------------------------------

  void carry_out(const step& x);

  void carry_out_fault(const step& x);

  workload_list draw_list(random_source& random);

  void post(size_t target, workload_list xs, bool force);

  void remove(size_t target);

  void read_status(size_t target);

  void read_watchlist(size_t target);

  void read_jobs(size_t target);

  /// Sends a request of a client and holds its answer to the deadline.
  template <class T, class Handle, class... Ts>
  void ask(size_t target, const std::string& what, caf::timespan deadline,
           const Handle& to, std::function<void(T&)> on_value,
           std::function<void(const caf::error&)> on_error, Ts... xs);

  void send_report(const std::string& body, std::function<void(ec)> answered);

  // -- when the faults have stopped -----------------------------------------------

  void heal();

  void check_liveness();

  /// Lets time pass until `problem` answers nothing, or too much has passed;
  /// answers the last problem.
  std::string wait(caf::timespan limit, std::function<std::string()> problem);

  void expect_calm(const std::string& invariant, caf::timespan limit,
                   std::function<std::string()> problem);

  /// Why a replica shows something else than what is stored.
  std::string disagreement();

  /// Whether a replica says that the store lost something.
  bool reports_a_loss(const replica& x);

  /// None says so when nothing was lost.
  void check_false_alarm();

  /// Why it cannot be seen that the store lost a book.
  std::string silence_on_loss();

  /// What became of the last POST.
  struct post_outcome {
    std::string problem = "was not answered";
    std::string id;
    /// It found a training that nobody submitted.
    bool unasked = false;
  };

  /// DELETE, again until then while the replica says that it has to be tried
  /// again; `problem` is empty when it has worked.
  void give_up(size_t target, time_point until,
               std::shared_ptr<std::string> problem);

  /// Likewise POST.
  void submit_last(size_t target, time_point until,
                   std::shared_ptr<post_outcome> outcome);

  /// DELETE, then POST, then a training to its end.
  /// @param rounds How often that may be disturbed by what came before.
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
