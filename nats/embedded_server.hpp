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

/// Our own NATS server for a single machine: JetStream, loopback only,
/// protected by a token, data under `<state dir>/nats`. It lives and dies with
/// this object.
///
/// Each start of the server has the last port, or a new one and a new token if
/// another program has taken that. There is no start while the disk is full:
/// the server would come up without the streams that it cannot restore. A
/// server that can syncs each write before it acknowledges it. A server that
/// runs but does not store, which nats-server 2.9 never does again
/// after a full disk, is ended and started again.
class embedded_server {
public:
  /// Waits that long for a reason to give up; answers whether there is one.
  using wait_fun = std::function<bool(std::chrono::milliseconds)>;

  ~embedded_server();

  /// Starts the server. Answers an error text, empty when all is well; the
  /// server may need some more moments until it can be connected to. With a
  /// full disk it is started when there is room.
  /// @param wait may end the wait for a directory that another gateway uses;
  ///             without it that ends after some seconds.
  std::string start(const std::filesystem::path& state_dir,
                    const std::string& program, const wait_fun& wait = {});

  void stop();

  /// How to connect to it, at this moment. @thread-safe
  nats_config connection() const;

  /// Takes note of an attempt to store something, `failure` being empty when
  /// that succeeded. May start the server again, which takes a second at most.
  /// @thread-safe
  void probed(const std::string& failure);

  /// What a power failure may cost. @thread-safe
  durability_report durability() const;

  /// Why nothing is stored, and what to do; empty when all is well.
  /// @thread-safe
  std::string problem() const;

private:
  using clock = std::chrono::steady_clock;

  std::string lock(const wait_fun& wait);

  /// Chooses port and token, and writes them down; before each start. Answers
  /// why the server cannot start now.
  std::string prepare();

  std::string choose_address();

  std::string write_files() const;

  /// Whether the server is to be started again after a failed probe.
  bool judge(const std::string& failure);

  std::filesystem::path state_dir_;
  std::filesystem::path dir_;
  std::string program_;
  /// Held by us and by the server, so that two never share a directory.
  int lock_ = -1;
  std::unique_ptr<host::child_process> process_;
  /// Whether `prepare` was called for the first start. Used by one thread at a
  /// time: ours, then that of the process.
  bool prepared_ = false;
  /// Guards all below.
  mutable std::mutex mutex_;
  nats_config connection_;
  /// Of the program, at its last start.
  server_version version_;
  uint16_t port_ = 0;
  std::string problem_;
  /// Whether `problem_` is a full disk.
  bool disk_full_ = false;
  /// When nothing was stored for the first time since the last success or
  /// start.
  std::optional<clock::time_point> failing_since_;
  clock::duration patience_;
};

} // namespace aiops::nats
