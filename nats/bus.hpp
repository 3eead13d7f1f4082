#pragma once

#include "actors/actors.hpp"
#include "base/backoff.hpp"
#include "base/subscribers.hpp"
#include "nats/connection.hpp"

#include <functional>
#include <map>
#include <random>
#include <set>
#include <unordered_map>

namespace aiops::nats {

struct bus_config {
  nats_config nats;
  /// Returns the servers for each attempt to connect, where they may change.
  /// @thread-safe
  std::function<nats_config()> locate = {};
  /// Requests in flight; further ones are refused with `overloaded`.
  size_t max_pending = 1024;
  /// This many of them are reserved for requests that do not only read.
  size_t reserved = 256;
  /// Wait between two attempts to connect: doubles from the first to the
  /// second value, with a quarter of jitter.
  caf::timespan first_backoff = std::chrono::milliseconds{50};
  caf::timespan last_backoff = std::chrono::seconds{5};
  /// A connection that ends sooner counts as a failed attempt.
  caf::timespan stable_after = std::chrono::seconds{5};
  /// Failed attempts in a row after which a warning is logged: at the start the
  /// server may just be starting too.
  int noteworthy_failures = 5;
  /// Delay between the first dropped message and the notice to its sink.
  caf::timespan catch_up_delay = std::chrono::seconds{1};
  /// An attempt to connect that takes longer is abandoned.
  caf::timespan connect_deadline = std::chrono::seconds{15};
  /// Called when an abandoned attempt has not ended after another
  /// `stuck_deadline`: it then occupies a core until the process is restarted.
  std::function<void(std::string)> give_up;
  caf::timespan stuck_deadline = std::chrono::seconds{60};
  /// Starts an attempt to connect, in place of `nats_connection::open`.
  std::function<void(nats_config, uint64_t, std::shared_ptr<connection_bridge>)>
    open = {};
};

} // namespace aiops::nats

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(std::shared_ptr<aiops::nats::nats_connection>)

namespace aiops::nats {

/// INTERNAL: messages of the library's threads and of the timers.
using internal_bus_actor = bus_actor::extend<
  // An attempt ended.
  caf::replies_to<connect_atom, uint64_t, std::shared_ptr<nats_connection>,
                  std::string>::with<void>,
  // An attempt should have ended by now (false), or must have (true).
  caf::replies_to<connect_atom, uint64_t, bool>::with<void>,
  // Time to try again.
  caf::replies_to<restart_atom>::with<void>,
  // The connection of this attempt has ended.
  caf::replies_to<delete_atom, uint64_t>::with<void>,
  // A reply, or the server's notice that there are no responders.
  caf::replies_to<update_atom, uint64_t, bus_message, bool>::with<void>,
  // A message for a subscription.
  caf::replies_to<update_atom, uint64_t, bus_message>::with<void>,
  // Messages for a subscription, or for any when it is 0, were dropped.
  caf::replies_to<update_atom, uint64_t>::with<void>,
  // Time to notify the sinks of dropped messages.
  caf::replies_to<update_atom>::with<void>,
  // Time to look for expired requests.
  caf::replies_to<tick_atom>::with<void>>;

class bus_state {
public:
  static inline const char* name = "bus";

  explicit bus_state(internal_bus_actor::pointer self);

  ~bus_state();

  void init(bus_config config);

  internal_bus_actor::behavior_type make_behavior();

private:
  using time_point = caf::actor_clock::time_point;

  struct pending_request {
    caf::typed_response_promise<bus_reply> promise;
    std::string subject;
    time_point deadline;
  };

  struct subscription {
    std::string subject;
    /// Empty for one that gets every message.
    std::string queue;
    bus_sink_actor sink;
    /// Shared by all connections: messages of the previous one may still be
    /// queued.
    std::shared_ptr<credit> limit;
    /// Whether messages were dropped and the sink was not notified yet.
    bool missed = false;
  };

  // -- requests and messages --------------------------------------------------

  caf::result<bus_reply> send_request(bus_request& request);

  caf::result<void> publish(const bus_message& msg);

  caf::error no_connection() const;

  void handle_reply(uint64_t id, bus_message& reply, bool no_responders);

  void expire_requests();

  void arm_timer();

  void fail_all(const caf::error& reason);

  // -- subscriptions ----------------------------------------------------------

  void add_subscription(std::string& subject, std::string queue,
                        bus_sink_actor& sink);

  void remove(const caf::actor_addr& gone);

  void subscribe(uint64_t id, const subscription& sub);

  void handle_drop(uint64_t id);

  /// Notifies the sinks that missed messages.
  void catch_up();

  // -- connection -------------------------------------------------------------

  void open();

  /// The watcher of sockets on the thread of this actor; may be null.
  std::shared_ptr<socket_watcher> watcher() const;

  void check_attempt(uint64_t attempt, bool stuck);

  void handle_connect(uint64_t attempt, std::shared_ptr<nats_connection>& conn,
                      std::string& problem);

  void handle_closed(uint64_t attempt);

  /// Whether there is a connection that the library reports as open. Discards
  /// one that has ended.
  bool connected();

  /// Discards the connection and opens a new one.
  void lose();

  /// Returns the result of sending; discards the connection when it has ended.
  caf::error sent(caf::error err);

  /// Counts an attempt that failed, or ended too soon.
  void failed(std::string reason);

  void retry_later();

  bus_status status() const;

  // -- listeners --------------------------------------------------------------

  void add_listener(bus_listener_actor& listener);

  /// Sends the state of the connection to all listeners, if it changed.
  void notify();

  // -- member variables -------------------------------------------------------

  internal_bus_actor::pointer self_;
  bus_config config_;
  std::shared_ptr<connection_bridge> bridge_;
  std::shared_ptr<nats_connection> connection_;
  /// Number of the latest attempt to connect.
  uint64_t attempt_ = 0;
  /// Whether the latest attempt has not ended yet.
  bool connecting_ = false;
  /// Attempts that took too long and have not ended yet.
  std::set<uint64_t> abandoned_;
  backoff<caf::timespan> backoff_;
  /// Attempts in a row that failed.
  int failures_ = 0;
  /// When the connection was opened.
  time_point connected_at_;
  int64_t connects_ = 0;
  std::string reason_ = "not connected yet";
  std::minstd_rand random_;

  uint64_t last_request_ = 0;
  std::unordered_map<uint64_t, pending_request> pending_;
  std::multimap<time_point, uint64_t> deadlines_;
  /// When the timer expires, if one is set.
  std::optional<time_point> timer_;

  uint64_t last_subscription_ = 0;
  std::map<uint64_t, subscription> subscriptions_;
  bool catching_up_ = false;

  subscribers<bus_listener_actor> listeners_;
  /// The state that was sent to them last.
  bus_status notified_;
};

/// Sending blocks only while the socket is full, for a second at most
/// (`write_deadline` in `nats/options.hpp`); then the peer counts as dead. So
/// the bus can share a scheduler thread.
internal_bus_actor::behavior_type
bus(internal_bus_actor::stateful_pointer<bus_state> self, bus_config config);

} // namespace aiops::nats
