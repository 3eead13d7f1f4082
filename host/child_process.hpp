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

/// A program that runs as long as we do: started again with back-off when it
/// ends, stopped with this object, and killed by the kernel should we die.
class child_process {
public:
  struct config {
    /// As it stands in our log.
    std::string name;
    /// Program and arguments; the program is a path or is looked up in PATH.
    std::vector<std::string> command;
    /// Where its output goes; ours when empty.
    std::filesystem::path log_file;
    /// Called before each start, on a thread of this object. Answers why the
    /// program cannot be started now, empty when it can.
    std::function<std::string()> prepare = {};
    /// What the kernel sends it should we die.
    int death_signal = SIGTERM;
  };

  /// Starts the program. A program that cannot be started is tried again like
  /// one that ended.
  explicit child_process(config cfg);

  /// Calls `stop`.
  ~child_process();

  child_process(const child_process&) = delete;
  child_process& operator=(const child_process&) = delete;

  /// Asks the program to end (SIGTERM), forces it (SIGKILL) after a second,
  /// and waits until it is gone.
  void stop();

  /// Ends the program likewise; it is then started again as if it had ended by
  /// itself. @thread-safe
  void restart();

private:
  void run();

  /// Starts the program and waits for its end. Answers what happened, in words.
  std::string run_once(std::unique_lock<std::mutex>& guard);

  /// Sends SIGTERM, and SIGKILL if that does not help within a second.
  void end(std::unique_lock<std::mutex>& guard);

  /// Waits for the child to end and answers how, in words.
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
