#pragma once

#include "tools/nats_link.hpp"

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>

namespace aiops::tools {

/// Stores messages in JetStream, each exactly once: a message is kept until the
/// NATS server acknowledges it, and sent again if that takes too long. It has
/// an id by which the server drops duplicates.
class log_publisher {
public:
  /// Messages that may wait for their acknowledgement.
  static constexpr size_t window = 512;

  log_publisher(nats_link_options options, const stop_signal& stop);

  ~log_publisher();

  /// Takes a message, after the window has room for it. False when the signal
  /// to stop arrives first; the message is then lost.
  bool publish(std::string subject, std::string payload);

  /// Waits until everything is acknowledged; after the signal to stop, for at
  /// most two seconds.
  void flush();

  /// Messages that the NATS server has stored.
  uint64_t stored() const;

  /// Messages that the NATS server refused to store.
  uint64_t refused() const;

  /// Messages that are not acknowledged yet.
  uint64_t pending() const;

private:
  using clock = std::chrono::steady_clock;

  struct message {
    std::string subject;
    std::string payload;
  };

  static void on_ack(natsConnection*, natsSubscription*, natsMsg* msg,
                     void* self);

  /// The library will not call `on_ack` for this subscription again.
  static void on_complete(void* self);

  void acknowledge(natsMsg* msg);

  /// Connects if necessary, sends overdue messages again, and waits a moment
  /// for fewer than `limit` pending messages.
  void drive(size_t limit);

  bool connect();

  void send(uint64_t id, const message& msg);

  void send_all();

  const stop_signal& stop_;
  nats_link link_;
  natsSubscription* acks_ = nullptr;
  /// Where acknowledgements arrive, with its last dot.
  std::string inbox_;
  clock::time_point last_progress_ = clock::now();
  uint64_t last_acknowledged_ = 0;
  mutable std::mutex mutex_;
  std::condition_variable acknowledged_;
  // Guarded by the mutex.
  std::map<uint64_t, message> pending_;
  uint64_t last_id_ = 0;
  uint64_t stored_ = 0;
  uint64_t refused_ = 0;
  std::string last_problem_;
  /// Subscriptions for which the library may still call.
  int open_subscriptions_ = 0;
};

} // namespace aiops::tools
