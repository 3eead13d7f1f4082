#pragma once

#include "http/context.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

namespace aiops::http {

class event_streams;

/// The REST front end: accepts connections, guards against what is malformed,
/// slow or too large, and hands whole requests to the route table.
///
/// A connection that waits (for a request, or for its client to take an
/// answer) costs no thread: all of them sit in one epoll set that the workers
/// share. Clients that follow the events are handed over to a thread of their
/// own, and do not count as connections any more.
class http_server {
public:
  http_server(http_config config, http_context context);

  /// Stops at once.
  ~http_server();

  http_server(const http_server&) = delete;

  http_server& operator=(const http_server&) = delete;

  /// Opens the listening socket and answers its port. Clients queue up in it
  /// until `start`. The error has a text that names address and reason.
  caf::expected<uint16_t> bind();

  /// Starts to serve; call it once, after `bind` succeeded.
  void start();

  /// Stops accepting, closes idle connections and streams of events at once and
  /// gives requests in hand until the deadline; then closes what is left and
  /// ends the threads.
  void stop(std::chrono::milliseconds deadline);

  /// The streams of events. They take events at any time.
  event_streams& events();

  /// `host:port` as bound, with brackets around an IPv6 address.
  std::string address() const;

private:
  class impl;
  std::unique_ptr<impl> impl_;
};

} // namespace aiops::http
