#include "host/sd_notify.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>

namespace aiops::host {

void notify_systemd(std::string_view state) {
  auto variable = std::getenv("NOTIFY_SOCKET");
  auto path = std::string_view{variable ? variable : ""};
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() < 2 || path.size() >= sizeof(address.sun_path))
    return;
  std::copy(path.begin(), path.end(), address.sun_path);
  // An abstract socket: its name begins with a zero byte, written as '@'.
  if (path.front() == '@')
    address.sun_path[0] = '\0';
  auto fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return;
  auto length = offsetof(sockaddr_un, sun_path) + path.size();
  // A failure cannot be reported: systemd then considers us not started.
  static_cast<void>(sendto(fd, state.data(), state.size(), MSG_NOSIGNAL,
                           reinterpret_cast<const sockaddr*>(&address),
                           static_cast<socklen_t>(length)));
  close(fd);
}

} // namespace aiops::host
