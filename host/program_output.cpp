#include "host/program_output.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <thread>

namespace aiops::host {

namespace {

using clock = std::chrono::steady_clock;

constexpr size_t max_output = 64 << 10;

/// Starts the program with its standard output going to `out`; -1 on failure.
pid_t spawn(std::vector<std::string>& command, int out) {
  std::vector<char*> argv;
  for (auto& arg : command)
    argv.push_back(arg.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
  // Our own mask blocks SIGTERM and SIGINT, which the program has to receive.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  pid_t pid = -1;
  auto failed = posix_spawnp(&pid, argv[0], &files, &attributes, argv.data(),
                             environ)
                != 0;
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  return failed ? -1 : pid;
}

/// Reads the whole output; nothing when it does not end before the deadline.
std::optional<std::string> read_all(int fd, clock::time_point deadline) {
  std::string result;
  std::array<char, 4096> buffer;
  while (result.size() < max_output) {
    auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline
                                                             - clock::now());
    pollfd waiting{fd, POLLIN, 0};
    auto ready = left.count() > 0
                   ? ::poll(&waiting, 1, static_cast<int>(left.count()))
                   : 0;
    if (ready < 0 && errno == EINTR)
      continue;
    if (ready <= 0)
      return std::nullopt;
    auto got = ::read(fd, buffer.data(), buffer.size());
    if (got < 0)
      return std::nullopt;
    if (got == 0)
      break;
    result.append(buffer.data(), static_cast<size_t>(got));
  }
  return result;
}

/// Waits for the end of the program, which is killed at the deadline. Returns
/// whether it succeeded.
bool reap(pid_t pid, clock::time_point deadline) {
  auto status = 0;
  while (::waitpid(pid, &status, WNOHANG) == 0) {
    if (clock::now() >= deadline) {
      ::kill(pid, SIGKILL);
      ::waitpid(pid, &status, 0);
      break;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds{1});
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

} // namespace

std::optional<std::string> program_output(std::vector<std::string> command,
                                          std::chrono::milliseconds timeout) {
  auto deadline = clock::now() + timeout;
  std::array<int, 2> ends;
  if (::pipe2(ends.data(), O_CLOEXEC) != 0)
    return std::nullopt;
  auto pid = spawn(command, ends[1]);
  ::close(ends[1]);
  std::optional<std::string> result;
  if (pid > 0) {
    result = read_all(ends[0], deadline);
    if (!reap(pid, result ? deadline : clock::now()))
      result.reset();
  }
  ::close(ends[0]);
  return result;
}

} // namespace aiops::host
