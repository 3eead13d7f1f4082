#include "nats/bus.hpp"
#include "nats/embedded_server.hpp"
#include "nats/kv_store.hpp"
#include "nats/options.hpp"
#include "nats/storage_watch.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/live_system.hpp"

#include <doctest/doctest.h>

#include <arpa/inet.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>

using namespace aiops;
using namespace aiops::nats;
using namespace aiops::test;

namespace {

struct state_dir {
  state_dir() {
    auto pattern
      = (std::filesystem::temp_directory_path() / "state-XXXXXX").string();
    path = ::mkdtemp(pattern.data());
  }

  ~state_dir() {
    std::filesystem::remove_all(path);
  }

  std::filesystem::path path;
};

bus_config quick(nats_config nats) {
  bus_config cfg;
  cfg.nats = std::move(nats);
  cfg.last_backoff = std::chrono::milliseconds{100};
  return cfg;
}

struct client : live_system {
  explicit client(nats_config nats)
    : handle(spawn_detached(bus, quick(std::move(nats)))) {
    // nop
  }

  bus_status status() {
    return ask<bus_status>(handle, status_atom_v).cvalue();
  }

  /// Connects to the current address of a server.
  explicit client(const embedded_server& server)
    : handle(spawn_detached(bus, following(server))) {
    // nop
  }

  static bus_config following(const embedded_server& server) {
    auto cfg = quick({});
    cfg.locate = [&server] { return server.connection(); };
    return cfg;
  }

  bus_actor handle;
};

/// A separate file system of 24 MiB; absent without the permission to mount it.
struct small_disk : state_dir {
  small_disk()
    : mounted(::mount("tmpfs", path.c_str(), "tmpfs", 0, "size=24m") == 0) {
    if (!mounted)
      MESSAGE("skipped: only root may mount a small file system");
  }

  ~small_disk() {
    if (mounted)
      ::umount2(path.c_str(), MNT_DETACH);
  }

  void fill() const {
    std::ofstream out{path / "filler", std::ios::binary};
    std::string block(4096, 'x');
    while (out.write(block.data(), 4096) && out.flush())
      ; // more
  }

  void make_room() const {
    std::filesystem::remove(path / "filler");
  }

  bool mounted;
};

uint16_t port_of(const embedded_server& server) {
  auto url = server.connection().urls.front();
  return static_cast<uint16_t>(std::stoi(url.substr(url.rfind(':') + 1)));
}

/// Listens on a port of the loopback interface, if it is free.
struct listening_socket {
  explicit listening_socket(uint16_t port)
    : fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    auto on = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    sockaddr_in addr{};
    addr.sin_family = AF_INET;
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    addr.sin_port = htons(port);
    good = ::bind(fd, reinterpret_cast<sockaddr*>(&addr), sizeof(addr)) == 0
           && ::listen(fd, 1) == 0;
  }

  ~listening_socket() {
    ::close(fd);
  }

  int fd;
  bool good;
};

/// The process that listens to the server's configuration in that directory.
pid_t server_process(const std::filesystem::path& dir) {
  for (auto& entry : std::filesystem::directory_iterator{"/proc"}) {
    std::ifstream in{entry.path() / "cmdline"};
    std::string text{std::istreambuf_iterator<char>{in}, {}};
    if (text.find(dir.string()) != std::string::npos)
      return std::atoi(entry.path().filename().c_str());
  }
  return -1;
}

} // namespace

TEST_CASE("the embedded server is private and starts again when it dies") {
  state_dir dir;
  embedded_server server;
  REQUIRE(server.start(dir.path, "nats-server") == "");
  client c{server.connection()};
  REQUIRE(eventually([&] { return c.status().connected; }));
  // A client needs the token, and only the owner can read it.
  auto stranger = server.connection();
  stranger.token.clear();
  client s{stranger};
  CHECK(eventually([&] {
    return s.status().reason.find("uthorization") != std::string::npos;
  }));
  struct stat info {};
  REQUIRE(::stat(connection_file(dir.path).c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
  auto known = read_connection_file(dir.path);
  REQUIRE(known);
  CHECK(known->token == server.connection().token);
  CHECK(known->urls == server.connection().urls);
  auto first = server_process(dir.path);
  REQUIRE(first > 0);
  ::kill(first, SIGKILL);
  CHECK(eventually([&] { return c.status().connects == 2; }));
  CHECK(c.status().connected);
  server.stop();
  CHECK(eventually([&] { return !c.status().connected; }));
  CHECK(server_process(dir.path) == -1);
}

TEST_CASE("each write is synced where the server can do that") {
  state_dir dir;
  auto program = [&](std::string version) {
    auto file = dir.path / "program";
    std::ofstream{file} << "#!/bin/sh\n"
                        << "if [ \"$1\" = --version ]; then echo " << version
                        << "; else exec sleep 600; fi\n";
    std::filesystem::permissions(file, std::filesystem::perms::owner_all);
    return file.string();
  };
  auto config = [&] {
    std::ifstream in{dir.path / "nats" / "nats-server.conf"};
    return std::string{std::istreambuf_iterator<char>{in}, {}};
  };
  for (auto [version, synced] : {std::pair{"nats-server: v2.10.0", true},
                                 {"nats-server: v2.9.10", false},
                                 {"something else", false}}) {
    embedded_server server;
    REQUIRE(server.start(dir.path, program(version)) == "");
    CHECK_MESSAGE(server.durability().synced == synced, version);
    CHECK_MESSAGE((config().find("sync_interval: always") != std::string::npos)
                    == synced,
                  version);
  }
}

TEST_CASE("the embedded server takes its configuration") {
  state_dir dir;
  auto chosen = std::getenv("AIOPS_NATS_SERVER");
  embedded_server server;
  REQUIRE(server.start(dir.path, chosen ? chosen : "nats-server") == "");
  client c{server};
  CHECK(eventually([&] { return c.status().connected; }));
}

TEST_CASE("the embedded server keeps its port over a restart") {
  state_dir dir;
  std::vector<std::string> urls;
  {
    embedded_server server;
    REQUIRE(server.start(dir.path, "nats-server") == "");
    urls = server.connection().urls;
  }
  embedded_server again;
  REQUIRE(again.start(dir.path, "nats-server") == "");
  CHECK(again.connection().urls == urls);
}

TEST_CASE("a state directory that cannot be used is named") {
  embedded_server server;
  auto problem = server.start("/proc/nowhere", "nats-server");
  CHECK(problem.find("/proc/nowhere") != std::string::npos);
  CHECK(problem.find("--state-dir") != std::string::npos);
}

TEST_CASE("a server whose port was taken has another one") {
  state_dir dir;
  embedded_server server;
  REQUIRE(server.start(dir.path, "nats-server") == "");
  client c{server};
  REQUIRE(eventually([&] { return c.status().connected; }));
  auto before = server.connection();
  auto port = port_of(server);
  std::unique_ptr<listening_socket> thief;
  // The server may take the port first; then it is killed again.
  auto steal = [&] {
    if (auto process = server_process(dir.path); process > 0)
      ::kill(process, SIGKILL);
    thief = std::make_unique<listening_socket>(port);
    return thief->good;
  };
  REQUIRE(eventually(steal));
  CHECK(eventually([&] { return port_of(server) != port; }));
  CHECK(eventually([&] {
    auto to = ':' + std::to_string(port_of(server));
    return c.status().connected && c.status().server.ends_with(to);
  }));
  auto after = server.connection();
  CHECK(after.urls != before.urls);
  CHECK(after.token != before.token);
  CHECK(read_connection_file(dir.path)->urls == after.urls);
  CHECK(read_connection_file(dir.path)->token == after.token);
}

TEST_CASE("the wait for a state directory can be ended") {
  state_dir dir;
  embedded_server first;
  REQUIRE(first.start(dir.path, "nats-server") == "");
  pid_t owner = -1;
  REQUIRE(eventually([&] { return (owner = server_process(dir.path)) > 0; }));
  auto calls = 0;
  {
    embedded_server second;
    auto problem = second.start(dir.path, "nats-server",
                                [&](auto) { return ++calls == 3; });
    CHECK(problem.find("another gateway uses") != std::string::npos);
  }
  CHECK(calls == 3);
  CHECK(server_process(dir.path) == owner);
}

TEST_CASE("after a full disk the server stores again and has lost nothing") {
  small_disk disk;
  if (!disk.mounted)
    return;
  embedded_server server;
  REQUIRE(server.start(disk.path, "nats-server") == "");
  client c{server};
  REQUIRE(eventually([&] { return c.status().connected; }));
  kv_store_config kv;
  kv.request_timeout = std::chrono::seconds{1};
  kv_store_actor store = c.spawn_detached(kv_store, c.handle, kv);
  auto put = [&](std::string key, std::string value) {
    return bool{c.ask<uint64_t>(
      store, put_atom_v,
      kv_write{"b", std::move(key), std::move(value), std::nullopt})};
  };
  // The reservation is larger than the free space. The stream must be restored
  // nevertheless.
  auto made = c.ask<bus_reply>(
    c.handle, request_atom_v,
    bus_request{"$JS.API.STREAM.CREATE.KV_b",
                R"({"name":"KV_b","subjects":["$KV.b.>"],"storage":"file",)"
                R"("retention":"limits","max_msgs_per_subject":1,)"
                R"("max_bytes":20000000,"num_replicas":1})",
                {},
                std::chrono::seconds{5}});
  REQUIRE(made);
  REQUIRE(made->payload.find("error") == std::string::npos);
  REQUIRE(put("before", "kept"));
  disk.fill();
  storage_watch_config watch;
  watch.request_timeout = kv.request_timeout * 2;
  watch.interval = watch.retry_interval = std::chrono::milliseconds{100};
  watch.report = [&](const std::string& failure) { server.probed(failure); };
  // Until writes fail.
  std::string block(100'000, 'x');
  REQUIRE(eventually([&] { return !put("filler", block); }));
  c.spawn_detached(storage_watch, store, watch);
  REQUIRE(
    eventually([&] { return server.problem().starts_with("disk full"); }));
  CHECK(server.problem().find(disk.path.string()) != std::string::npos);
  disk.make_room();
  REQUIRE(eventually([&] { return server.problem().empty(); }));
  CHECK(eventually([&] { return put("after", "stored"); }));
  auto kept = c.ask<kv_entry>(store, get_atom_v, std::string{"b"},
                              std::string{"before"});
  REQUIRE(kept);
  CHECK(kept->value == "kept");
}

TEST_CASE("on a full disk the server waits for room") {
  small_disk disk;
  if (!disk.mounted)
    return;
  disk.fill();
  embedded_server server;
  REQUIRE(server.start(disk.path, "nats-server") == "");
  CHECK(server.problem().starts_with("disk full"));
  CHECK(server_process(disk.path) == -1);
  client c{server};
  disk.make_room();
  CHECK(eventually([&] { return c.status().connected; }));
  server.probed("");
  CHECK(server.problem().empty());
}
