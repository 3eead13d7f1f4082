#include "host/child_process.hpp"

#include "base/log.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstring>

namespace aiops::host {

namespace {

using namespace std::chrono_literals;

constexpr auto first_backoff = 100ms;
constexpr auto last_backoff = 5'000ms;

/// A program that ran for this long is restarted without back-off.
constexpr auto stable_after = 10s;

/// Exit status of a child that could not execute the program.
constexpr int cannot_execute = 127;

/// Executes the program in the child. Only async-signal-safe calls are allowed
/// between fork and exec.
[[noreturn]] void execute(char* const* argv, const char* log_file, pid_t parent,
                          int death_signal) {
  // Ctrl-C in a terminal must not reach the child: we stop children in order.
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, death_signal);
  if (getppid() != parent)
    _exit(0);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  if (*log_file != '\0') {
    auto fd = ::open(log_file, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (fd >= 0) {
      dup2(fd, STDOUT_FILENO);
      dup2(fd, STDERR_FILENO);
    }
  }
  execvp(argv[0], argv);
  _exit(cannot_execute);
}

} // namespace

child_process::child_process(config cfg)
  : config_(std::move(cfg)), thread_([this] { run(); }) {
  // nop
}

child_process::~child_process() {
  stop();
}

void child_process::stop() {
  {
    std::unique_lock guard{mutex_};
    stopping_ = true;
    changed_.notify_all();
    end(guard);
  }
  if (thread_.joinable())
    thread_.join();
}

void child_process::restart() {
  std::unique_lock guard{mutex_};
  end(guard);
}

void child_process::end(std::unique_lock<std::mutex>& guard) {
  auto child = pid_;
  signal(SIGTERM);
  if (!changed_.wait_for(guard, 1s, [&] { return pid_ != child || pid_ < 0; }))
    signal(SIGKILL);
}

void child_process::signal(int number) {
  if (pid_ > 0)
    ::kill(pid_, number);
}

// For the kernel the parent dies when the thread that forked ends. So one
// thread starts the program each time, and lives as long as the program.
void child_process::run() {
  auto backoff = std::chrono::milliseconds{first_backoff};
  std::string last_problem;
  std::unique_lock guard{mutex_};
  while (!stopping_) {
    std::string problem;
    if (config_.prepare) {
      guard.unlock();
      problem = config_.prepare();
      guard.lock();
      if (stopping_)
        break;
    }
    auto started = std::chrono::steady_clock::now();
    if (problem.empty()) {
      auto ending = run_once(guard);
      if (stopping_)
        break;
      if (std::chrono::steady_clock::now() - started > stable_after)
        backoff = first_backoff;
      log::error(config_.name, "ended unexpectedly, will be started again",
                 {{"ending", ending},
                  {"program", config_.command.front()},
                  {"wait_ms", backoff.count()}});
    } else if (problem != last_problem) {
      log::error(config_.name, "cannot be started, will be tried again",
                 {{"reason", problem}});
    }
    last_problem = std::move(problem);
    changed_.wait_for(guard, backoff, [this] { return stopping_; });
    backoff = std::min<std::chrono::milliseconds>(backoff * 2, last_backoff);
  }
}

std::string child_process::run_once(std::unique_lock<std::mutex>& guard) {
  std::vector<char*> argv;
  for (auto& arg : config_.command)
    argv.push_back(arg.data());
  argv.push_back(nullptr);
  auto log_file = config_.log_file.string();
  auto parent = getpid();
  pid_ = fork();
  if (pid_ == 0)
    execute(argv.data(), log_file.c_str(), parent, config_.death_signal);
  if (pid_ < 0)
    return "cannot fork";
  log::info(config_.name, "started", {{"pid", pid_}});
  guard.unlock();
  auto ending = wait();
  guard.lock();
  return ending;
}

std::string child_process::wait() {
  // First without reaping: as long as another thread may signal the child, its
  // process id must not be reused.
  siginfo_t info;
  while (waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT) != 0
         && errno == EINTR)
    ; // again
  std::lock_guard guard{mutex_};
  auto status = 0;
  waitpid(pid_, &status, 0);
  pid_ = -1;
  changed_.notify_all();
  if (WIFSIGNALED(status))
    return std::string{"killed by "} + strsignal(WTERMSIG(status));
  if (WEXITSTATUS(status) == cannot_execute)
    return "the program cannot be executed; is it installed?";
  return "exit status " + std::to_string(WEXITSTATUS(status));
}

} // namespace aiops::host
