#pragma once

#include "config/config.hpp"
#include "host/child_process.hpp"
#include "nats/durability.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace aiops::nats {

/// The NATS server of a gateway on a single machine: JetStream, loopback only,
/// protected by a token, data in `<state dir>/nats`. It runs as long as this
/// object exists.
///
/// The server starts with its previous port, or with a new port and a new token
/// if another program uses that port. It is not started while the disk is full:
/// it would run without the streams that it cannot restore. If its version
/// supports it, the server syncs each write before it acknowledges it. A server
/// that runs but does not store is stopped and started again: nats-server 2.9
/// stores nothing after a full disk, even when there is room again.
class embedded_server {
public:
  /// Waits this long for a request to stop; returns whether there was one.
  using wait_fun = std::function<bool(std::chrono::milliseconds)>;

  ~embedded_server();

  /// Starts the server. Returns an error text, empty on success; the server may
  /// need some time until it accepts connections. With a full disk it is
  /// started when there is room.
  /// @param wait can end the wait for a directory that another gateway uses;
  ///             without it the wait ends after some seconds.
  std::string start(const std::filesystem::path& state_dir,
                    const std::string& program, const wait_fun& wait = {});

  void stop();

  /// How to connect to it now. @thread-safe
  nats_config connection() const;

  /// Receives the result of an attempt to store a value: an error text, empty
  /// on success. May start the server again, which takes a second at most.
  /// @thread-safe
  void probed(const std::string& failure);

  /// What may be lost in a power failure. @thread-safe
  durability_report durability() const;

  /// Why nothing is stored, and the remedy; empty if there is no problem.
  /// @thread-safe
  std::string problem() const;

private:
  using clock = std::chrono::steady_clock;

  std::string lock(const wait_fun& wait);

  /// Chooses port and token and writes the configuration; called before each
  /// start. Returns why the server cannot start now.
  std::string prepare();

  std::string choose_address();

  std::string write_files() const;

  /// Whether the server is to be started again after a failed probe.
  bool judge(const std::string& failure);

  std::filesystem::path state_dir_;
  std::filesystem::path dir_;
  std::string program_;
  /// Held by the gateway and by the server, so that no two share a directory.
  int lock_ = -1;
  std::unique_ptr<host::child_process> process_;
  /// Whether `prepare` was called for the first start. Used by one thread at a
  /// time: the caller's, then the one of the process.
  bool prepared_ = false;
  /// Protects all members below.
  mutable std::mutex mutex_;
  nats_config connection_;
  /// The version of the program at its last start.
  server_version version_;
  uint16_t port_ = 0;
  std::string problem_;
  /// Whether `problem_` is a full disk.
  bool disk_full_ = false;
  /// The first failure to store since the last success or start.
  std::optional<clock::time_point> failing_since_;
  clock::duration patience_;
};

} // namespace aiops::nats
