#include "tests/simulation/campaign.hpp"

#include "tests/simulation/shrink.hpp"
#include "tests/simulation/workers.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <optional>
#include <set>

namespace aiops::simulation {

namespace {

/// One of this many seeds is run twice.
constexpr uint64_t compare_every = 20;

constexpr size_t shrink_budget = 400;

constexpr uint64_t seeds_per_bug = 10'000;
constexpr uint64_t tries_per_bug = 5;

void plant(planted_bug bug) {
#ifdef AIOPS_SIMULATION
  current_planted_bug = bug;
#else
  (void)bug;
#endif
}

run_result run_seed(uint64_t seed) {
  auto what = make_plan(seed);
  auto result = world{what, false}.run();
  if (!result.failure && seed % compare_every == 0) {
    auto again = world{what, false}.run();
    if (again.trace != result.trace)
      result.failure = violation{"one seed is one run",
                                 "two runs of it have different traces"};
  }
  return result;
}

/// A failure counts only if the seed passes without the planted bug.
[[maybe_unused]] run_result run_planted_seed(uint64_t seed) {
  auto result = world{make_plan(seed), false}.run();
#ifdef AIOPS_SIMULATION
  if (!result.failure)
    return result;
  auto bug = std::exchange(current_planted_bug, planted_bug::none);
  if (world{make_plan(seed), false}.run().failure)
    result.failure.reset();
  current_planted_bug = bug;
#endif
  return result;
}

// -- output -------------------------------------------------------------------

void print_plan(const plan& what) {
  auto& x = what.world;
  std::printf("  %s, %zu replicas, request timeout %lld ms, train timeout "
              "%lld ms, stall after %lld ms, training %lld ms, report every "
              "%lld ms, %s, max payload %lld\n",
              x.protocol == backend_protocol::kv ? "kv" : "request-reply",
              x.replicas, static_cast<long long>(x.request_timeout.count()),
              static_cast<long long>(x.train_timeout.count()),
              static_cast<long long>(x.stall_after.count()),
              static_cast<long long>(x.training_length.count()),
              static_cast<long long>(x.report_interval.count()),
              x.progress_with_id ? "reports name their job"
                                 : "reports name no job",
              static_cast<long long>(x.max_payload));
  for (size_t i = 0; i < fault_count; ++i)
    if (what.rates[i] > 0)
      std::printf("  now and then: %s (%.0f %%)\n",
                  std::string{to_string(static_cast<fault>(i))}.c_str(),
                  what.rates[i] * 100);
}

void print_failure(uint64_t seed, planted_bug bug) {
  auto what = make_plan(seed);
  auto first = run_seed(seed);
  if (!first.failure)
    return;
  std::printf("\nseed %llu violates: %s\n  %s\n",
              static_cast<unsigned long long>(seed),
              first.failure->invariant.c_str(), first.failure->detail.c_str());
  auto smallest = shrink(what, first.failure->invariant, shrink_budget);
  auto run = world{smallest, true}.run();
  std::printf("the shortest history found that still does:\n");
  print_plan(smallest);
  for (auto& line : run.history)
    std::printf("  %s\n", line.c_str());
  std::printf("reproduce the whole run: scripts/simulate --first-seed %llu "
              "--seeds 1 --history%s%s\n",
              static_cast<unsigned long long>(seed),
              bug == planted_bug::none ? "" : " --bug ",
              bug == planted_bug::none ? ""
                                       : std::string{to_string(bug)}.c_str());
}

void print_totals(const totals& x, double wall) {
  auto hours = static_cast<double>(x.virtual_ms) / 3.6e6;
  std::printf("%llu seeds in %.1f s: %.0f seeds/s, %.1f virtual hours, %.0f "
              "virtual hours per CPU hour, %.0f steps a seed\n",
              static_cast<unsigned long long>(x.runs), wall,
              static_cast<double>(x.runs) / wall, hours,
              hours * 3600 / std::max(x.cpu_seconds, 1e-9),
              static_cast<double>(x.steps)
                / std::max<double>(1, static_cast<double>(x.runs)));
  std::printf("faults that happened:");
  for (size_t i = 0; i < fault_count; ++i)
    std::printf("%s %s %llu", i == 0 ? "" : ",",
                std::string{to_string(static_cast<fault>(i))}.c_str(),
                static_cast<unsigned long long>(x.faults[i]));
  auto missing = all_pairs();
  auto all = missing.size();
  for (auto& pair : x.pairs)
    missing.erase(pair);
  std::printf("\n(fault, kind of request in flight) pairs: %zu of %zu\n",
              all - missing.size(), all);
  for (auto& [kind, request] : missing)
    std::printf("  not reached: %s at %s\n",
                std::string{to_string(kind)}.c_str(),
                std::string{to_string(request)}.c_str());
}

int run_one(const campaign_config& config) {
  plant(config.bug);
  auto result = world{make_plan(config.first_seed), true}.run();
  print_plan(make_plan(config.first_seed));
  for (auto& line : result.history)
    std::printf("%s\n", line.c_str());
  std::printf("trace %016llx, %llu steps\n",
              static_cast<unsigned long long>(result.trace),
              static_cast<unsigned long long>(result.steps));
  return result.failure ? 1 : 0;
}

} // namespace

int run_campaign(const campaign_config& config) {
  if (config.history && config.seeds == 1)
    return run_one(config);
  plant(config.bug);
  auto begin = std::chrono::steady_clock::now();
  auto got = run_in_processes(config.jobs, config.first_seed, config.seeds,
                              config.keep_going, run_seed);
  std::chrono::duration<double> wall = std::chrono::steady_clock::now() - begin;
  print_totals(got, wall.count());
  if (got.failures.empty() && got.crashed.empty())
    return 0;
  for (auto& seed : got.crashed)
    std::printf("seed %llu: the process died\n",
                static_cast<unsigned long long>(seed));
  std::map<std::string, std::vector<uint64_t>> by_invariant;
  for (auto& [seed, invariant] : got.failures)
    by_invariant[invariant].push_back(seed);
  std::printf("\n%zu seeds fail:\n", got.failures.size());
  constexpr size_t listed = 8;
  for (auto& [invariant, seeds] : by_invariant) {
    std::printf("  %6zu  %s (seeds", seeds.size(), invariant.c_str());
    for (size_t i = 0; i < std::min(listed, seeds.size()); ++i)
      std::printf(" %llu", static_cast<unsigned long long>(seeds[i]));
    std::printf("%s)\n", seeds.size() > listed ? " ..." : "");
  }
  if (!config.shrink)
    return 1;
  for (auto& [invariant, seeds] : by_invariant)
    print_failure(seeds.front(), config.bug);
  return 1;
}

int look_for_planted_bugs(const campaign_config& config) {
#ifndef AIOPS_SIMULATION
  (void)config;
  std::fprintf(stderr, "simulate: no bugs are compiled into this build; use "
                       "scripts/simulate\n");
  return 2;
#else
  auto missed = 0;
  std::printf("%-34s %8s %13s  %s\n", "planted bug", "found", "median seeds",
              "seen as");
  for (int i = 1; i < static_cast<int>(planted_bug::count); ++i) {
    auto bug = static_cast<planted_bug>(i);
    if (config.bug != planted_bug::none && config.bug != bug)
      continue;
    plant(bug);
    std::vector<uint64_t> needed;
    std::set<std::string> seen;
    for (uint64_t attempt = 0; attempt < tries_per_bug; ++attempt) {
      auto first = config.first_seed + attempt * seeds_per_bug;
      auto got = run_in_processes(config.jobs, first, seeds_per_bug, false,
                                  run_planted_seed);
      if (got.failures.empty())
        break;
      needed.push_back(got.failures.front().first - first + 1);
      seen.insert(got.failures.front().second);
    }
    std::string invariants;
    for (auto& invariant : seen)
      invariants += (invariants.empty() ? "" : "; ") + invariant;
    std::sort(needed.begin(), needed.end());
    missed += needed.size() < tries_per_bug ? 1 : 0;
    std::printf(
      "%-34s %4zu of %llu %11s  %s\n", std::string{to_string(bug)}.c_str(),
      needed.size(), static_cast<unsigned long long>(tries_per_bug),
      needed.empty() ? "-" : std::to_string(needed[needed.size() / 2]).c_str(),
      invariants.c_str());
    std::fflush(stdout);
  }
  return missed == 0 ? 0 : 1;
#endif
}

} // namespace aiops::simulation
