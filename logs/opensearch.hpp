#pragma once

#include "actors/actors.hpp"
#include "config/config.hpp"
#include "logs/opensearch_client.hpp"
#include "logs/opensearch_page.hpp"

#include <chrono>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace aiops::logs {

struct opensearch_log_source_config {
  opensearch_config opensearch;
  /// Deadline of a whole count, all its pages and retries; shorter than the
  /// time between two counts.
  caf::timespan deadline = std::chrono::seconds{20};
};

/// Counts the documents of an OpenSearch index by one composite aggregation,
/// page by page. An answer is complete or an error: all shards have to be
/// searched in time for each page.
class opensearch_log_source_state {
public:
  static inline const char* name = "opensearch-log-source";

  explicit opensearch_log_source_state(log_source_actor::pointer self);

  void init(opensearch_log_source_config config);

  log_source_actor::behavior_type make_behavior();

private:
  using clock = std::chrono::steady_clock;

  /// The attempts at one page until now.
  struct attempts {
    /// Requests sent.
    size_t sent = 0;
    /// Nodes that failed since the last pause.
    size_t failed_nodes = 0;
    /// Whether the password was read again.
    bool new_password = false;
    /// The next pause, and the minimum that the nodes demand.
    std::chrono::milliseconds pause{100};
    std::chrono::milliseconds minimum_pause{0};
    /// Why the last attempt failed.
    caf::error problem;
  };

  caf::expected<breakdown_ptr> count();

  caf::expected<breakdown_ptr> count_pages();

  /// Requests one page, from another node if one fails.
  caf::expected<std::string_view> ask(const std::string& query,
                                      size_t max_body);

  /// One attempt, at the current node.
  caf::expected<opensearch_answer> send(const std::string& query,
                                        size_t max_body, const attempts& state);

  /// Prepares another attempt after an answer other than a page; an error when
  /// another attempt would fail in the same way.
  caf::error handle_refusal(const opensearch_answer& answer, attempts& state);

  /// Selects the next node, after a pause when all have failed; returns the
  /// problem when there is no time left.
  caf::error try_again(caf::error problem,
                       std::chrono::milliseconds minimum_pause,
                       attempts& state);

  caf::error read_password();

  /// Logs when another node answers than before.
  void report_node(const caf::error& why);

  void report_result(size_t workloads, size_t foreign);

  log_source_actor::pointer self_;
  opensearch_log_source_config config_;
  std::vector<std::unique_ptr<opensearch_client>> nodes_;
  /// Index of the current node.
  size_t node_ = 0;
  /// Index of the node that answered last.
  size_t answering_node_ = 0;
  std::string password_;
  /// Deadline of the current count.
  clock::time_point deadline_;
  /// Workloads with invalid names, as of the last warning.
  size_t foreign_ = 0;
  /// Whether the last count found nothing.
  bool empty_ = false;
  std::minstd_rand random_{std::random_device{}()};
};

/// Blocks during a count, so spawn it detached.
log_source_actor::behavior_type opensearch_log_source(
  log_source_actor::stateful_pointer<opensearch_log_source_state> self,
  opensearch_log_source_config config);

} // namespace aiops::logs
