#pragma once

#include "actors/messages.hpp"
#include "base/error.hpp"
#include "base/socket_watcher.hpp"
#include "nats/credit.hpp"
#include "nats/options.hpp"

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

namespace aiops::nats {

class nats_connection;

/// The error of requests that may have reached the server before the connection
/// was lost.
inline caf::error lost_in_flight() {
  return make_error(ec::lost_in_flight,
                    "the connection to NATS was lost; the request may have "
                    "been processed");
}

/// Callbacks from the threads of the NATS library. They run concurrently to
/// everything else; an implementation only forwards them.
class connection_listener {
public:
  virtual ~connection_listener() = default;

  /// An attempt ended, with a connection or with an error text.
  virtual void on_connect(uint64_t attempt,
                          std::shared_ptr<nats_connection> conn,
                          std::string error)
    = 0;

  /// The connection of this attempt has ended.
  virtual void on_closed(uint64_t attempt) = 0;

  /// The reply to request `id`, or the server's notice that its subject has no
  /// subscriber.
  virtual void on_reply(uint64_t id, bus_message reply, bool no_responders) = 0;

  /// A message for subscription `id`.
  virtual void on_message(uint64_t id, bus_message msg) = 0;

  /// Messages for subscription `id`, or for any when it is 0, were dropped:
  /// they came faster than they were handled. Not repeated before
  /// `credit::resume`.
  virtual void on_drop(uint64_t id) = 0;

  /// The server or the library complained, for example about a permission.
  virtual void on_error(std::string text) = 0;
};

/// Passes the library's callbacks on to a listener until `detach` is called.
/// The library may still call after the bus has ended, so a bridge that was
/// handed to the library is kept until the process ends.
class connection_bridge {
public:
  explicit connection_bridge(std::shared_ptr<connection_listener> listener)
    : listener_(std::move(listener)) {
    // nop
  }

  /// The listener is not called after this. @thread-safe
  void detach();

  /// Calls `f` with the listener unless it is detached. @thread-safe
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

/// A connection to NATS. Publishing never waits for the server; replies and
/// messages arrive at the listener.
///
/// `is_open` always asks the library: its callback for the end of a connection
/// may precede the one for its start.
class nats_connection {
public:
  /// Connects on a separate thread and reports to the bridge. The thread may
  /// hang: this version of the library waits without limit for a server that
  /// sends its greeting and nothing after that. So the thread is never joined.
  ///
  /// With a watcher, its thread reads and writes, and all other functions of
  /// the connection are called on it. Otherwise, and with TLS, threads of the
  /// library read and write.
  static void open(nats_config config, uint64_t attempt,
                   std::shared_ptr<connection_bridge> bridge,
                   std::shared_ptr<socket_watcher> watcher);

  virtual ~nats_connection() = default;

  /// Sends a request; its reply is reported with `id`. `disconnected` and
  /// `lost_in_flight` mean that the connection has ended.
  virtual caf::error send(uint64_t id, const bus_request& request) = 0;

  /// Stops waiting for the reply to a request.
  virtual void forget(uint64_t) {
    // nop
  }

  /// Sends a message without a reply; errors as above.
  virtual caf::error publish(const bus_message& msg) = 0;

  /// Delivers messages on `subject` with `id`: all of them or, when `queue` is
  /// not empty, those that no other subscriber of that queue gets. A message
  /// for which there is no credit is dropped; errors as above.
  virtual caf::error subscribe(uint64_t id, const std::string& subject,
                               const std::string& queue,
                               std::shared_ptr<credit> limit)
    = 0;

  /// Ends a delivery. Messages that were received already are still delivered.
  virtual void unsubscribe(uint64_t id) = 0;

  /// False after the connection has ended for any reason.
  virtual bool is_open() const = 0;

  virtual bus_status status() const = 0;
};

} // namespace aiops::nats
