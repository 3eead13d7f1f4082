#include "logs/opensearch.hpp"

#include "base/log.hpp"
#include "base/secret_file.hpp"
#include "config/config_values.hpp"

#include <algorithm>
#include <exception>
#include <functional>
#include <thread>
#include <unordered_set>
#include <utility>

namespace aiops::logs {

namespace {

using std::chrono::milliseconds;

/// Largest page, in bytes. One MiB holds 400 workloads with the longest names.
constexpr int64_t max_page_bytes = 64 * 1024 * 1024;

/// Attempts at one page in addition to one per node.
constexpr size_t max_retries = 3;

constexpr milliseconds longest_pause{5'000};

/// The value of the header, which is in seconds; 0 when it is not a number. A
/// date is ignored, because it needs two clocks that agree.
milliseconds retry_after(const opensearch_answer& answer) {
  auto seconds = read_number(answer.retry_after).value_or(0);
  return std::chrono::seconds{std::clamp<int64_t>(seconds, 0, 3600)};
}

} // namespace

opensearch_log_source_state::opensearch_log_source_state(
  log_source_actor::pointer self)
  : self_(self) {
  // nop
}

void opensearch_log_source_state::init(opensearch_log_source_config config) {
  config_ = std::move(config);
  for (auto& url : config_.opensearch.urls)
    nodes_.push_back(
      std::make_unique<opensearch_client>(url, config_.opensearch.ca_file));
}

log_source_actor::behavior_type opensearch_log_source_state::make_behavior() {
  return {
    [this](count_atom) -> caf::result<breakdown_ptr> {
      auto counts = count();
      if (!counts)
        return std::move(counts.error());
      return std::move(*counts);
    },
  };
}

// -- one count ----------------------------------------------------------------

caf::expected<breakdown_ptr> opensearch_log_source_state::count() {
  deadline_ = clock::now() + config_.deadline;
  // Threads and memory may run out, which must not end the actor.
  try {
    auto result = count_pages();
    for (auto& node : nodes_)
      node->release();
    return result;
  } catch (const std::exception& e) {
    return make_error(
      ec::internal, std::string{"counting by OpenSearch failed: "} + e.what());
  }
}

caf::expected<breakdown_ptr> opensearch_log_source_state::count_pages() {
  auto& limits = config_.opensearch;
  if (nodes_.empty())
    return make_error(ec::invalid_configuration,
                      "there is no OpenSearch to count with; give "
                      "--opensearch-url");
  if (!limits.user.empty() && password_.empty())
    if (auto problem = read_password())
      return problem;
  breakdown_builder builder;
  opensearch_page_reader reader;
  // Hashes suffice: a collision makes only one count fail.
  std::unordered_set<size_t> seen;
  std::string after_key;
  int64_t bytes = 0;
  size_t foreign = 0;
  for (size_t pages = 0; pages < limits.max_pages; ++pages) {
    auto bytes_left = limits.max_bytes - bytes;
    auto body = ask(opensearch_query(limits, after_key),
                    static_cast<size_t>(std::min(max_page_bytes, bytes_left)));
    if (!body) {
      if (code_of(body.error()) != ec::too_large)
        return body.error();
      return make_error(
        ec::too_large,
        text_of(body.error())
          + (bytes_left < max_page_bytes
               ? ", the rest of --opensearch-max-bytes; raise that"
               : " for one page; lower --opensearch-page-size"));
    }
    bytes += static_cast<int64_t>(body->size());
    auto page = reader.read(*body, builder);
    if (!page)
      return page.error();
    foreign += page->foreign;
    if (page->buckets == 0 || page->after_key.empty()) {
      report_result(builder.size(), foreign);
      return builder.finish();
    }
    if (!seen.insert(std::hash<std::string>{}(page->after_key)).second)
      return make_error(ec::bad_reply, "OpenSearch answered the same page "
                                       "twice: its after_key was repeated");
    after_key = std::move(page->after_key);
  }
  return make_error(ec::too_large,
                    "OpenSearch has more than "
                      + std::to_string(limits.max_pages)
                      + " pages; raise --opensearch-page-size or "
                        "--opensearch-max-pages");
}

// -- one page -----------------------------------------------------------------

caf::expected<std::string_view>
opensearch_log_source_state::ask(const std::string& query, size_t max_body) {
  attempts state;
  for (auto limit = nodes_.size() + max_retries; state.sent < limit;) {
    auto answer = send(query, max_body, state);
    ++state.sent;
    if (answer && answer->status == 200) {
      report_node(state.problem);
      return answer->body;
    }
    if (answer) {
      if (auto problem = handle_refusal(*answer, state))
        return problem;
      continue;
    }
    // Another attempt would bring as many bytes.
    if (code_of(answer.error()) == ec::too_large)
      return answer.error();
    // The reason of an earlier attempt explains more than a last attempt that
    // had little time.
    if (state.problem && clock::now() >= deadline_)
      return state.problem;
    if (auto problem = try_again(std::move(answer.error()), {}, state))
      return problem;
  }
  return state.problem;
}

caf::expected<opensearch_answer>
opensearch_log_source_state::send(const std::string& query, size_t max_body,
                                  const attempts& state) {
  auto left = deadline_ - clock::now();
  // If the node hangs, there must be time for another one.
  if (state.failed_nodes + 1 < nodes_.size())
    left /= 2;
  opensearch_request request;
  request.target = opensearch_target(
    config_.opensearch, std::chrono::duration_cast<milliseconds>(left));
  request.body = query;
  request.user = config_.opensearch.user;
  request.password = password_;
  request.max_body = max_body;
  request.deadline = clock::now() + left;
  return nodes_[node_]->post(request);
}

caf::error
opensearch_log_source_state::handle_refusal(const opensearch_answer& answer,
                                            attempts& state) {
  auto& config = config_.opensearch;
  auto failure = read_opensearch_failure(answer.body);
  auto refused = [&](const std::string& what, const std::string& remedy) {
    return make_error(ec::refused, nodes_[node_]->url() + " " + what + " ("
                                     + std::to_string(answer.status) + ")"
                                     + (failure.text.empty() ? "" : ": ")
                                     + failure.text + "; " + remedy);
  };
  // Its status asks for another attempt, which would fail in the same way.
  if (failure.too_many_buckets)
    return refused("allows fewer buckets per page",
                   "lower --opensearch-page-size, or raise search.max_buckets "
                   "there");
  if (answer.status == 401) {
    auto tried = std::exchange(state.new_password, true);
    auto before = password_;
    if (!config.user.empty() && !tried) {
      if (auto problem = read_password())
        return problem;
      // The same password again might lock the user out.
      if (password_ != before)
        return {};
    }
    return config.user.empty()
             ? refused("requires a user",
                       "give --opensearch-user and --opensearch-password-file")
             : refused("refused the user '" + config.user + "'",
                       "check --opensearch-user and "
                       "--opensearch-password-file");
  }
  if (answer.status == 429 || answer.status >= 500)
    return try_again(
      refused(answer.status == 429 ? "is overloaded" : "failed", "see its log"),
      retry_after(answer), state);
  if (answer.status == 403)
    return refused("refused the search",
                   "give the user the right to search '" + config.index + "'");
  if (answer.status == 404)
    return refused("has no index '" + config.index + "'",
                   "check --opensearch-index");
  if (answer.status >= 300 && answer.status < 400)
    return refused("redirects, which is not followed",
                   "give the final URL with --opensearch-url");
  return refused("refused the aggregation",
                 "check the fields that --opensearch-cluster-field, "
                 "--opensearch-namespace-field and "
                 "--opensearch-deployment-field name");
}

caf::error opensearch_log_source_state::try_again(caf::error problem,
                                                  milliseconds minimum_pause,
                                                  attempts& state) {
  log::debug("opensearch-log-source", "did not get a page",
             {{"reason", text_of(problem)}});
  state.problem = std::move(problem);
  state.minimum_pause = std::max(state.minimum_pause, minimum_pause);
  node_ = (node_ + 1) % nodes_.size();
  if (++state.failed_nodes < nodes_.size())
    return {};
  // Replicas that were refused at the same time must not retry together.
  auto percent = std::uniform_int_distribution<int>{50, 100}(random_);
  auto pause = std::max(state.pause * percent / 100, state.minimum_pause);
  if (pause >= deadline_ - clock::now())
    return state.problem;
  std::this_thread::sleep_for(pause);
  state.pause = std::min(state.pause * 2, longest_pause);
  state.minimum_pause = {};
  state.failed_nodes = 0;
  return {};
}

// -- credentials --------------------------------------------------------------

caf::error opensearch_log_source_state::read_password() {
  auto& file = config_.opensearch.password_file;
  auto password = read_secret(file);
  if (!password)
    return make_error(ec::invalid_configuration,
                      "cannot read the password of OpenSearch in '"
                        + file.string() + "': " + text_of(password.error())
                        + "; correct --opensearch-password-file or the "
                          "permissions");
  password_ = std::move(*password);
  return {};
}

// -- log ----------------------------------------------------------------------

void opensearch_log_source_state::report_node(const caf::error& why) {
  if (node_ == answering_node_)
    return;
  answering_node_ = node_;
  log::warning("opensearch-log-source", "uses another node from now on",
               {{"url", nodes_[node_]->url()}, {"reason", text_of(why)}});
}

void opensearch_log_source_state::report_result(size_t workloads,
                                                size_t foreign) {
  auto empty = workloads == 0;
  if (empty && !empty_)
    log::warning("opensearch-log-source",
                 "found no workload: there are no log messages, or the options "
                 "of the fields do not match the index",
                 {{"index", config_.opensearch.index},
                  {"namespace-field", config_.opensearch.namespace_field}});
  else if (!empty && empty_)
    log::info("opensearch-log-source", "found workloads again",
              {{"count", workloads}});
  empty_ = empty;
  if (foreign > 0 && foreign != foreign_)
    log::warning("opensearch-log-source", "ignores invalid names of workloads",
                 {{"index", config_.opensearch.index}, {"count", foreign}});
  foreign_ = foreign;
}

log_source_actor::behavior_type opensearch_log_source(
  log_source_actor::stateful_pointer<opensearch_log_source_state> self,
  opensearch_log_source_config config) {
  self->state.init(std::move(config));
  return self->state.make_behavior();
}

} // namespace aiops::logs
