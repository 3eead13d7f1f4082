#include "tests/support/nats_server.hpp"

#include "tests/support/eventually.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <random>
#include <stdexcept>

namespace aiops::test {

namespace {

sockaddr_in loopback(uint16_t port) {
  sockaddr_in result{};
  result.sin_family = AF_INET;
  result.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  result.sin_port = htons(port);
  return result;
}

/// A free port outside the range from which the kernel assigns ports: it must
/// still be free when the server starts again.
uint16_t free_port() {
  std::random_device random;
  std::uniform_int_distribution<int> any{10'000, 30'000};
  for (;;) {
    auto addr = loopback(static_cast<uint16_t>(any(random)));
    auto fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    auto bound = ::bind(fd, reinterpret_cast<sockaddr*>(&addr), sizeof(addr));
    ::close(fd);
    if (bound == 0)
      return ntohs(addr.sin_port);
  }
}

/// The environment may name another version; the default is that of Debian.
const char* program() {
  if (auto chosen = std::getenv("AIOPS_NATS_SERVER"))
    return chosen;
  return ::access("/usr/sbin/nats-server", X_OK) == 0 ? "/usr/sbin/nats-server"
                                                      : "nats-server";
}

} // namespace

nats_server::nats_server(std::string config) : port_(free_port()) {
  auto pattern
    = (std::filesystem::temp_directory_path() / "nats-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr)
    throw std::runtime_error("cannot make a temporary directory");
  directory_ = pattern;
  std::ofstream out{directory_ / "server.conf"};
  out << "listen: \"127.0.0.1:" << port_ << "\"\n" << config << '\n';
  out.close();
  start();
}

nats_server::~nats_server() {
  kill();
  std::error_code error;
  std::filesystem::remove_all(directory_, error);
}

std::string nats_server::url(std::string_view credentials) const {
  auto at = credentials.empty() ? "" : std::string{credentials} + '@';
  return "nats://" + at + "127.0.0.1:" + std::to_string(port_);
}

void nats_server::start() {
  auto config = (directory_ / "server.conf").string();
  auto log = (directory_ / "server.log").string();
  auto data = directory_.string();
  const char* argv[] = {program(),   "--config",    config.c_str(), "--log",
                        log.c_str(), "--store_dir", data.c_str(),   nullptr};
  pid_ = ::fork();
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::execvp(argv[0], const_cast<char* const*>(argv));
    ::_exit(127);
  }
  if (!eventually([this] { return answers(); }))
    throw std::runtime_error("the nats-server does not start, see " + log);
}

bool nats_server::answers() const {
  auto fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  auto addr = loopback(port_);
  char greeting[4] = {};
  auto good = ::connect(fd, reinterpret_cast<sockaddr*>(&addr), sizeof(addr))
                == 0
              && ::recv(fd, greeting, sizeof(greeting), 0) == 4
              && std::string_view{greeting, 4} == "INFO";
  ::close(fd);
  return good;
}

void nats_server::kill() {
  if (pid_ <= 0)
    return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void nats_server::pause() {
  ::kill(pid_, SIGSTOP);
  // It keeps running until it has received the signal.
  ::waitpid(pid_, nullptr, WUNTRACED);
}

void nats_server::resume() {
  ::kill(pid_, SIGCONT);
}

} // namespace aiops::test
