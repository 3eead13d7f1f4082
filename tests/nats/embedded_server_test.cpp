#include "nats/bus.hpp"
#include "nats/embedded_server.hpp"
#include "nats/options.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/live_system.hpp"

#include <doctest/doctest.h>

#include <sys/stat.h>

#include <csignal>
#include <cstdlib>
#include <fstream>

using namespace aiops;
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

  bus_actor handle;
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
  // Only who knows the token gets in, and only the owner can read it.
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
