#include "host/sd_notify.hpp"

#include <doctest/doctest.h>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

/// A service manager's socket.
struct manager {
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

  /// Listens on an address as NOTIFY_SOCKET writes it.
  explicit manager(std::string name) {
    setenv("NOTIFY_SOCKET", name.c_str(), 1);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (name.front() == '@')
      name.front() = '\0';
    std::memcpy(address.sun_path, name.data(), name.size());
    auto length = offsetof(sockaddr_un, sun_path) + name.size();
    REQUIRE(bind(fd, reinterpret_cast<sockaddr*>(&address),
                 static_cast<socklen_t>(length))
            == 0);
  }

  ~manager() {
    close(fd);
    unsetenv("NOTIFY_SOCKET");
  }

  std::string receive() const {
    std::array<char, 256> buffer{};
    auto size = recv(fd, buffer.data(), buffer.size(), 0);
    return {buffer.data(), size < 0 ? 0 : static_cast<size_t>(size)};
  }
};

} // namespace

TEST_CASE("the state arrives on an abstract socket") {
  manager aut{"@aiops-notify-" + std::to_string(getpid())};
  aiops::host::notify_systemd("READY=1\nSTATUS=fine");
  CHECK(aut.receive() == "READY=1\nSTATUS=fine");
}

TEST_CASE("the state arrives on a socket in the file system") {
  std::string dir = "/tmp/notify-XXXXXX";
  REQUIRE(mkdtemp(dir.data()));
  {
    manager aut{dir + "/socket"};
    aiops::host::notify_systemd("STOPPING=1");
    CHECK(aut.receive() == "STOPPING=1");
  }
  unlink((dir + "/socket").c_str());
  rmdir(dir.c_str());
}

TEST_CASE("nothing happens without a manager") {
  unsetenv("NOTIFY_SOCKET");
  aiops::host::notify_systemd("READY=1");
  setenv("NOTIFY_SOCKET", "/nowhere/socket", 1);
  aiops::host::notify_systemd("READY=1");
  setenv("NOTIFY_SOCKET", std::string(200, 'x').c_str(), 1);
  aiops::host::notify_systemd("READY=1");
  unsetenv("NOTIFY_SOCKET");
}
