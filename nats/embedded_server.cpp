#include "nats/embedded_server.hpp"

#include "base/log.hpp"
#include "host/program_output.hpp"
#include "nats/options.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <fstream>
#include <thread>

namespace aiops::nats {

namespace {

using namespace std::chrono_literals;

const auto config_file = std::string{"nats-server.conf"};
const auto server_log = std::string{"nats-server.log"};

/// How long a server of a gateway that just died may take to stop.
constexpr auto lock_patience = 10s;

/// A server that stores nothing for this long although there is room is started
/// again. Doubles with each such start up to the second value, because reading
/// a large store takes time.
constexpr auto first_patience = 30s;
constexpr auto last_patience = 600s;

/// Deadline for the server to print its version. Without the version, writes
/// are not synced, so the deadline suits a busy machine.
constexpr auto version_patience = 5s;

/// Free space that the server needs: a twentieth of the file system, within
/// these bounds. Restoring the streams writes their indices.
constexpr uint64_t least_room = 1 << 20;
constexpr uint64_t most_room = 16 << 20;

/// Why the server cannot store in this directory; empty when it can.
std::string find_no_room(const std::filesystem::path& dir) {
  struct statvfs info {};
  if (::statvfs(dir.c_str(), &info) != 0)
    return "cannot use " + dir.string() + ": " + std::strerror(errno)
           + "; restart the gateway, or choose another --state-dir";
  auto total = uint64_t{info.f_blocks} * info.f_frsize;
  auto free = uint64_t{info.f_bavail} * info.f_frsize;
  auto needed = std::clamp(total / 20, least_room, most_room);
  if (free >= needed && (info.f_files == 0 || info.f_favail > 0))
    return {};
  auto mib = [](uint64_t x) { return std::to_string(x >> 20) + " MiB"; };
  return "disk full: " + mib(free) + " and " + std::to_string(info.f_favail)
         + " inodes are free for " + dir.string() + "; free " + mib(needed)
         + " or more, the NATS server then starts automatically";
}

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

/// Returns `port` if it is free on the loopback interface, otherwise another
/// free port; 0 on failure.
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

/// The port of the last start, so that clients can reconnect if it is free.
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

/// Returns an error text, empty on success.
std::string write_server_config(const std::filesystem::path& file,
                                const std::filesystem::path& dir, uint16_t port,
                                const std::string& token, bool sync_always) {
  auto old_mask = ::umask(0077);
  std::ofstream out{file, std::ios::trunc};
  ::umask(old_mask);
  // Without a limit the server uses three quarters of the free space, and a
  // stream that may grow beyond that is not restored. By default it syncs every
  // minute or two, long after it has acknowledged a write.
  out << "# Written by aiops-gateway at every start; changes are lost.\n"
      << "listen: \"127.0.0.1:" << port << "\"\n"
      << "server_name: \"aiops-gateway-embedded\"\n"
      << "authorization { token: \"" << token << "\" }\n"
      << "max_payload: 8MB\n"
      << "jetstream { store_dir: " << quoted(dir.string())
      << ", max_file_store: 1TB"
      << (sync_always ? ", sync_interval: always" : "") << " }\n"
      << "log_file: " << quoted((dir / server_log).string()) << '\n'
      << "logfile_size_limit: 10MB\n";
  if (out.flush())
    return {};
  return "cannot write " + file.string() + ": " + std::strerror(errno)
         + "; free some space, or choose another --state-dir";
}

/// Removes the old logs of the server.
void remove_old_logs(const std::filesystem::path& dir) {
  std::error_code error;
  for (auto& entry : std::filesystem::directory_iterator{dir, error})
    if (entry.path().filename().string().starts_with(server_log + '.'))
      std::filesystem::remove(entry.path(), error);
}

/// Debian installs the server in a directory that is not in every user's PATH.
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

nats_config embedded_server::connection() const {
  std::lock_guard guard{mutex_};
  return connection_;
}

durability_report embedded_server::durability() const {
  std::lock_guard guard{mutex_};
  return embedded_durability(version_);
}

std::string embedded_server::problem() const {
  std::lock_guard guard{mutex_};
  return problem_;
}

// -- starting -----------------------------------------------------------------

std::string embedded_server::lock(const wait_fun& wait) {
  auto file = dir_ / "lock";
  // Without O_CLOEXEC: the server inherits it and may end after the gateway.
  lock_ = ::open(file.c_str(), O_RDWR | O_CREAT, 0600);
  if (lock_ < 0)
    return "cannot write to " + dir_.string() + ": " + std::strerror(errno)
           + "; choose another --state-dir";
  auto interrupted = [&] {
    if (wait)
      return wait(50ms);
    std::this_thread::sleep_for(50ms);
    return false;
  };
  auto deadline = clock::now() + lock_patience;
  while (::flock(lock_, LOCK_EX | LOCK_NB) != 0)
    if (clock::now() > deadline || interrupted())
      return "another gateway uses " + dir_.string()
             + "; stop it or choose another --state-dir";
  return {};
}

std::string embedded_server::start(const std::filesystem::path& state_dir,
                                   const std::string& program,
                                   const wait_fun& wait) {
  state_dir_ = state_dir;
  dir_ = state_dir / "nats";
  program_ = find_program(program);
  patience_ = first_patience;
  std::error_code error;
  std::filesystem::create_directories(dir_, error);
  if (error)
    return "cannot make " + dir_.string() + ": " + error.message()
           + "; choose another --state-dir";
  std::filesystem::permissions(dir_, std::filesystem::perms::owner_all, error);
  if (auto problem = lock(wait); !problem.empty())
    return problem;
  auto problem = prepare();
  if (!problem.empty() && !disk_full_)
    return problem;
  prepared_ = problem.empty();
  host::child_process::config cfg;
  cfg.name = "nats-server";
  cfg.command = {program_, "--config", (dir_ / config_file).string()};
  cfg.prepare = [this] { return prepare(); };
  // It may hang and then ignores SIGTERM.
  cfg.death_signal = SIGKILL;
  process_ = std::make_unique<host::child_process>(std::move(cfg));
  return {};
}

std::string embedded_server::prepare() {
  if (std::exchange(prepared_, false))
    return {};
  // Before locking the mutex, because callers on other threads must not wait
  // for this. At each start, because the program may have been upgraded.
  auto said = host::program_output({program_, "--version"}, version_patience);
  std::lock_guard guard{mutex_};
  version_ = parse_server_version(said.value_or(""));
  failing_since_.reset();
  auto problem = find_no_room(dir_);
  disk_full_ = !problem.empty();
  if (auto other = choose_address(); !disk_full_)
    problem = other.empty() ? write_files() : std::move(other);
  if (!problem.empty())
    problem_ = problem;
  return problem;
}

std::string embedded_server::choose_address() {
  port_ = free_port(last_port(state_dir_));
  auto url = "nats://127.0.0.1:" + std::to_string(port_);
  // Clients may have sent the old token to the program that uses the old port.
  if (connection_.urls != std::vector{url})
    connection_.token = random_token();
  connection_.urls = {url};
  return port_ == 0 || connection_.token.empty()
           ? "cannot find a free port or random bytes for the NATS server"
           : "";
}

std::string embedded_server::write_files() const {
  remove_old_logs(dir_);
  auto problem = write_server_config(dir_ / config_file, dir_, port_,
                                     connection_.token,
                                     can_sync_always(version_));
  return problem.empty() ? write_connection_file(state_dir_, connection_)
                         : problem;
}

// -- watching -----------------------------------------------------------------

void embedded_server::probed(const std::string& failure) {
  if (!judge(failure))
    return;
  log::warning("nats-server", "is started again: it stores nothing",
               {{"reason", failure}});
  process_->restart();
}

bool embedded_server::judge(const std::string& failure) {
  std::lock_guard guard{mutex_};
  if (failure.empty()) {
    if (!problem_.empty())
      log::info("nats-server", "stores again");
    problem_.clear();
    disk_full_ = false;
    failing_since_.reset();
    patience_ = first_patience;
    return false;
  }
  auto now = clock::now();
  if (!failing_since_)
    failing_since_ = now;
  auto no_room = find_no_room(dir_);
  if (!no_room.empty()) {
    if (!std::exchange(disk_full_, true))
      log::error("nats-server", "stores nothing", {{"reason", no_room}});
    problem_ = std::move(no_room);
    return false;
  }
  // There is room again after a full disk: the server does not detect it.
  if (std::exchange(disk_full_, false))
    return true;
  if (now - *failing_since_ < patience_)
    return false;
  problem_ = "the embedded NATS server stores nothing: " + failure;
  patience_ = std::min<clock::duration>(patience_ * 2, last_patience);
  return true;
}

} // namespace aiops::nats
