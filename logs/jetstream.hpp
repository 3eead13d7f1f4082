#pragma once

#include "actors/actors.hpp"
#include "actors/config.hpp"

namespace aiops {

struct jetstream_log_source_config {
  aggregation_config aggregation;
  /// Deadline of each page.
  caf::timespan request_timeout = std::chrono::seconds{5};
};

/// Counts the messages of a JetStream stream by subject. The broker keeps the
/// count of each subject, so no log message is read. Makes the stream when
/// there is none.
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
    int64_t subjects_read = 0;
    caf::typed_response_promise<breakdown_ptr> promise;
  };

  using cycle_ptr = std::shared_ptr<cycle>;

  caf::result<breakdown_ptr> count();

  void read_page(cycle_ptr current);

  void handle_page(cycle_ptr current, const std::string& payload);

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

} // namespace aiops
