#include "http/server/listener.hpp"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace aiops::http {

namespace {

constexpr int backlog = 512;

struct address_list {
  addrinfo* first = nullptr;

  ~address_list() {
    if (first)
      freeaddrinfo(first);
  }
};

void enable(int fd, int level, int option) {
  int on = 1;
  setsockopt(fd, level, option, &on, sizeof(on));
}

/// Opens a listening socket. Returns -1 and sets `errno` on failure.
int listen_on(const addrinfo& where) {
  auto fd = ::socket(where.ai_family,
                     where.ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
                     where.ai_protocol);
  if (fd < 0)
    return -1;
  // Not SO_REUSEPORT: a second gateway would share the port unnoticed.
  enable(fd, SOL_SOCKET, SO_REUSEADDR);
  if (where.ai_family == AF_INET6)
    enable(fd, IPPROTO_IPV6, IPV6_V6ONLY);
  if (::bind(fd, where.ai_addr, where.ai_addrlen) == 0
      && ::listen(fd, backlog) == 0)
    return fd;
  auto reason = errno;
  ::close(fd);
  errno = reason;
  return -1;
}

peer_address to_peer(const sockaddr_storage& addr, socklen_t size) {
  char host[NI_MAXHOST] = "";
  char port[NI_MAXSERV] = "0";
  getnameinfo(reinterpret_cast<const sockaddr*>(&addr), size, host,
              sizeof(host), port, sizeof(port),
              NI_NUMERICHOST | NI_NUMERICSERV);
  return {host, std::atoi(port)};
}

} // namespace

listener::~listener() {
  if (fd_ >= 0)
    ::close(fd_);
}

caf::expected<uint16_t> listener::open(const std::string& host, uint16_t port) {
  auto fail = [&](const char* reason) {
    return make_error(ec::invalid_configuration,
                      "cannot listen on " + host + " port "
                        + std::to_string(port) + ": " + reason);
  };
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  address_list found;
  auto rc = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints,
                        &found.first);
  if (rc != 0)
    return fail(gai_strerror(rc));
  for (auto i = found.first; i && fd_ < 0; i = i->ai_next)
    fd_ = listen_on(*i);
  if (fd_ < 0)
    return fail(std::strerror(errno));
  sockaddr_storage bound{};
  socklen_t size = sizeof(bound);
  getsockname(fd_, reinterpret_cast<sockaddr*>(&bound), &size);
  return static_cast<uint16_t>(to_peer(bound, size).port);
}

listener::outcome listener::accept(int& fd, peer_address& peer) const {
  sockaddr_storage addr{};
  socklen_t size = sizeof(addr);
  // A connection may be aborted while it waits in the queue.
  do
    fd = ::accept4(fd_, reinterpret_cast<sockaddr*>(&addr), &size,
                   SOCK_CLOEXEC | SOCK_NONBLOCK);
  while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
  if (fd >= 0) {
    enable(fd, IPPROTO_TCP, TCP_NODELAY);
    peer = to_peer(addr, size);
    return outcome::accepted;
  }
  // EINVAL: `shut_down` was called.
  return errno == EAGAIN || errno == EINVAL ? outcome::none
                                            : outcome::exhausted;
}

void listener::shut_down() {
  if (fd_ >= 0)
    ::shutdown(fd_, SHUT_RDWR);
}

} // namespace aiops::http
