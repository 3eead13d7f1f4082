#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include <sys/types.h>

namespace aiops::test {

/// A real nats-server with JetStream on a free port of the loopback interface,
/// its data in a directory of its own. Gone with this object.
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

  /// Starts it again: same port, same data.
  void start();

  /// Ends it as a crash would (SIGKILL).
  void kill();

  /// Lets it stand still (SIGSTOP) and go on (SIGCONT).
  void pause();
  void resume();

private:
  bool answers() const;

  std::filesystem::path directory_;
  uint16_t port_ = 0;
  pid_t pid_ = -1;
};

} // namespace aiops::test
