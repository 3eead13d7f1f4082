#pragma once

#include "http/route_handlers.hpp"
#include "http/server/server.hpp"
#include "http/v1/event_feed.hpp"
#include "tests/http/raw_client.hpp"

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

namespace aiops::test {

using namespace http;

/// What the fake actors answer, and what they were asked. Access it through
/// `gateway::script`.
struct actor_script {
  caf::expected<training_result> train{
    training_result{"training job submitted", training_action::train}};
  caf::expected<snapshot_ptr<model_status>> status{
    make_snapshot(model_status{"training", {1, 2, 3, 4, 0.5, "train"}})};
  caf::error put;
  caf::expected<snapshot_ptr<training_overview>> training{
    make_snapshot(training_overview{})};
  caf::expected<stored_book> after_delete{stored_book{}};
  caf::expected<snapshot_ptr<job_summaries>> jobs{
    make_snapshot(job_summaries{})};
  /// By id. Other ids are `not_found`, unless `jobs` is an error.
  std::map<std::string, training_job> job_by_id;
  caf::expected<snapshot_ptr<watchlist_overview>> submitted{
    make_snapshot(watchlist_overview{})};
  caf::expected<snapshot_ptr<workload_list>> watchlist{
    make_snapshot(workload_list{{"c", "n", "d"}})};
  caf::expected<snapshot_ptr<gpu_list>> gpus{
    make_snapshot(gpu_list{{"nvidia.com/gpu", 2, 1}})};
  caf::expected<snapshot_ptr<gpu_inventory>> inventory{
    make_snapshot(gpu_inventory{})};
  caf::expected<snapshot_ptr<cluster_counts>> counts{
    make_snapshot(cluster_counts{"c", {{"n", "d", 123}}})};
  cluster_overview overview;
  /// If set, this is the answer instead of `overview`.
  snapshot_ptr<cluster_overview> prepared;
  caf::expected<snapshot_ptr<cluster_history>> history{
    make_snapshot(cluster_history{"c", {}})};
  std::vector<std::string> runtime_classes;
  caf::expected<std::string> ai_settings{"{}"};
  durability_report durability;
  bus_status bus{true, "nats://127.0.0.1:4222", 1'048'576, "", 1};
  /// Whether the actors answer no request.
  bool mute = false;

  std::vector<training_request> trained;
  std::vector<job_progress> progress;
  size_t deleted = 0;
  std::vector<std::string> clusters_asked;
  size_t asked = 0;
};

/// A running server with fake actors.
class gateway {
public:
  explicit gateway(const std::function<void(http_config&)>& change = nullptr,
                   deadline_config deadlines = {});

  ~gateway();

  uint16_t port() const {
    return port_;
  }

  http_server& server() {
    return *server_;
  }

  caf::actor_system& system() {
    return *system_;
  }

  directory& actors() {
    return directory_;
  }

  raw_client connect(int receive_buffer = 0) const {
    return raw_client{port_, receive_buffer};
  }

  /// Sends one request on its own connection and returns the answer.
  raw_response ask(std::string_view method, std::string_view target,
                   std::string_view body = {},
                   std::string_view headers = {}) const;

  raw_response get(std::string_view target) const {
    return ask("GET", target);
  }

  /// Calls `fun` with the script.
  template <class F>
  auto script(F fun) {
    std::lock_guard guard{shared_->mutex};
    return fun(shared_->script);
  }

  struct shared_script {
    std::mutex mutex;
    actor_script script;
  };

private:
  void spawn_actors();

  struct system_config;

  std::unique_ptr<system_config> config_;
  std::unique_ptr<caf::actor_system> system_;
  std::shared_ptr<shared_script> shared_;
  directory directory_;
  std::unique_ptr<http_server> server_;
  uint16_t port_ = 0;
};

/// Waits until the condition holds. Returns false after 10 s.
bool eventually(const std::function<bool()>& condition);

} // namespace aiops::test
