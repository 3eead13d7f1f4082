#include "tools/simulated_training.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

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

std::optional<submission> parse_submission(std::string_view text) {
  auto value = json::parse(text, nullptr, false);
  if (!value.is_object() || !value.contains("uuid")
      || !value["uuid"].is_string())
    return std::nullopt;
  submission result;
  result.id = value["uuid"].get<std::string>();
  if (!value.contains("workloads"))
    return result;
  auto list = from_json(value["workloads"]);
  if (!list)
    return std::nullopt;
  result.workloads = std::move(*list);
  return result;
}

std::string render_workloads(const workload_list& xs) {
  return to_json(xs).dump();
}

simulated_training::simulated_training(milliseconds duration,
                                       backend_protocol protocol)
  : duration_(duration), protocol_(protocol) {
  // nop
}

std::string simulated_training::submit(std::string_view payload,
                                       time_point now) {
  auto got = std::optional<submission>{};
  if (protocol_ == backend_protocol::kv)
    got = parse_submission(payload);
  else if (auto list = parse_workloads(payload))
    got = submission{{}, std::move(*list)};
  if (!got)
    return "not a training request";
  auto action = action_for(workloads_, got->workloads);
  workloads_ = std::move(got->workloads);
  id_ = std::move(got->id);
  if (action == training_action::reset || workloads_.empty()) {
    phase_ = phase::none;
    return "model reset";
  }
  if (action == training_action::train) {
    phase_ = phase::training;
    started_ = now;
    earlier_id_ = std::exchange(training_id_, id_);
  }
  return "training job submitted";
}

std::string simulated_training::status() const {
  switch (phase_) {
    case phase::none:
      return "not started";
    case phase::training:
      return "training";
    default:
      return "completed";
  }
}

std::string simulated_training::watchlist() const {
  return render_workloads(workloads_);
}

bool simulated_training::reporting() const {
  return phase_ == phase::training || phase_ == phase::finished;
}

bool simulated_training::due(time_point now) const {
  return now >= started_ + duration_;
}

double simulated_training::done(time_point now) const {
  using seconds = std::chrono::duration<double>;
  return due(now) ? 1.
                  : std::max(0., seconds{now - started_} / seconds{duration_});
}

std::string simulated_training::report(time_point now,
                                       const report_style& style) const {
  auto total = std::chrono::duration<double>(duration_).count();
  auto part = done(now);
  auto percentage = static_cast<int64_t>(part * 100);
  json numbers;
  numbers["timeElapsed"] = static_cast<int64_t>(part * total);
  numbers["percentageCompleted"] = percentage;
  numbers["remainingTime"] = static_cast<int64_t>(
    std::ceil(total - part * total));
  numbers["currentEpoch"] = static_cast<int64_t>(part * epochs);
  numbers["modelAccuracy"] = std::round((1. - 0.5 / (1. + 9. * part)) * 1000)
                             / 1000;
  if (style.strings)
    for (auto& number : numbers)
      number = number.dump();
  numbers["stage"] = percentage < 10 ? "fetching data" : "train";
  json body;
  if (protocol_ == backend_protocol::kv) {
    body["status"] = due(now) ? "completed" : "training";
    body["statistics"] = due(now) || style.null_statistics ? json{} : numbers;
    body["uuid"] = training_id_;
  } else {
    body = std::move(numbers);
    if (style.null_statistics)
      for (auto& number : body)
        number = nullptr;
  }
  if (style.id)
    body["uuid"] = *style.id;
  return body.dump();
}

void simulated_training::finish() {
  if (phase_ == phase::training)
    phase_ = phase::finished;
}

void simulated_training::reported() {
  if (phase_ == phase::finished)
    phase_ = phase::reported;
}

std::string simulated_training::save() const {
  auto since = duration_cast<milliseconds>(started_.time_since_epoch());
  return json{{"workloads", to_json(workloads_)},
              {"id", id_},
              {"trainingId", training_id_},
              {"earlierId", earlier_id_},
              {"phase", phase_names[static_cast<size_t>(phase_)]},
              {"startedAt", since.count()}}
    .dump(2);
}

bool simulated_training::load(std::string_view text) {
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
  // A file of an older version has none of these.
  auto text_at = [&](const char* key) {
    auto i = state.find(key);
    return i != state.end() && i->is_string() ? i->get<std::string>() : "";
  };
  id_ = text_at("id");
  training_id_ = text_at("trainingId");
  earlier_id_ = text_at("earlierId");
  phase_ = static_cast<phase>(name - phase_names.begin());
  started_ = time_point{milliseconds{state["startedAt"].get<int64_t>()}};
  return true;
}

} // namespace aiops::tools
