#pragma once

#include "actors/counts/breakdown.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace aiops::test {

/// Log messages by workload.
using workload_counts = std::map<workload, int64_t>;

/// `count` workloads with many kinds of names.
workload_counts some_workloads(size_t count);

workload_counts flatten(const breakdown& counts);

struct node_request {
  /// Request line and headers.
  std::string head;
  std::string body;

  bool has(const std::string& text) const {
    return head.find(text) != std::string::npos;
  }
};

/// The page of a composite aggregation over `counts` that a request asks for.
std::string composite_page(const workload_counts& counts,
                           const std::string& request_body);

/// A whole HTTP response.
std::string http_response(int status, const std::string& body,
                          const std::string& headers = "");

/// A fake OpenSearch node, with one connection at a time, on a free port of the
/// loopback interface. It does what the test sets, including faults.
class scripted_node {
public:
  /// The side of the node in one exchange.
  class exchange {
  public:
    explicit exchange(int fd) : fd_(fd) {
      // nop
    }

    /// Sends bytes unchanged; false when the client has disconnected.
    bool send(const std::string& bytes);

    /// Waits until the client disconnects.
    void hang();

  private:
    int fd_;
  };

  /// Returns false to end the connection after the exchange.
  using script = std::function<bool(const node_request&, exchange&)>;

  /// Serves `counts`, except for the requests that have a script.
  explicit scripted_node(workload_counts counts);

  ~scripted_node();

  scripted_node(const scripted_node&) = delete;
  scripted_node& operator=(const scripted_node&) = delete;

  std::string url() const;

  /// Uses the script for `times` requests, beginning with number `first` (0 is
  /// the next one).
  void next(script what, size_t first = 0, size_t times = 1);

  /// The same, with a fixed response; the connection stays open.
  void next_response(std::string response, size_t first = 0, size_t times = 1);

  std::vector<node_request> requests() const;

  size_t connections() const;

private:
  void run();

  void serve(int fd);

  workload_counts counts_;
  int listener_ = -1;
  uint16_t port_ = 0;
  mutable std::mutex mutex_;
  bool stopping_ = false;
  int current_ = -1;
  size_t connections_ = 0;
  std::map<size_t, script> scripts_;
  std::vector<node_request> requests_;
  std::thread thread_;
};

} // namespace aiops::test
