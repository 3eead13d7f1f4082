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

  /// The reply to request `id`, or the server's notice that nobody listens on
  /// its subject.
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

/// A connection to NATS. Publishing never waits for the server; replies and
/// messages arrive at the listener.
///
/// Whether it is open is asked of the library, never remembered: the library's
/// callback for its end may come before the one for its begin.
class nats_connection {
public:
  /// Connects on a thread of its own and reports to the bridge. The thread may
  /// hang: with this version of the library a server that greets and then
  /// falls silent is waited for without end. So it is never joined.
  ///
  /// With a watcher, its thread reads and writes; otherwise, and with TLS,
  /// threads of the library do. All other functions of the connection are then
  /// called on the watcher's thread.
  static void open(nats_config config, uint64_t attempt,
                   std::shared_ptr<connection_bridge> bridge,
                   std::shared_ptr<socket_watcher> watcher);

  virtual ~nats_connection() = default;

  /// Sends a request whose reply comes back under `id`. `disconnected` means
  /// that the connection has ended.
  virtual caf::error send(uint64_t id, const bus_request& request) = 0;

  /// The reply to a request is not waited for any longer.
  virtual void forget(uint64_t) {
    // nop
  }

  /// Sends a message that nobody answers to us; errors as above.
  virtual caf::error publish(const bus_message& msg) = 0;

  /// Delivers messages on `subject` under `id`: all of them or, when `queue` is
  /// not empty, those that no other subscriber of that queue gets. A message
  /// for which there is no credit is dropped; errors as above.
  virtual caf::error subscribe(uint64_t id, const std::string& subject,
                               const std::string& queue,
                               std::shared_ptr<credit> limit)
    = 0;

  /// Ends a delivery. Messages that are here already still arrive.
  virtual void unsubscribe(uint64_t id) = 0;

  /// False once the connection has ended, for whatever reason.
  virtual bool is_open() const = 0;

  virtual bus_status status() const = 0;
};

} // namespace aiops::nats
