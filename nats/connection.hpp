#pragma once

#include "actors/messages.hpp"
#include "nats/options.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace aiops {

class nats_connection;

/// What threads of the NATS library report. They run concurrently to
/// everything else; an implementation only passes on what it is told.
class connection_listener {
public:
  virtual ~connection_listener() = default;

  /// An attempt ended: with a connection, or with none and an error text.
  virtual void on_connect(uint64_t attempt,
                          std::shared_ptr<nats_connection> conn,
                          std::string error)
    = 0;

  /// The connection of that attempt is gone for good.
  virtual void on_closed(uint64_t attempt) = 0;

  /// The reply to request `id`, or word that nobody listens on its subject.
  virtual void on_reply(uint64_t id, std::string payload, bool no_responders)
    = 0;

  /// A message for subscription `id`.
  virtual void on_message(uint64_t id, bus_message msg) = 0;

  /// The server or the library complained, for example about a permission.
  virtual void on_error(std::string text) = 0;
};

/// Passes the library's callbacks on to a listener until `detach` is called.
/// The library may still call when everybody else is gone, so whoever hands a
/// bridge to the library keeps it for the life of the process.
class connection_bridge {
public:
  explicit connection_bridge(std::shared_ptr<connection_listener> listener)
    : listener_(std::move(listener)) {
    // nop
  }

  /// After this the listener is called no more. @thread-safe
  void detach();

  /// Calls `f` with the listener, if there is one still. @thread-safe
  template <class F>
  void call(F&& f) {
    std::lock_guard guard{mutex_};
    if (listener_)
      f(*listener_);
  }

private:
  std::mutex mutex_;
  std::shared_ptr<connection_listener> listener_;
};

/// An open connection to NATS. Publishing never waits for the server; replies
/// arrive at the listener.
class nats_connection {
public:
  /// Connects on a thread of its own and reports to the bridge. The thread may
  /// hang: with this version of the library a server that greets and then
  /// falls silent is waited for without end. So it is never joined.
  static void open(nats_config config, uint64_t attempt,
                   std::shared_ptr<connection_bridge> bridge);

  ~nats_connection();

  nats_connection(const nats_connection&) = delete;
  nats_connection& operator=(const nats_connection&) = delete;

  /// Sends a request whose reply comes back under `id`.
  caf::error send(uint64_t id, const bus_request& request);

  /// Sends a message that nobody answers to us.
  caf::error publish(const bus_message& msg);

  /// Delivers messages on `subject` under `id`: all of them or, when `queue` is
  /// not empty, those that no other subscriber of that queue gets.
  caf::error subscribe(uint64_t id, const std::string& subject,
                       const std::string& queue);

  /// Ends a delivery. Messages that are here already still arrive.
  void unsubscribe(uint64_t id);

  bus_status status() const;

private:
  struct closure;

  nats_connection() = default;

  natsStatus connect(const nats_config& config, closure& context,
                     std::string& problem);

  closure* make_closure(uint64_t id);

  natsConnection* handle_ = nullptr;
  /// By the id of the delivery; 0 for that of replies.
  std::map<uint64_t, natsSubscription*> subscriptions_;
  /// Start of the subjects on which replies arrive, with its last dot.
  std::string inbox_;
  std::shared_ptr<connection_bridge> bridge_;
};

} // namespace aiops
