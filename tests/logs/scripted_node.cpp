#include "tests/logs/scripted_node.hpp"

#include <nlohmann/json.hpp>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <system_error>

namespace aiops::test {

namespace {

using nlohmann::json;

/// Reads one request; false when the client has disconnected.
bool receive(int fd, std::string& rest, node_request& request) {
  auto more = [&] {
    char buffer[65536];
    auto size = ::recv(fd, buffer, sizeof buffer, 0);
    if (size > 0)
      rest.append(buffer, static_cast<size_t>(size));
    return size > 0;
  };
  auto end = std::string::npos;
  while ((end = rest.find("\r\n\r\n")) == std::string::npos)
    if (!more())
      return false;
  request.head = rest.substr(0, end + 4);
  auto field = request.head.find("Content-Length: ");
  auto length = field == std::string::npos
                  ? size_t{0}
                  : std::stoul(request.head.substr(field + 16));
  while (rest.size() < end + 4 + length)
    if (!more())
      return false;
  request.body = rest.substr(end + 4, length);
  rest.erase(0, end + 4 + length);
  return true;
}

workload workload_of(const json& key) {
  return {key.at("cluster_id"), key.at("namespace_name"), key.at("deployment")};
}

} // namespace

workload_counts some_workloads(size_t count) {
  workload_counts result;
  for (size_t i = 0; i < count; ++i) {
    auto number = std::to_string(i);
    auto ns = i % 7 == 0 ? "kube-system" : "ns.with.dots-" + number;
    auto deployment = i % 5 == 0 ? "日本\"\\ä-" + number
                      : i % 5 == 1
                        ? number + std::string(253 - number.size(), 'x')
                        : "web-" + number;
    result[{"cluster-" + std::to_string(i / 50), ns, deployment}]
      = static_cast<int64_t>(i) + 1;
  }
  return result;
}

workload_counts flatten(const breakdown& counts) {
  workload_counts result;
  for (auto& [id, cluster] : counts.clusters)
    for (auto row : cluster->value())
      result[{id, std::string{row.namespace_name}, std::string{row.deployment}}]
        = row.log_count;
  return result;
}

std::string composite_page(const workload_counts& counts,
                           const std::string& request_body) {
  auto composite
    = json::parse(request_body).at("aggs").at("bucket").at("composite");
  auto size = composite.at("size").get<size_t>();
  auto i = composite.contains("after")
             ? counts.upper_bound(workload_of(composite["after"]))
             : counts.begin();
  auto buckets = json::array();
  for (; i != counts.end() && buckets.size() < size; ++i)
    buckets.push_back({{"key",
                        {{"cluster_id", i->first.cluster_id},
                         {"namespace_name", i->first.namespace_name},
                         {"deployment", i->first.deployment}}},
                       {"doc_count", i->second}});
  json bucket{{"buckets", buckets}};
  if (!buckets.empty())
    bucket["after_key"] = buckets.back()["key"];
  return json{
    {"timed_out", false},
    {"_shards",
     {{"total", 3}, {"successful", 3}, {"skipped", 0}, {"failed", 0}}},
    {"aggregations", {{"bucket", std::move(bucket)}}}}
    .dump();
}

std::string http_response(int status, const std::string& body,
                          const std::string& headers) {
  return "HTTP/1.1 " + std::to_string(status)
         + " X\r\nContent-Type: application/json\r\nContent-Length: "
         + std::to_string(body.size()) + "\r\n" + headers + "\r\n" + body;
}

// -- exchange -----------------------------------------------------------------

bool scripted_node::exchange::send(const std::string& bytes) {
  size_t sent = 0;
  while (sent < bytes.size()) {
    auto size = ::send(fd_, bytes.data() + sent, bytes.size() - sent,
                       MSG_NOSIGNAL);
    if (size <= 0)
      return false;
    sent += static_cast<size_t>(size);
  }
  return true;
}

void scripted_node::exchange::hang() {
  char byte = 0;
  while (::recv(fd_, &byte, 1, 0) > 0) {
    // nop
  }
}

// -- scripted_node ------------------------------------------------------------

scripted_node::scripted_node(workload_counts counts)
  : counts_(std::move(counts)) {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* raw = reinterpret_cast<sockaddr*>(&address);
  if (::bind(listener_, raw, size) != 0 || ::listen(listener_, 16) != 0
      || ::getsockname(listener_, raw, &size) != 0)
    throw std::system_error{errno, std::generic_category(), "scripted node"};
  port_ = ntohs(address.sin_port);
  thread_ = std::thread{[this] { run(); }};
}

scripted_node::~scripted_node() {
  {
    std::lock_guard guard{mutex_};
    stopping_ = true;
    ::shutdown(listener_, SHUT_RDWR);
    if (current_ >= 0)
      ::shutdown(current_, SHUT_RDWR);
  }
  thread_.join();
  ::close(listener_);
}

std::string scripted_node::url() const {
  return "http://127.0.0.1:" + std::to_string(port_);
}

void scripted_node::next(script what, size_t first, size_t times) {
  std::lock_guard guard{mutex_};
  for (size_t i = 0; i < times; ++i)
    scripts_[requests_.size() + first + i] = what;
}

void scripted_node::next_response(std::string response, size_t first,
                                  size_t times) {
  auto what = [response = std::move(response)](const node_request&,
                                               exchange& client) {
    return client.send(response);
  };
  next(what, first, times);
}

std::vector<node_request> scripted_node::requests() const {
  std::lock_guard guard{mutex_};
  return requests_;
}

size_t scripted_node::connections() const {
  std::lock_guard guard{mutex_};
  return connections_;
}

void scripted_node::run() {
  for (;;) {
    auto fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    {
      std::lock_guard guard{mutex_};
      if (stopping_ || fd < 0) {
        if (fd >= 0)
          ::close(fd);
        return;
      }
      current_ = fd;
      ++connections_;
    }
    serve(fd);
    std::lock_guard guard{mutex_};
    current_ = -1;
    ::close(fd);
  }
}

void scripted_node::serve(int fd) {
  std::string rest;
  node_request request;
  auto open = true;
  while (open && receive(fd, rest, request)) {
    script what;
    {
      std::lock_guard guard{mutex_};
      auto found = scripts_.find(requests_.size());
      if (found != scripts_.end())
        what = found->second;
      requests_.push_back(request);
    }
    exchange client{fd};
    open = what ? what(request, client)
                : client.send(
                  http_response(200, composite_page(counts_, request.body)));
  }
}

} // namespace aiops::test
