#pragma once

#include <condition_variable>
#include <csignal>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <sys/types.h>

namespace aiops::host {

/// A program that runs as long as this object exists: it is restarted with
/// back-off when it ends, stopped by the destructor, and killed by the kernel
/// when our process dies.
class child_process {
public:
  struct config {
    /// The name in our log.
    std::string name;
    /// Program and arguments; the program is a path or is looked up in PATH.
    std::vector<std::string> command;
    /// Where its output goes; empty: to our own output.
    std::filesystem::path log_file;
    /// Called before each start, on a thread of this object. Returns why the
    /// program cannot be started now; empty when it can.
    std::function<std::string()> prepare = {};
    /// The signal that the kernel sends it when our process dies.
    int death_signal = SIGTERM;
  };

  /// Starts the program. If it cannot be started, it is tried again as if it
  /// had ended.
  explicit child_process(config cfg);

  /// Calls `stop`.
  ~child_process();

  child_process(const child_process&) = delete;
  child_process& operator=(const child_process&) = delete;

  /// Asks the program to end (SIGTERM), forces it (SIGKILL) after a second,
  /// and waits until it is gone.
  void stop();

  /// Ends the program in the same way. It is then started again, as after any
  /// other end. @thread-safe
  void restart();

private:
  void run();

  /// Starts the program, waits for its end and describes how it ended.
  std::string run_once(std::unique_lock<std::mutex>& guard);

  /// Sends SIGTERM, and SIGKILL if that does not help within a second.
  void end(std::unique_lock<std::mutex>& guard);

  /// Waits for the child to end and describes how it ended.
  std::string wait();

  void signal(int number);

  config config_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  /// The child, -1 when there is none.
  pid_t pid_ = -1;
  std::thread thread_;
};

} // namespace aiops::host
