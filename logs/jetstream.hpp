#pragma once

#include "actors/actors.hpp"
#include "config/config.hpp"

namespace aiops::logs {

struct jetstream_log_source_config {
  aggregation_config aggregation;
  /// Deadline of each page.
  caf::timespan request_timeout = std::chrono::seconds{5};
  /// Copies of the stream, if it has to be made.
  int replicas = 1;
};

/// Counts the messages of a JetStream stream by subject. The broker keeps the
/// count of each subject, so no log message is read. Makes the stream when
/// there is none.
///
/// The broker answers at most 100,000 subjects at a time: a page of the sorted
/// list of subjects, from an offset on, of the list as it is at that moment.
/// Subjects come and go between two pages, which moves those behind them. So
/// each page is asked for with an offset that is expected to be the last
/// subject counted, and only the subjects behind that one are counted. A page
/// that begins behind it may lack some: it is asked for again with a smaller
/// offset. Each subject that is there all the time is counted exactly once, and
/// no other one twice, however busy the stream is.
class jetstream_log_source_state {
public:
  static inline const char* name = "jetstream-log-source";

  explicit jetstream_log_source_state(log_source_actor::pointer self);

  void init(bus_actor bus, jetstream_log_source_config config);

  log_source_actor::behavior_type make_behavior();

private:
  /// A count that is under way.
  struct cycle {
    breakdown_builder builder;
    /// Of the next page.
    int64_t offset = 0;
    /// How far the offset goes back when subjects before it are gone.
    int64_t step_back = 1;
    /// The last subject counted.
    std::string last;
    /// When the stream was made: another one begins a new count.
    std::string stream_created;
    int pages = 0;
    /// Subjects that do not name a workload.
    int64_t foreign = 0;
    caf::typed_response_promise<breakdown_ptr> promise;
  };

  using cycle_ptr = std::shared_ptr<cycle>;

  caf::result<breakdown_ptr> count();

  void read_page(cycle_ptr current);

  void handle_page(cycle_ptr current, const std::string& payload);

  void finish(cycle& current);

  void make_stream(cycle_ptr current);

  template <class OnReply>
  void ask(cycle_ptr current, std::string_view verb, std::string payload,
           OnReply on_reply);

  log_source_actor::pointer self_;
  bus_actor bus_;
  jetstream_log_source_config config_;
  /// Subjects that do not name a workload, as of the last warning.
  int64_t foreign_subjects_ = 0;
};

/// Spawn it detached: a page of 100,000 subjects takes a while to parse.
log_source_actor::behavior_type jetstream_log_source(
  log_source_actor::stateful_pointer<jetstream_log_source_state> self,
  bus_actor bus, jetstream_log_source_config config);

} // namespace aiops::logs
