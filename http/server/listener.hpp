#pragma once

#include "http/server/connection.hpp"

#include <memory>

namespace aiops::http {

/// The socket that clients connect to.
class listener {
public:
  listener() = default;

  ~listener();

  listener(const listener&) = delete;

  listener& operator=(const listener&) = delete;

  /// Binds to the first usable address of `host` (a name or a numeric address)
  /// and listens. Returns the port.
  caf::expected<uint16_t> open(const std::string& host, uint16_t port);

  enum class outcome {
    accepted,
    /// No client waits.
    none,
    /// This process or machine has no resources for a connection now. The
    /// client waits in the queue.
    exhausted,
  };

  /// Accepts the next connection.
  outcome accept(int& fd, peer_address& peer) const;

  /// Refuses clients from now on. @thread-safe
  void shut_down();

  int fd() const noexcept {
    return fd_;
  }

private:
  int fd_ = -1;
};

} // namespace aiops::http
