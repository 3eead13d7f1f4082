#pragma once

#include "tests/simulation/jetstream_model.hpp"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace aiops::simulation {

class network;

/// INTERNAL: messages of the network to the bus of a replica.
using simulated_bus_actor = bus_actor::extend<
  // The reply to a request.
  caf::replies_to<update_atom, uint64_t, bus_reply>::with<void>,
  // There is no responder for the subject of that request.
  caf::replies_to<delete_atom, uint64_t>::with<void>,
  // A message for a subscription.
  caf::replies_to<update_atom, uint64_t, bus_message>::with<void>,
  // The connection was established or lost.
  caf::replies_to<connect_atom, bool>::with<void>,
  // Checks for expired requests.
  caf::replies_to<tick_atom>::with<void>>;

/// Replaces `bus`: the same interface and the same answers, over the network of
/// the simulation.
class simulated_bus_state {
public:
  static inline const char* name = "bus";

  explicit simulated_bus_state(simulated_bus_actor::pointer self)
    : self_(self) {
    // nop
  }

  simulated_bus_actor::behavior_type make_behavior(network& net, size_t link);

private:
  struct pending_request {
    caf::typed_response_promise<bus_reply> promise;
    std::string subject;
    time_point deadline;
  };

  struct subscription {
    std::string subject;
    std::string queue;
    bus_sink_actor sink;
  };

  caf::result<bus_reply> send(bus_request& request);

  caf::result<void> publish(const bus_message& msg);

  void add_subscription(std::string& subject, std::string queue,
                        bus_sink_actor& sink);

  void subscribe(uint64_t id, const subscription& sub);

  void connect(bool up);

  void expire();

  void arm_timer();

  bus_status status() const;

  void notify();

  simulated_bus_actor::pointer self_;
  network* net_ = nullptr;
  size_t link_ = 0;
  bool connected_ = false;
  int64_t connects_ = 0;
  uint64_t last_request_ = 0;
  std::map<uint64_t, pending_request> pending_;
  uint64_t last_subscription_ = 0;
  std::map<uint64_t, subscription> subscriptions_;
  std::vector<bus_listener_actor> listeners_;
  /// When the timer fires, if one is set.
  std::optional<time_point> timer_;
};

simulated_bus_actor::behavior_type
simulated_bus(simulated_bus_actor::stateful_pointer<simulated_bus_state> self,
              network* net, size_t link);

/// The NATS server and the connections to it. Messages of one connection and
/// direction arrive in the order in which they were sent, or not at all.
class network {
public:
  /// Answers a request; may be called never, late, or twice.
  using answer_handler = std::function<void(std::string)>;

  /// A service that answers requests on a subject.
  using service = std::function<void(size_t link, const bus_request& request,
                                     answer_handler answer)>;

  network(timeline& time, faults& what, jetstream_model& store);

  // -- other clients of the server ----------------------------------------------

  /// Replaces the service on a subject; null removes it.
  void serve(const std::string& subject, service handler);

  /// Sends a message as a client that is not a gateway.
  /// @param answer Receives the replies to the message.
  void publish_from_outside(bus_message msg, answer_handler answer);

  /// Called when a request leaves a replica.
  std::function<void(size_t link, const bus_request&)> on_send;

  // -- connections ----------------------------------------------------------------

  /// A replica has started; its bus is connected shortly afterwards.
  void attach(size_t link, simulated_bus_actor bus);

  /// The replica has ended.
  void detach(size_t link);

  /// Interrupts the connection for that time.
  void cut(size_t link, caf::timespan length);

  /// Holds back all messages for that time.
  void block(size_t link, caf::timespan length, bool requests, bool answers);

  /// Restores all connections, and releases all messages.
  void heal();

  /// Records the requests in flight that a fault affects.
  /// @param link Without a value, those of all replicas.
  void meet(fault x, std::optional<size_t> link);

  /// When the last message that was held back arrives at the server.
  time_point last_arrival() const;

  bool connected(size_t link) const {
    return links_.at(link).up;
  }

  // -- for the bus ----------------------------------------------------------------

  void send(size_t link, uint64_t id, const bus_request& request);

  /// The request was answered or has expired.
  void done(size_t link, uint64_t id);

  void publish(size_t link, const bus_message& msg);

  void subscribe(size_t link, uint64_t id, const std::string& subject,
                 const std::string& queue);

  int64_t max_payload() const {
    return store_.max_payload;
  }

private:
  struct subscription {
    uint64_t id = 0;
    std::string subject;
    std::string queue;
  };

  struct connection {
    simulated_bus_actor bus;
    bool up = false;
    /// Number of connections until now.
    uint64_t epoch = 0;
    std::vector<subscription> subscriptions;
    std::map<uint64_t, request_kind> in_flight;
    /// When the last message in each direction arrives.
    time_point last_request{};
    time_point last_answer{};
    time_point requests_blocked_until{};
    time_point answers_blocked_until{};
  };

  void connect(size_t index, uint64_t epoch);

  /// When a message arrives that is sent now.
  time_point arrival(time_point& last, time_point blocked_until);

  /// Calls a function when a message of a replica arrives at the server.
  void to_server(size_t index, std::function<void()> what);

  /// Calls a function when a message of the server arrives at a replica.
  void to_replica(size_t index, uint64_t epoch, std::function<void()> what);

  /// A request has arrived at the server.
  void arrived(size_t index, uint64_t epoch, uint64_t id,
               const bus_request& request);

  /// Delivers a message to all subscribers; returns whether there were any.
  bool deliver(const bus_message& msg);

  void deliver_to(size_t index, uint64_t id, const bus_message& msg);

  timeline& time_;
  faults& faults_;
  jetstream_model& store_;
  random_source random_;
  std::vector<connection> links_;
  std::map<std::string, service> services_;
  /// The requests that wait, by reply subject.
  std::map<std::string, answer_handler> inboxes_;
  uint64_t last_inbox_ = 0;
  time_point last_arrival_{};
};

} // namespace aiops::simulation

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(aiops::simulation::network*)
