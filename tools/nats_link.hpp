#pragma once

#include <CLI/CLI.hpp>
#include <nats/nats.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

/// @file
/// What the tools have in common: finding NATS, staying connected, stopping.

namespace aiops::tools {

/// The options by which a tool finds NATS.
struct broker_options {
  /// Servers; empty means the one that a gateway on this machine embeds.
  std::vector<std::string> urls;
  /// File that holds the token of the servers.
  std::filesystem::path token_file;
  /// State directory of the gateway that embeds the server.
  std::filesystem::path state_dir;

  void add_to(CLI::App& app);
};

/// Reads durations such as `500ms`, `30s`, `5m` or `1h` into milliseconds.
CLI::AsNumberWithUnit duration_units();

/// A connection to NATS that its owner makes again whenever it is closed. The
/// library's own reconnect is off: a gateway that starts again starts a server
/// at another port with another token.
class broker_link {
public:
  broker_link(broker_options options, std::string name);

  ~broker_link();

  broker_link(const broker_link&) = delete;

  broker_link& operator=(const broker_link&) = delete;

  /// Connects unless connected and tells whether there is a connection now. A
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

  broker_options options_;
  std::string name_;
  std::string last_failure_;
  natsConnection* connection_ = nullptr;
};

/// Catches SIGTERM and SIGINT. To be made before the first thread.
class stop_signal {
public:
  stop_signal();

  ~stop_signal();

  stop_signal(const stop_signal&) = delete;

  stop_signal& operator=(const stop_signal&) = delete;

  /// Becomes readable with the signal and stays so.
  int fd() const {
    return fd_;
  }

  /// Waits for the signal; false when it did not come within that time.
  bool wait(std::chrono::milliseconds timeout) const;

private:
  int fd_;
};

} // namespace aiops::tools
