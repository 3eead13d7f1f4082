#pragma once

#include "base/socket_watcher.hpp"

#include <nats/nats.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>

namespace aiops::nats {

/// Lets a watcher read and write the socket of a connection of the NATS
/// library, instead of the library's own threads. Messages then wait in
/// subscriptions without a callback.
class socket_link : public watched_socket,
                    public std::enable_shared_from_this<socket_link> {
public:
  explicit socket_link(std::shared_ptr<socket_watcher> watcher);

  /// Sets the options of a connection. The link must exist until the attempt to
  /// connect ends; with a connection it keeps itself.
  natsStatus apply(natsOptions* opts);

  /// Calls `f` on the watcher's thread after each read; an empty `f` ends this.
  /// @thread-safe
  void on_read(std::function<void()> f);

  int descriptor() const override;

  bool flush() override;

  void read() override;

private:
  natsStatus attach(natsConnection* conn, int descriptor);

  void detach();

  std::shared_ptr<socket_watcher> watcher_;
  /// Held while the connection is used, so that its end waits for this.
  /// Recursive because the connection may end on the thread that uses it.
  std::recursive_mutex mutex_;
  natsConnection* conn_ = nullptr;
  std::function<void()> on_read_;
  std::atomic<int> descriptor_{-1};
  std::atomic<bool> reading_{false};
  std::atomic<bool> writing_{false};
  /// Since when the peer has received nothing of the pending data.
  std::chrono::steady_clock::time_point stuck_since_;
  bool stuck_ = false;
};

} // namespace aiops::nats
