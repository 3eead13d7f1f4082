#include "nats/bus.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/live_system.hpp"
#include "tests/support/nats_server.hpp"

#include <doctest/doctest.h>

#include <cstdlib>

using namespace aiops;
using namespace aiops::nats;
using namespace aiops::test;

namespace {

/// A certificate authority, a certificate for `localhost` and one for a client,
/// in a separate directory.
struct certificates {
  certificates() {
    auto pattern
      = (std::filesystem::temp_directory_path() / "tls-XXXXXX").string();
    dir = ::mkdtemp(pattern.data());
    run("openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=ca "
        "-keyout ca.key -out ca.pem");
    for (auto name : {"localhost", "client"})
      issue(name);
  }

  ~certificates() {
    std::filesystem::remove_all(dir);
  }

  std::string file(const std::string& name) const {
    return (dir / name).string();
  }

  std::filesystem::path dir;

private:
  void run(const std::string& command) {
    auto line = "cd '" + dir.string() + "' && " + command + " 2>/dev/null";
    REQUIRE(std::system(line.c_str()) == 0);
  }

  void issue(const std::string& name) {
    run("openssl req -newkey rsa:2048 -nodes -subj /CN=" + name + " -keyout "
        + name + ".key -out " + name + ".csr");
    run("echo subjectAltName=DNS:" + name + " > " + name + ".ext");
    run("openssl x509 -req -days 1 -in " + name
        + ".csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile " + name
        + ".ext -out " + name + ".pem");
  }
};

struct client : live_system {
  explicit client(nats_config nats) {
    bus_config cfg;
    cfg.nats = std::move(nats);
    handle = spawn_detached(bus, std::move(cfg));
  }

  bus_status status() {
    return ask<bus_status>(handle, status_atom_v).cvalue();
  }

  /// Waits until the first attempt to connect has failed.
  std::string failure() {
    eventually([&] { return status().reason != "not connected yet"; });
    return status().reason;
  }

  bus_actor handle;
};

} // namespace

TEST_CASE("TLS with a private authority and a client certificate") {
  certificates certs;
  nats_server server{"tls { cert_file: \"" + certs.file("localhost.pem")
                     + "\", key_file: \"" + certs.file("localhost.key")
                     + "\", ca_file: \"" + certs.file("ca.pem")
                     + "\", verify: true }"};
  nats_config nats;
  nats.urls = {"tls://localhost:" + std::to_string(server.port())};
  nats.ca_file = certs.file("ca.pem");
  nats.cert_file = certs.file("client.pem");
  nats.key_file = certs.file("client.key");
  SUBCASE("connects") {
    client c{nats};
    CHECK(eventually([&] { return c.status().connected; }));
  }
  SUBCASE("needs the client's certificate") {
    nats.cert_file.clear();
    nats.key_file.clear();
    client c{nats};
    CHECK(c.failure() != "not connected yet");
    CHECK(!c.status().connected);
  }
  SUBCASE("verifies the server's authority") {
    nats.ca_file.clear();
    client c{nats};
    CHECK(c.failure().find("certificate") != std::string::npos);
  }
  SUBCASE("verifies the server's name") {
    nats.urls = {"tls://127.0.0.1:" + std::to_string(server.port())};
    client c{nats};
    CHECK(c.failure() != "not connected yet");
    CHECK(!c.status().connected);
  }
}
