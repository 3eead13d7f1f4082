#pragma once

#include "actors/config.hpp"
#include "host/child_process.hpp"

#include <memory>
#include <string>

namespace aiops {

/// Our own NATS server for a single machine: JetStream, loopback only,
/// protected by a token, data under `<state dir>/nats`. It lives and dies with
/// this object.
class embedded_server {
public:
  ~embedded_server();

  /// Starts the server. Answers an error text, empty when all is well; the
  /// server may need some more moments until it can be connected to.
  std::string start(const std::filesystem::path& state_dir,
                    const std::string& program);

  void stop();

  /// How to connect to it.
  const nats_config& connection() const noexcept {
    return connection_;
  }

private:
  std::string lock(const std::filesystem::path& dir);

  nats_config connection_;
  /// Held by us and by the server, so that two never share a directory.
  int lock_ = -1;
  std::unique_ptr<child_process> process_;
};

} // namespace aiops
