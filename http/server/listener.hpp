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

  /// Binds to the first address that `host` (a name or a numeric address)
  /// stands for and takes connections. Answers the port.
  caf::expected<uint16_t> open(const std::string& host, uint16_t port);

  /// Takes the next connection.
  enum class outcome {
    /// Here it is.
    taken,
    /// There is none.
    none,
    /// This process or machine cannot take one now; the client waits.
    exhausted,
  };

  outcome accept(int& fd, peer_address& peer) const;

  /// Refuses clients from now on. @thread-safe
  void shut();

  int fd() const noexcept {
    return fd_;
  }

private:
  int fd_ = -1;
};

} // namespace aiops::http
