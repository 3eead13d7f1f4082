#include "tests/http/raw_client.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace aiops::test {

namespace {

constexpr std::chrono::seconds receive_timeout{10};

void parse_headers(std::string_view head, raw_response& result) {
  if (head.size() > 12)
    result.status = std::atoi(std::string{head.substr(9, 3)}.c_str());
  for (auto i = head.find("\r\n"); i != std::string_view::npos;
       i = head.find("\r\n", i + 2)) {
    auto line = head.substr(i + 2, head.find("\r\n", i + 2) - i - 2);
    auto colon = line.find(": ");
    if (colon == std::string_view::npos)
      continue;
    std::string name{line.substr(0, colon)};
    std::transform(name.begin(), name.end(), name.begin(), ::tolower);
    result.headers[name] = line.substr(colon + 2);
  }
}

} // namespace

std::string raw_response::header(const std::string& name) const {
  auto i = headers.find(name);
  return i == headers.end() ? std::string{} : i->second;
}

raw_client::raw_client(uint16_t port, int receive_buffer)
  : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  if (receive_buffer > 0)
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer,
                 sizeof(receive_buffer));
  sockaddr_in addr{};
  addr.sin_family = AF_INET;
  addr.sin_port = htons(port);
  addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ::connect(fd_, reinterpret_cast<sockaddr*>(&addr), sizeof(addr));
}

raw_client::~raw_client() {
  if (fd_ >= 0)
    ::close(fd_);
}

raw_client::raw_client(raw_client&& other) noexcept
  : fd_(std::exchange(other.fd_, -1)), buffer_(std::move(other.buffer_)) {
  // nop
}

bool raw_client::send(std::string_view bytes) {
  while (!bytes.empty()) {
    auto n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0)
      return false;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

void raw_client::finish() {
  ::shutdown(fd_, SHUT_WR);
}

bool raw_client::fill(std::chrono::milliseconds limit) {
  pollfd waiting{fd_, POLLIN, 0};
  if (::poll(&waiting, 1, static_cast<int>(limit.count())) != 1)
    return false;
  char buf[4096];
  auto n = ::recv(fd_, buf, sizeof(buf), 0);
  if (n <= 0)
    return false;
  buffer_.append(buf, static_cast<size_t>(n));
  return true;
}

raw_response raw_client::receive(bool head) {
  raw_response result;
  size_t end = 0;
  while ((end = buffer_.find("\r\n\r\n")) == std::string::npos)
    if (!fill(receive_timeout))
      return {};
  parse_headers(std::string_view{buffer_}.substr(0, end), result);
  buffer_.erase(0, end + 4);
  if (head || result.status == 100 || result.status == 204)
    return result;
  auto length = std::stoul("0" + result.header("content-length"));
  while (buffer_.size() < length)
    if (!fill(receive_timeout))
      return {};
  result.body = buffer_.substr(0, length);
  buffer_.erase(0, length);
  return result;
}

raw_response raw_client::ask(std::string_view bytes) {
  send(bytes);
  return receive();
}

std::string raw_client::receive_block() {
  size_t end = 0;
  size_t scanned = 0;
  while ((end = buffer_.find("\n\n", scanned)) == std::string::npos) {
    scanned = buffer_.empty() ? 0 : buffer_.size() - 1;
    if (!fill(receive_timeout))
      return {};
  }
  auto result = buffer_.substr(0, end);
  buffer_.erase(0, end + 2);
  return result;
}

std::string raw_client::receive_all() {
  while (fill(receive_timeout))
    continue;
  return std::exchange(buffer_, {});
}

bool raw_client::closed_within(std::chrono::milliseconds limit) {
  auto until = std::chrono::steady_clock::now() + limit;
  while (fill(limit))
    continue;
  char byte;
  return buffer_.empty() && std::chrono::steady_clock::now() < until
         && ::recv(fd_, &byte, 1, MSG_DONTWAIT | MSG_PEEK) <= 0;
}

} // namespace aiops::test
