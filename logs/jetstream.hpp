#pragma once

#include "actors/actors.hpp"
#include "config/config.hpp"

namespace aiops::logs {

struct jetstream_log_source_config {
  aggregation_config aggregation;
  /// Deadline of each page.
  caf::timespan request_timeout = std::chrono::seconds{5};
  /// Copies of the stream, if it has to be created.
  int replicas = 1;
};

/// Counts the messages of a JetStream stream by subject. The NATS server keeps
/// the count of each subject, so no log message is read. Creates the stream if
/// there is none.
///
/// The NATS server returns at most 100,000 subjects at a time: a page of the
/// sorted list as it is at that moment, starting at an offset. Subjects that
/// appear or disappear between two pages shift those after them. So each page
/// is requested with the offset that the last counted subject is expected to
/// have, and only the subjects after that one are counted. A page that begins
/// after it may lack some subjects, and is requested again with a smaller
/// offset. Each subject that exists during the whole count is counted exactly
/// once, and any other at most once, however many messages arrive.
class jetstream_log_source_state {
public:
  static inline const char* name = "jetstream-log-source";

  explicit jetstream_log_source_state(log_source_actor::pointer self);

  void init(bus_actor bus, jetstream_log_source_config config);

  log_source_actor::behavior_type make_behavior();

private:
  /// A count in progress.
  struct cycle {
    breakdown_builder builder;
    /// Of the next page.
    int64_t offset = 0;
    /// How far the offset goes back when subjects before it have disappeared.
    int64_t step_back = 1;
    /// The last subject counted.
    std::string last;
    /// When the stream was created: another stream begins a new count.
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

  void create_stream(cycle_ptr current);

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
