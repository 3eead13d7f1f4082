#include <nlohmann/json.hpp>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <iterator>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

/// @file
/// Answers composite aggregations over generated workloads from memory, like
/// OpenSearch. A cycle begins with a request without `after`. Its number is in
/// the `after_key`, so that all pages of a cycle have the counts of that cycle,
/// even with two clients at the same time.
///
/// `GET /cycles` returns how many cycles have begun. At the start, the id of
/// the first cluster of the first group is printed to standard output.

namespace {

using json = nlohmann::json;

/// Clusters of the same number of workloads each.
struct group {
  size_t clusters = 0;
  size_t workloads = 0;
};

struct options {
  std::vector<group> groups;
  /// Each count is the number of the cycle.
  bool stamp = false;
  std::chrono::milliseconds page_delay{0};
};

uint64_t mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

/// Digits of base 16, or of the alphabet that Kubernetes uses in names of pods.
std::string digits(uint64_t x, size_t size,
                   std::string_view alphabet = "0123456789abcdef") {
  std::string result;
  for (; result.size() < size; x /= alphabet.size())
    result += alphabet[x % alphabet.size()];
  return result;
}

std::string word(uint64_t x, size_t size) {
  return digits(x, size, "bcdfghjklmnpqrstvwxz2456789");
}

// -- workloads ----------------------------------------------------------------

struct workload {
  /// Index of the cluster, and of the namespace in its cluster.
  uint32_t cluster = 0;
  uint32_t namespace_index = 0;
  /// Where the deployment's name ends.
  uint32_t name_end = 0;
};

/// All workloads, in the order of a composite aggregation.
class catalog {
public:
  explicit catalog(const std::vector<group>& groups) {
    std::vector<std::pair<std::string, size_t>> clusters;
    for (size_t g = 0; g < groups.size(); ++g)
      for (size_t i = 0; i < groups[g].clusters; ++i) {
        auto x = mix(g << 32 | i);
        auto y = mix(x);
        clusters.emplace_back(digits(x, 8) + '-' + digits(x >> 32, 4) + "-4"
                                + digits(y, 3) + "-a" + digits(y >> 12, 3) + '-'
                                + digits(y >> 24, 12),
                              groups[g].workloads);
      }
    first_id_ = clusters.at(0).first;
    std::sort(clusters.begin(), clusters.end());
    for (auto& [id, workloads] : clusters)
      add_cluster(id, workloads);
  }

  size_t size() const {
    return rows_.size();
  }

  /// The first cluster of the first group.
  const std::string& first_id() const {
    return first_id_;
  }

  std::string_view cluster(size_t index) const {
    return cluster_ids_[rows_[index].cluster];
  }

  std::string_view namespace_name(size_t index) const {
    return namespaces_[rows_[index].namespace_index];
  }

  std::string_view deployment(size_t index) const {
    auto begin = index == 0 ? 0 : rows_[index - 1].name_end;
    return std::string_view{names_}.substr(begin,
                                           rows_[index].name_end - begin);
  }

  /// The first workload after the given one.
  size_t after(std::string_view cluster_id, std::string_view ns,
               std::string_view name) const {
    size_t first = 0;
    auto last = size();
    auto wanted = std::tuple{cluster_id, ns, name};
    while (first < last) {
      auto middle = first + (last - first) / 2;
      auto here = std::tuple{cluster(middle), namespace_name(middle),
                             deployment(middle)};
      if (here <= wanted)
        first = middle + 1;
      else
        last = middle;
    }
    return first;
  }

private:
  void add_cluster(const std::string& id, size_t workloads) {
    constexpr size_t per_namespace = 50;
    auto cluster = static_cast<uint32_t>(cluster_ids_.size());
    auto seed = mix(std::hash<std::string>{}(id));
    cluster_ids_.push_back(id);
    std::set<std::string> namespaces;
    for (size_t i = 0; namespaces.size() * per_namespace < workloads; ++i)
      namespaces.insert("tenant-" + word(mix(seed + i), 8) + "-prod");
    for (auto& ns : namespaces) {
      auto wanted = std::min(workloads, per_namespace);
      workloads -= wanted;
      std::set<std::string> names;
      for (size_t i = 0; names.size() < wanted; ++i) {
        auto x = mix(mix(seed ^ std::hash<std::string>{}(ns)) + i);
        names.insert("checkout-" + word(x, 7) + "-backend-" + word(mix(x), 5));
      }
      for (auto& name : names) {
        names_ += name;
        rows_.push_back({cluster, static_cast<uint32_t>(namespaces_.size()),
                         static_cast<uint32_t>(names_.size())});
      }
      namespaces_.push_back(ns);
    }
  }

  std::string first_id_;
  std::vector<std::string> cluster_ids_;
  std::vector<std::string> namespaces_;
  std::string names_;
  std::vector<workload> rows_;
};

// -- answers ------------------------------------------------------------------

class server {
public:
  explicit server(options how)
    : options_(std::move(how)), all_(options_.groups) {
    // nop
  }

  const catalog& all() const {
    return all_;
  }

  /// Returns status line and body of the answer to one request.
  std::pair<std::string_view, std::string> answer(std::string_view target,
                                                  std::string_view body);

private:
  std::pair<std::string_view, std::string> search(const json& request);

  uint64_t count(size_t index, uint64_t cycle) const {
    if (options_.stamp)
      return cycle;
    auto x = mix(index);
    // Each cycle adds a few messages, except for one workload in four.
    return x % 100'000 + cycle * (x >> 32) % 4;
  }

  const options options_;
  const catalog all_;
  std::atomic<uint64_t> cycles_ = 0;
};

std::pair<std::string_view, std::string> server::answer(std::string_view target,
                                                        std::string_view body) {
  auto path = target.substr(0, target.find('?'));
  if (path == "/cycles")
    return {"200 OK", std::to_string(cycles_)};
  if (!path.ends_with("/_search"))
    return {"404 Not Found", "{}"};
  try {
    return search(json::parse(body));
  } catch (const std::exception& problem) {
    return {"400 Bad Request", json{{"error", problem.what()}}.dump()};
  }
}

std::pair<std::string_view, std::string> server::search(const json& request) {
  auto& aggregations = request.contains("aggs") ? request.at("aggs")
                                                : request.at("aggregations");
  auto& composite = aggregations.at("bucket").at("composite");
  size_t size = composite.value("size", 10);
  // The text before each value of a key. The sources are in the order cluster,
  // namespace, deployment.
  std::vector<std::string> names;
  std::vector<std::string> labels;
  for (auto& source : composite.at("sources")) {
    names.push_back(source.begin().key());
    labels.push_back((labels.empty() ? R"({"key":{")" : R"(",")") + names.back()
                     + R"(":")");
  }
  if (names.size() != 3)
    throw std::runtime_error{"three sources are expected"};
  size_t first = 0;
  uint64_t cycle = 0;
  if (auto i = composite.find("after"); i != composite.end()) {
    auto name = i->at(names[2]).get<std::string>();
    auto mark = name.find('~');
    cycle = std::stoull(name.substr(mark + 1));
    first = all_.after(i->at(names[0]).get_ref<const std::string&>(),
                       i->at(names[1]).get_ref<const std::string&>(),
                       name.substr(0, mark));
  } else {
    cycle = ++cycles_;
  }
  std::this_thread::sleep_for(options_.page_delay);
  auto last = first + std::min(size, all_.size() - first);
  std::string out
    = R"({"took":1,"timed_out":false,"_shards":{"total":1,"successful":1,)"
      R"("skipped":0,"failed":0},"aggregations":{"bucket":{)";
  out.reserve(size * 200 + 1'000);
  // Like OpenSearch, a full page has the key of the next one even at the end.
  if (last - first == size && size > 0)
    out += R"("after_key":)"
           + json{{names[0], all_.cluster(last - 1)},
                  {names[1], all_.namespace_name(last - 1)},
                  {names[2], std::string{all_.deployment(last - 1)} + '~'
                               + std::to_string(cycle)}}
               .dump()
           + ',';
  out += R"("buckets":[)";
  char digits_of_count[20];
  for (auto i = first; i < last; ++i) {
    if (i > first)
      out += ',';
    out += labels[0];
    out += all_.cluster(i);
    out += labels[1];
    out += all_.namespace_name(i);
    out += labels[2];
    out += all_.deployment(i);
    out += R"("},"doc_count":)";
    auto end = std::to_chars(std::begin(digits_of_count),
                             std::end(digits_of_count), count(i, cycle))
                 .ptr;
    out.append(digits_of_count, end);
    out += '}';
  }
  out += "]}}}";
  return {"200 OK", std::move(out)};
}

// -- connections --------------------------------------------------------------

bool send_all(int fd, std::string_view data) {
  while (!data.empty()) {
    auto sent = ::send(fd, data.data(), data.size(), MSG_NOSIGNAL);
    if (sent <= 0)
      return false;
    data.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

/// Length of the body according to a header.
size_t content_length(std::string_view header) {
  constexpr std::string_view label = "\r\ncontent-length:";
  auto i = std::search(header.begin(), header.end(), label.begin(), label.end(),
                       [](char x, char y) {
                         return (x >= 'A' && x <= 'Z' ? x - 'A' + 'a' : x) == y;
                       });
  if (i == header.end())
    return 0;
  return std::strtoull(&*i + label.size(), nullptr, 10);
}

/// Serves requests, one after another, until the client disconnects.
void serve(server& to, int fd) {
  std::string in;
  char buffer[16 * 1024];
  for (;;) {
    auto end = in.find("\r\n\r\n");
    auto length = end == std::string::npos ? 0 : content_length(in) + end + 4;
    if (end == std::string::npos || in.size() < length) {
      auto got = ::recv(fd, buffer, sizeof(buffer), 0);
      if (got <= 0)
        break;
      in.append(buffer, static_cast<size_t>(got));
      continue;
    }
    auto target = std::string_view{in}.substr(0, in.find("\r\n"));
    target.remove_prefix(std::min(target.size(), target.find(' ') + 1));
    target = target.substr(0, target.find(' '));
    auto body = std::string_view{in}.substr(end + 4, length - end - 4);
    auto [status, text] = to.answer(target, body);
    in.erase(0, length);
    std::string header = "HTTP/1.1 " + std::string{status}
                         + "\r\nContent-Type: application/json\r\n"
                           "Content-Length: "
                         + std::to_string(text.size()) + "\r\n\r\n";
    if (!send_all(fd, header) || !send_all(fd, text))
      break;
  }
  ::close(fd);
}

std::optional<options> parse(int argc, char** argv) {
  options result;
  for (auto i = 1; i < argc; ++i) {
    std::string_view arg = argv[i];
    if (arg == "--stamp") {
      result.stamp = true;
    } else if (arg == "--page-delay" && i + 1 < argc) {
      result.page_delay = std::chrono::milliseconds{std::atoi(argv[++i])};
    } else {
      group x;
      char* end = nullptr;
      x.clusters = std::strtoull(argv[i], &end, 10);
      if (*end == 'x')
        x.workloads = std::strtoull(end + 1, &end, 10);
      if (*end != '\0' || x.clusters == 0 || x.workloads == 0)
        return std::nullopt;
      result.groups.push_back(x);
    }
  }
  if (result.groups.empty())
    return std::nullopt;
  return result;
}

} // namespace

int main(int argc, char** argv) {
  auto how = parse(argc, argv);
  if (!how) {
    std::cerr
      << "usage: bench_composite_server [--stamp] [--page-delay MS] "
         "CLUSTERSxWORKLOADS...\n\nWORKLOADS is the number per cluster.\n";
    return 2;
  }
  server all{*how};
  auto fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  auto on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto generic = reinterpret_cast<sockaddr*>(&address);
  if (fd < 0 || ::bind(fd, generic, size) != 0 || ::listen(fd, 64) != 0
      || ::getsockname(fd, generic, &size) != 0) {
    std::cerr << "cannot listen: " << std::strerror(errno) << '\n';
    return 1;
  }
  std::cout << all.all().first_id() << std::endl;
  std::cerr << all.all().size() << " workloads, listening on http://127.0.0.1:"
            << ntohs(address.sin_port) << std::endl;
  for (;;) {
    auto client = ::accept4(fd, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0)
      continue;
    std::thread{[&all, client] { serve(all, client); }}.detach();
  }
}
