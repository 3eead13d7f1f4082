#pragma once

#include <CLI/CLI.hpp>
#include <nats/nats.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

/// @file
/// What the tools share: the connection to NATS, and the signal to stop.

namespace aiops::tools {

/// The options that locate NATS.
struct nats_link_options {
  /// Servers; empty: the embedded server of a gateway on this machine.
  std::vector<std::string> urls;
  /// File that holds the token of the servers.
  std::filesystem::path token_file;
  /// State directory of the gateway that embeds the server.
  std::filesystem::path state_dir;

  void add_to(CLI::App& app);
};

/// Reads durations such as `500ms`, `30s`, `5m` or `1h` into milliseconds.
CLI::AsNumberWithUnit duration_units();

/// A connection to NATS that its owner makes again when it is closed. The
/// reconnect of the library is off, because a restarted gateway starts its
/// server at another port with another token.
class nats_link {
public:
  nats_link(nats_link_options options, std::string name);

  ~nats_link();

  nats_link(const nats_link&) = delete;

  nats_link& operator=(const nats_link&) = delete;

  /// Connects if necessary, and returns whether there is a connection. A
  /// failure is logged when its reason changes.
  bool connect();

  bool connected() const;

  void close();

  /// The connection; null before the first `connect`.
  natsConnection* get() const {
    return connection_;
  }

private:
  bool fail(std::string reason);

  nats_link_options options_;
  std::string name_;
  std::string last_failure_;
  natsConnection* connection_ = nullptr;
};

/// Catches SIGTERM and SIGINT. To be created before the first thread.
class stop_signal {
public:
  stop_signal();

  ~stop_signal();

  stop_signal(const stop_signal&) = delete;

  stop_signal& operator=(const stop_signal&) = delete;

  /// Is readable from the signal on.
  int fd() const {
    return fd_;
  }

  /// Waits for the signal; false when it does not arrive in this time.
  bool wait(std::chrono::milliseconds timeout) const;

private:
  int fd_;
};

} // namespace aiops::tools
