#pragma once

#include "actors/actors.hpp"

namespace aiops::nats {

struct progress_feed_config {
  /// How long storing a message may take.
  caf::timespan request_timeout = std::chrono::seconds{5};
  /// Messages that are being stored; further ones are refused with
  /// `overloaded`.
  size_t max_pending = 256;
  /// Largest message, in bytes.
  size_t max_size = 64 * 1024;
};

/// Receives the progress of backends that cannot reach the gateway by HTTP. All
/// gateways are in one queue, so that one of them gets each message. A message
/// with a reply subject is answered when its progress is stored.
class progress_feed_state {
public:
  static inline const char* name = "progress-feed";

  explicit progress_feed_state(bus_sink_actor::pointer self);

  bus_sink_actor::behavior_type
  make_behavior(bus_actor bus, training_status_actor training_status,
                const progress_feed_config& cfg);

private:
  void take(const bus_message& msg);

  /// Answers the sender of the message.
  void finish(const std::string& reply_to, const caf::error& err);

  bus_sink_actor::pointer self_;
  bus_actor bus_;
  training_status_actor training_status_;
  progress_feed_config cfg_;
  size_t pending_ = 0;
};

bus_sink_actor::behavior_type
progress_feed(bus_sink_actor::stateful_pointer<progress_feed_state> self,
              bus_actor bus, training_status_actor training_status,
              const progress_feed_config& cfg);

} // namespace aiops::nats
