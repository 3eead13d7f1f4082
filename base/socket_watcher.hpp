#pragma once

#include <memory>

namespace aiops {

/// A socket that a thread with other things to do looks after.
class watched_socket {
public:
  virtual ~watched_socket() = default;

  /// The descriptor; negative when there is nothing to look after any more.
  virtual int descriptor() const = 0;

  /// Sends what waits to be sent, as far as the socket takes it. Answers
  /// whether something is left. Called each time before the thread waits.
  virtual bool flush() = 0;

  virtual void read() = 0;
};

/// A thread that also waits for sockets: what arrives wakes no second thread.
class socket_watcher {
public:
  virtual ~socket_watcher() = default;

  /// @thread-safe
  virtual void watch(std::shared_ptr<watched_socket> socket) = 0;

  /// Makes the thread look at its sockets again. @thread-safe
  virtual void look_again() = 0;

  /// Whether the caller is that thread.
  virtual bool here() const = 0;
};

/// A scheduler whose thread also waits for sockets.
class watching_scheduler {
public:
  virtual ~watching_scheduler() = default;

  /// May outlive the scheduler, and then does nothing.
  virtual std::shared_ptr<socket_watcher> watcher() const = 0;
};

} // namespace aiops
