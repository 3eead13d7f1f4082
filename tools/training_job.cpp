#include "tools/training_job.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cmath>

namespace aiops::tools {

namespace {

using nlohmann::json;
using std::chrono::milliseconds;

constexpr std::array phase_names = {"none", "training", "finished", "reported"};

constexpr int64_t epochs = 5;

json to_json(const workload_list& xs) {
  auto result = json::object();
  for (const auto& x : xs)
    result[x.cluster_id][x.namespace_name].push_back(x.deployment);
  return result;
}

bool append(workload_list& xs, const std::string& cluster,
            const std::string& name, const json& deployments) {
  if (!deployments.is_array())
    return false;
  for (const auto& deployment : deployments) {
    if (!deployment.is_string())
      return false;
    xs.push_back({cluster, name, deployment.get<std::string>()});
  }
  return true;
}

std::optional<workload_list> from_json(const json& clusters) {
  workload_list result;
  if (!clusters.is_object())
    return std::nullopt;
  for (const auto& [cluster, namespaces] : clusters.items()) {
    if (!namespaces.is_object())
      return std::nullopt;
    for (const auto& [name, deployments] : namespaces.items())
      if (!append(result, cluster, name, deployments))
        return std::nullopt;
  }
  return normalize(std::move(result));
}

} // namespace

std::optional<workload_list> parse_workloads(std::string_view text) {
  return from_json(json::parse(text, nullptr, false));
}

std::string render_workloads(const workload_list& xs) {
  return to_json(xs).dump();
}

training_job::training_job(milliseconds duration) : duration_(duration) {
  // nop
}

std::string training_job::submit(std::string_view payload, time_point now) {
  auto list = parse_workloads(payload);
  if (!list)
    return "not a training request";
  auto action = action_for(workloads_, *list);
  workloads_ = std::move(*list);
  if (action == training_action::reset || workloads_.empty()) {
    phase_ = phase::none;
    return "model reset";
  }
  if (action == training_action::train) {
    phase_ = phase::training;
    started_ = now;
  }
  return "training job submitted";
}

std::string training_job::status() const {
  switch (phase_) {
    case phase::none:
      return "not started";
    case phase::training:
      return "training";
    default:
      return "completed";
  }
}

std::string training_job::watchlist() const {
  return render_workloads(workloads_);
}

bool training_job::reporting() const {
  return phase_ == phase::training || phase_ == phase::finished;
}

bool training_job::due(time_point now) const {
  return now >= started_ + duration_;
}

std::string training_job::statistics(time_point now) const {
  using namespace std::chrono;
  auto total = duration<double>(duration_).count();
  auto elapsed = std::clamp(duration<double>(now - started_).count(), 0.,
                            total);
  auto done = due(now) ? 1. : elapsed / total;
  auto percentage = static_cast<int64_t>(done * 100);
  json body;
  body["timeElapsed"] = static_cast<int64_t>(elapsed);
  body["percentageCompleted"] = percentage;
  body["remainingTime"] = static_cast<int64_t>(std::ceil(total - elapsed));
  body["currentEpoch"] = static_cast<int64_t>(done * epochs);
  body["modelAccuracy"] = std::round((1. - 0.5 / (1. + 9. * done)) * 1000)
                          / 1000;
  body["stage"] = percentage < 10 ? "fetching data" : "train";
  return body.dump();
}

void training_job::finish() {
  if (phase_ == phase::training)
    phase_ = phase::finished;
}

void training_job::reported() {
  if (phase_ == phase::finished)
    phase_ = phase::reported;
}

std::string training_job::save() const {
  auto since = duration_cast<milliseconds>(started_.time_since_epoch());
  return json{{"workloads", to_json(workloads_)},
              {"phase", phase_names[static_cast<size_t>(phase_)]},
              {"startedAt", since.count()}}
    .dump(2);
}

bool training_job::load(std::string_view text) {
  auto state = json::parse(text, nullptr, false);
  if (!state.is_object() || !state.contains("workloads")
      || !state.contains("phase") || !state.contains("startedAt")
      || !state["startedAt"].is_number_integer())
    return false;
  auto list = from_json(state["workloads"]);
  auto name = std::find(phase_names.begin(), phase_names.end(), state["phase"]);
  if (!list || name == phase_names.end())
    return false;
  workloads_ = std::move(*list);
  phase_ = static_cast<phase>(name - phase_names.begin());
  started_ = time_point{milliseconds{state["startedAt"].get<int64_t>()}};
  return true;
}

} // namespace aiops::tools
