#include "tools/sample_logs.hpp"

#include <array>

namespace aiops::tools {

namespace {

struct source {
  const char* cluster;
  const char* namespace_name;
  const char* deployment;
  /// Share of the lines.
  double weight;
};

constexpr std::array sources = {
  source{"prod.eu-west", "shop", "checkout", 30},
  source{"prod.eu-west", "shop", "catalog.v2", 22},
  source{"prod.eu-west", "payments", "ledger", 9},
  source{"prod.eu-west", "kube-system", "coredns", 4},
  source{"prod.us-east", "shop", "checkout", 18},
  source{"prod.us-east", "payments", "fraud-check", 7},
  source{"prod.us-east", "kube-system", "coredns", 3},
  source{"edge-lab", "sensors", "collector", 5},
  source{"edge-lab", "sensors", "firmware.update", 1},
  source{"edge-lab", "default", "nginx", 1},
};

constexpr std::array texts = {
  "INFO  request served path=/items status=200 ms=",
  "INFO  request served path=/cart status=201 ms=",
  "DEBUG cache refreshed entries=",
  "WARN  retrying upstream call attempt=",
  "ERROR upstream timed out after ms=",
};

constexpr std::array text_weights = {60., 20., 12., 6., 2.};

std::discrete_distribution<size_t> source_distribution() {
  std::array<double, sources.size()> weights;
  for (size_t i = 0; i < sources.size(); ++i)
    weights[i] = sources[i].weight;
  return {weights.begin(), weights.end()};
}

} // namespace

sample_logs::line sample_logs::next() {
  static auto pick_source = source_distribution();
  static auto pick_text = std::discrete_distribution<size_t>{
    text_weights.begin(), text_weights.end()};
  const auto& from = sources[pick_source(random_)];
  auto text = texts[pick_text(random_)] + std::to_string(random_() % 500)
              + " line=" + std::to_string(++count_);
  return {{from.cluster, from.namespace_name, from.deployment},
          std::move(text)};
}

} // namespace aiops::tools
