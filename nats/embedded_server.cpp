#include "nats/embedded_server.hpp"

#include "nats/options.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/rand.h>

#include <array>
#include <charconv>
#include <cstring>
#include <fstream>
#include <thread>

namespace aiops {

namespace {

using namespace std::chrono_literals;

/// How long a server of a gateway that just died may take to stop.
constexpr auto lock_patience = 10s;

std::string random_token() {
  std::array<unsigned char, 24> bytes{};
  if (RAND_bytes(bytes.data(), bytes.size()) != 1)
    return {};
  std::string result;
  char hex[3];
  for (auto byte : bytes) {
    std::snprintf(hex, sizeof(hex), "%02x", byte);
    result += hex;
  }
  return result;
}

/// Answers `port` if it is free on the loopback interface, else one that is;
/// 0 on failure.
uint16_t free_port(uint16_t port) {
  auto fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  auto on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  sockaddr_in addr{};
  addr.sin_family = AF_INET;
  addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  addr.sin_port = htons(port);
  auto size = static_cast<socklen_t>(sizeof(addr));
  auto generic = reinterpret_cast<sockaddr*>(&addr);
  auto bound = ::bind(fd, generic, size) == 0
               && ::getsockname(fd, generic, &size) == 0;
  ::close(fd);
  if (bound)
    return ntohs(addr.sin_port);
  return port == 0 ? 0 : free_port(0);
}

/// The port of the last run, so that tools which know it stay connected.
uint16_t last_port(const std::filesystem::path& state_dir) {
  uint16_t port = 0;
  if (auto last = read_connection_file(state_dir)) {
    auto& url = last->urls.front();
    auto start = url.data() + url.rfind(':') + 1;
    std::from_chars(start, url.data() + url.size(), port);
  }
  return port;
}

/// A string of the server's configuration language.
std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (auto c : text) {
    if (c == '"' || c == '\\')
      result += '\\';
    result += c;
  }
  return result + '"';
}

bool write_server_config(const std::filesystem::path& file,
                         const std::filesystem::path& dir, uint16_t port,
                         const std::string& token) {
  auto old_mask = ::umask(0077);
  std::ofstream out{file, std::ios::trunc};
  ::umask(old_mask);
  out << "# Written by aiops-gateway at every start; changes are lost.\n"
      << "listen: \"127.0.0.1:" << port << "\"\n"
      << "server_name: \"aiops-gateway-embedded\"\n"
      << "authorization { token: \"" << token << "\" }\n"
      << "max_payload: 8MB\n"
      << "jetstream { store_dir: " << quoted(dir.string()) << " }\n"
      << "log_file: " << quoted((dir / "nats-server.log").string()) << '\n'
      << "logfile_size_limit: 10MB\n";
  return static_cast<bool>(out.flush());
}

/// Debian keeps the server in a directory that is not in everybody's PATH.
std::string find_program(const std::string& program) {
  auto sbin = "/usr/sbin/" + program;
  return program.find('/') == std::string::npos
             && ::access(sbin.c_str(), X_OK) == 0
           ? sbin
           : program;
}

} // namespace

embedded_server::~embedded_server() {
  stop();
}

void embedded_server::stop() {
  process_.reset();
  if (lock_ >= 0)
    ::close(std::exchange(lock_, -1));
}

std::string embedded_server::lock(const std::filesystem::path& dir) {
  auto file = dir / "lock";
  // Without O_CLOEXEC: the server inherits it, and may outlive us by a moment.
  lock_ = ::open(file.c_str(), O_RDWR | O_CREAT, 0600);
  if (lock_ < 0)
    return "cannot write to " + dir.string() + ": " + std::strerror(errno)
           + "; choose another --state-dir";
  auto deadline = std::chrono::steady_clock::now() + lock_patience;
  while (::flock(lock_, LOCK_EX | LOCK_NB) != 0) {
    if (std::chrono::steady_clock::now() > deadline)
      return "another gateway uses " + dir.string()
             + "; stop it or choose another --state-dir";
    std::this_thread::sleep_for(50ms);
  }
  return {};
}

std::string embedded_server::start(const std::filesystem::path& state_dir,
                                   const std::string& program) {
  auto dir = state_dir / "nats";
  std::error_code error;
  std::filesystem::create_directories(dir, error);
  if (error)
    return "cannot make " + dir.string() + ": " + error.message()
           + "; choose another --state-dir";
  std::filesystem::permissions(dir, std::filesystem::perms::owner_all, error);
  if (auto problem = lock(dir); !problem.empty())
    return problem;
  auto port = free_port(last_port(state_dir));
  connection_.token = random_token();
  connection_.urls = {"nats://127.0.0.1:" + std::to_string(port)};
  if (port == 0 || connection_.token.empty())
    return "cannot find a free port or random bytes for the NATS server";
  auto config = dir / "nats-server.conf";
  if (!write_server_config(config, dir, port, connection_.token))
    return "cannot write " + config.string();
  if (auto problem = write_connection_file(state_dir, connection_);
      !problem.empty())
    return problem;
  process_ = std::make_unique<child_process>(child_process::config{
    "nats-server", {find_program(program), "--config", config.string()}, {}});
  return {};
}

} // namespace aiops
