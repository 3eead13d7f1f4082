#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include <sys/types.h>

namespace aiops::test {

/// A nats-server with JetStream on a free port of the loopback interface.
/// Server and data are removed with this object.
class nats_server {
public:
  /// Starts it and waits until it answers. `config` is added to its
  /// configuration file.
  explicit nats_server(std::string config = "jetstream: enabled");

  ~nats_server();

  nats_server(const nats_server&) = delete;
  nats_server& operator=(const nats_server&) = delete;

  uint16_t port() const noexcept {
    return port_;
  }

  std::string url(std::string_view credentials = "") const;

  const std::filesystem::path& directory() const noexcept {
    return directory_;
  }

  /// Starts it again with the same port and data.
  void start();

  /// Ends it like a crash (SIGKILL).
  void kill();

  /// Stops it (SIGSTOP) and resumes it (SIGCONT).
  void pause();
  void resume();

private:
  bool answers() const;

  std::filesystem::path directory_;
  uint16_t port_ = 0;
  pid_t pid_ = -1;
};

} // namespace aiops::test
