#pragma once

#include "base/error.hpp"
#include "config/config.hpp"
#include "http/server/request_handler.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

namespace aiops::http {

/// The HTTP server: accepts connections, refuses requests that are malformed,
/// slow or too large, and passes complete ones to handlers.
///
/// A connection that waits (for a request, or for its client to read an answer)
/// occupies no thread: all of them are in one epoll set that the workers share.
/// Clients that follow the events are handed over to the thread of the streams
/// and no longer count as connections.
class http_server {
public:
  http_server(http_config config, handler_factory make_handler);

  /// Stops at once.
  ~http_server();

  http_server(const http_server&) = delete;

  http_server& operator=(const http_server&) = delete;

  /// Opens the listening socket and returns its port. Clients wait in its queue
  /// until `start`. The text of an error names address and reason.
  caf::expected<uint16_t> bind();

  /// Starts to serve. Call it once, after `bind` succeeded.
  void start();

  /// Stops accepting, closes idle connections and streams of events at once and
  /// completes requests until the deadline. Then closes the other connections
  /// and ends the threads.
  void stop(std::chrono::milliseconds deadline);

  /// The streams of events. Events may be published at any time.
  event_streams& events();

  /// `host:port` of the listening socket, with brackets around an IPv6 address.
  std::string address() const;

private:
  class impl;
  std::unique_ptr<impl> impl_;
};

} // namespace aiops::http
