#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <iostream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/// @file
/// Many clients that follow the progress of a training, in one thread: they
/// receive events, or poll each second. Meanwhile the training reports
/// progress, with a number in each report. Prints the results as one line of
/// JSON.

namespace {

using clock_type = std::chrono::steady_clock;
using std::chrono::milliseconds;

struct options {
  std::string host;
  uint16_t port = 0;
  bool follow = false;
  size_t clients = 0;
  std::chrono::seconds length{0};
  /// Interval of the reports; 0: the next one follows the answer.
  std::chrono::nanoseconds report_interval{0};
};

/// The number after `key`; 0 when there is none.
uint64_t number_after(std::string_view text, std::string_view key) {
  uint64_t result = 0;
  if (auto at = text.find(key); at != std::string_view::npos)
    std::from_chars(text.data() + at + key.size(), text.data() + text.size(),
                    result);
  return result;
}

/// A connection whose requests fit into the socket's buffer.
class link {
public:
  link(const options& how) {
    fd_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(how.port);
    auto on = 1;
    if (::inet_pton(AF_INET, how.host.c_str(), &address.sin_addr) != 1
        || ::connect(fd_, reinterpret_cast<sockaddr*>(&address),
                     sizeof(address))
             != 0
        || ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0
        || ::fcntl(fd_, F_SETFL, O_NONBLOCK) != 0)
      throw std::runtime_error{"cannot connect"};
  }

  int fd() const {
    return fd_;
  }

  void send(std::string_view text) {
    if (::send(fd_, text.data(), text.size(), MSG_NOSIGNAL)
        != static_cast<ssize_t>(text.size()))
      throw std::runtime_error{"cannot send"};
  }

  void request(std::string_view method, std::string_view path,
               std::string_view body = {}) {
    std::string text{method};
    text.append(" ").append(path).append(" HTTP/1.1\r\nHost: bench\r\n");
    if (!body.empty())
      text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
    send(text.append("\r\n").append(body));
  }

  /// Reads the bytes that have arrived.
  void receive() {
    char buffer[65536];
    for (;;) {
      auto n = ::recv(fd_, buffer, sizeof(buffer), 0);
      if (n < 0 && errno == EAGAIN)
        return;
      if (n <= 0)
        throw std::runtime_error{"a connection was closed"};
      in_.append(buffer, static_cast<size_t>(n));
    }
  }

  /// Takes the head of an answer; false when it is incomplete.
  bool take_head() {
    auto end = in_.find("\r\n\r\n");
    if (end == std::string::npos)
      return false;
    if (!in_.starts_with("HTTP/1.1 200"))
      throw std::runtime_error{in_};
    body_size_ = number_after({in_.data(), end}, "Content-Length: ");
    in_.erase(0, end + 4);
    return true;
  }

  /// Takes a whole answer; false when it is incomplete.
  bool take_answer() {
    auto end = in_.find("\r\n\r\n");
    if (end == std::string::npos
        || in_.size()
             < end + 4 + number_after({in_.data(), end}, "Content-Length: "))
      return false;
    take_head();
    in_.erase(0, body_size_);
    return true;
  }

  /// Calls f for each whole line.
  template <class F>
  void take_lines(F&& f) {
    size_t begin = 0;
    for (auto end = in_.find('\n'); end != std::string::npos;
         end = in_.find('\n', begin)) {
      f(std::string_view{in_}.substr(begin, end - begin));
      begin = end + 1;
    }
    in_.erase(0, begin);
  }

private:
  int fd_;
  std::string in_;
  size_t body_size_ = 0;
};

class bench {
public:
  explicit bench(options how) : how_(std::move(how)), reporter_(how_) {
    epoll_ = ::epoll_create1(0);
    watch(reporter_, how_.clients);
    for (size_t i = 0; i < how_.clients; ++i) {
      clients_.push_back({link{how_}});
      watch(clients_.back().connection, i);
      if (how_.follow)
        clients_.back().connection.request("GET",
                                           "/api/v1/events?topics=training");
    }
  }

  void run() {
    while (how_.follow
           && std::any_of(clients_.begin(), clients_.end(),
                          [](auto& x) { return !x.ready; }))
      turn(milliseconds{100});
    // Events of earlier reports.
    for (auto end = clock_type::now() + milliseconds{500};
         clock_type::now() < end;)
      turn(milliseconds{100});
    begin_ = clock_type::now();
    next_report_ = begin_;
    for (size_t i = 0; i < clients_.size(); ++i)
      clients_[i].next_request = begin_
                                 + milliseconds{1000} * i / clients_.size();
    auto end = begin_ + how_.length;
    while (clock_type::now() < end)
      turn(act(clock_type::now()));
    taken_ = clock_type::now() - begin_;
    // Wait for the answers and events that are still missing.
    auto last_call = clock_type::now() + milliseconds{2000};
    while (clock_type::now() < last_call
           && (waiting_ || (how_.follow && received_ < expected())))
      turn(milliseconds{10});
  }

  void print() {
    std::sort(latencies_.begin(), latencies_.end());
    auto percentile = [this](size_t percent) {
      return latencies_.empty()
               ? 0.f
               : latencies_[std::min(latencies_.size() - 1,
                                     latencies_.size() * percent / 100)];
    };
    std::cout << "{\"updates\":" << stored_ << ",\"seconds\":" << taken_.count()
              << ",\"received\":" << received_
              << ",\"expected\":" << (how_.follow ? expected() : received_)
              << ",\"p50\":" << percentile(50) << ",\"p99\":" << percentile(99)
              << ",\"max\":" << percentile(100) << "}\n";
  }

private:
  struct client {
    link connection;
    bool ready = false;
    bool waiting = false;
    clock_type::time_point next_request = {};
  };

  uint64_t expected() const {
    return stored_ * clients_.size();
  }

  void watch(const link& x, size_t index) const {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = index;
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, x.fd(), &event);
  }

  /// Sends what is due; returns the time until more is due.
  std::chrono::nanoseconds act(clock_type::time_point now) {
    auto next = now + milliseconds{100};
    if (!waiting_ && next_report_ <= now)
      report(now);
    if (!waiting_)
      next = std::min(next, next_report_);
    if (!how_.follow)
      for (auto& x : clients_) {
        if (!x.waiting && x.next_request <= now) {
          x.connection.request("GET", "/ModelTraining/model/status");
          x.waiting = true;
          x.next_request += milliseconds{1000};
        }
        if (!x.waiting)
          next = std::min(next, x.next_request);
      }
    return std::max(next - now, clock_type::duration{0});
  }

  void report(clock_type::time_point now) {
    sent_.push_back(now);
    reporter_.request(
      "PUT", "/ModelTraining/model/statistics",
      "{\"percentageCompleted\":50,\"timeElapsed\":"
        + std::to_string(std::chrono::duration_cast<std::chrono::seconds>(
                           now.time_since_epoch())
                           .count())
        + ",\"currentEpoch\":" + std::to_string(sent_.size()) + "}");
    waiting_ = true;
    next_report_ = std::max(now, next_report_ + how_.report_interval);
  }

  void turn(std::chrono::nanoseconds timeout) {
    // Rounded up, to avoid a busy loop.
    auto wait = std::chrono::ceil<milliseconds>(timeout).count();
    epoll_event events[256];
    auto n = ::epoll_wait(epoll_, events, 256, static_cast<int>(wait));
    for (int i = 0; i < n; ++i) {
      auto index = events[i].data.u64;
      if (index == how_.clients)
        on_stored();
      else
        on_readable(clients_[index]);
    }
  }

  void on_stored() {
    reporter_.receive();
    if (!reporter_.take_answer())
      return;
    waiting_ = false;
    ++stored_;
  }

  void on_readable(client& x) {
    x.connection.receive();
    auto now = clock_type::now();
    if (!how_.follow) {
      while (x.connection.take_answer()) {
        x.waiting = false;
        ++received_;
      }
      return;
    }
    if (!x.ready && !(x.ready = x.connection.take_head()))
      return;
    x.connection.take_lines([&](std::string_view line) {
      auto number = line.starts_with("data: ")
                      ? number_after(line, "\"epoch\":")
                      : 0;
      // The first event may show a report of an earlier run.
      if (number == 0 || number > sent_.size())
        return;
      ++received_;
      latencies_.push_back(
        std::chrono::duration<float, std::milli>(now - sent_[number - 1])
          .count());
    });
  }

  options how_;
  int epoll_;
  std::vector<client> clients_;
  link reporter_;
  /// When each report was sent.
  std::vector<clock_type::time_point> sent_;
  /// Whether a report is being stored.
  bool waiting_ = false;
  uint64_t stored_ = 0;
  uint64_t received_ = 0;
  clock_type::time_point begin_;
  clock_type::time_point next_report_;
  std::chrono::duration<double> taken_{0};
  std::vector<float> latencies_;
};

} // namespace

int main(int argc, char** argv) {
  if (argc != 7) {
    std::cerr << "usage: bench_event_clients HOST PORT follow|poll CLIENTS "
                 "SECONDS REPORTS_PER_SECOND (0: as fast as they are stored)\n";
    return 2;
  }
  try {
    options how;
    how.host = argv[1];
    how.port = static_cast<uint16_t>(std::stoul(argv[2]));
    how.follow = std::string_view{argv[3]} == "follow";
    how.clients = std::stoul(argv[4]);
    how.length = std::chrono::seconds{std::stoul(argv[5])};
    if (auto rate = std::stod(argv[6]); rate > 0)
      how.report_interval = std::chrono::nanoseconds{
        static_cast<int64_t>(1e9 / rate)};
    bench measured{how};
    measured.run();
    measured.print();
  } catch (const std::exception& e) {
    std::cerr << e.what() << '\n';
    return 1;
  }
  return 0;
}
