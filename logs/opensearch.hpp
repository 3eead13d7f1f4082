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
/// page by page. Answers all counts or an error, never a part: a page counts
/// when all its shards were searched in time, and a count when all pages do.
class opensearch_log_source_state {
public:
  static inline const char* name = "opensearch-log-source";

  explicit opensearch_log_source_state(log_source_actor::pointer self);

  void init(opensearch_log_source_config config);

  log_source_actor::behavior_type make_behavior();

private:
  using clock = std::chrono::steady_clock;

  /// How the attempts at one page went so far.
  struct attempts {
    /// Requests sent.
    size_t sent = 0;
    /// Nodes that failed since the last pause.
    size_t failed_nodes = 0;
    /// Whether the password was read again.
    bool new_password = false;
    /// The next pause, and what it has to be at least by the nodes' own words.
    std::chrono::milliseconds pause{100};
    std::chrono::milliseconds least_pause{0};
    /// Why the last attempt failed.
    caf::error problem;
  };

  caf::expected<breakdown_ptr> count();

  caf::expected<breakdown_ptr> count_pages();

  /// Asks for one page, of whichever node has it.
  caf::expected<std::string_view> ask(const std::string& query,
                                      size_t max_body);

  /// One attempt, at the current node.
  caf::expected<opensearch_answer>
  send(const std::string& query, size_t max_body, const attempts& so_far);

  /// Prepares another attempt after an answer that is no page; an error when
  /// that would end alike.
  caf::error handle_refusal(const opensearch_answer& answer, attempts& so_far);

  /// Goes to the next node, with a pause when all have failed; answers the
  /// problem when there is no time for that.
  caf::error try_again(caf::error problem,
                       std::chrono::milliseconds least_pause, attempts& so_far);

  caf::error read_password();

  /// Logs once when another node answers than before.
  void report_node(const caf::error& why);

  void report_result(size_t workloads, size_t foreign);

  log_source_actor::pointer self_;
  opensearch_log_source_config config_;
  std::vector<std::unique_ptr<opensearch_client>> nodes_;
  /// Index of the node to ask.
  size_t node_ = 0;
  /// Index of the node that answered last.
  size_t answering_node_ = 0;
  std::string password_;
  /// When the count that is under way has to be done.
  clock::time_point deadline_;
  /// Workloads with impossible names, as of the last warning.
  size_t foreign_ = 0;
  /// Whether the last count found nothing.
  bool empty_ = false;
  std::minstd_rand random_{std::random_device{}()};
};

/// Spawn it detached: it blocks while it counts.
log_source_actor::behavior_type opensearch_log_source(
  log_source_actor::stateful_pointer<opensearch_log_source_state> self,
  opensearch_log_source_config config);

} // namespace aiops::logs
