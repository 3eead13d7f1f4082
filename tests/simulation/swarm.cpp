#include "tests/simulation/swarm.hpp"

#include <algorithm>

namespace aiops::simulation {

namespace {

struct fault_kind {
  fault what;
  std::string_view name;
  /// Probability per message; 0 for a fault that begins by a step.
  double rate;
  /// Maximum duration of a fault that begins by a step.
  milliseconds length;
};

constexpr milliseconds no_time{0};

constexpr std::array<fault_kind, fault_count> kinds = {{
  {fault::connection_lost, "connection lost", 0, milliseconds{3'000}},
  {fault::link_blocked, "link blocked", 0, milliseconds{8'000}},
  {fault::answers_lost, "answers lost", 0, milliseconds{4'000}},
  {fault::slow_network, "slow network", 0.05, no_time},
  {fault::change_lost, "change lost", 0.3, no_time},
  {fault::change_repeated, "change repeated", 0.3, no_time},
  {fault::leader_change, "leader change", 0, milliseconds{3'000}},
  {fault::stale_read, "stale read", 0.1, no_time},
  {fault::ack_lost, "ack lost", 0.08, no_time},
  {fault::ack_repeated, "ack repeated", 0.1, no_time},
  {fault::write_late, "write late", 0.05, no_time},
  {fault::false_conflict, "false conflict", 0.05, no_time},
  {fault::race_conflict, "race conflict", 0.6, no_time},
  {fault::store_full, "store full", 0, milliseconds{5'000}},
  {fault::storage_failure, "storage failure", 0.06, no_time},
  {fault::read_only, "read only", 0, milliseconds{6'000}},
  {fault::slow_store, "slow store", 0, milliseconds{6'000}},
  {fault::too_many_requests, "too many requests", 0.08, no_time},
  {fault::unreadable_answer, "unreadable answer", 0.03, no_time},
  {fault::store_went_back, "store went back", 0, milliseconds{12'000}},
  {fault::bucket_removed, "bucket removed", 0, no_time},
  {fault::book_removed, "book removed", 0, no_time},
  {fault::book_unreadable, "book unreadable", 0, no_time},
  {fault::replica_crash, "replica crash", 0, milliseconds{5'000}},
  {fault::replica_pause, "replica pause", 0, milliseconds{15'000}},
  {fault::actor_death, "actor death", 0, no_time},
  {fault::clock_skew, "clock skew", 0, no_time},
  {fault::clock_jump, "clock jump", 0, no_time},
  {fault::hook_failure, "hook failure", 0.3, no_time},
  {fault::backend_silent, "backend silent", 0.25, no_time},
  {fault::backend_slow, "backend slow", 0.3, no_time},
  {fault::backend_refuses, "backend refuses", 0.3, no_time},
  {fault::backend_unreadable, "backend unreadable", 0.1, no_time},
  {fault::backend_absent, "backend absent", 0, milliseconds{10'000}},
  {fault::backend_crash, "backend crash", 0, milliseconds{5'000}},
  {fault::backend_empty, "backend empty", 0, milliseconds{5'000}},
  {fault::trains_unasked, "trains unasked", 0, no_time},
  {fault::training_fails, "training fails", 0.3, no_time},
  {fault::trainer_dies, "trainer dies", 0.15, no_time},
  {fault::progress_late, "progress late", 0.3, no_time},
  {fault::progress_repeated, "progress repeated", 0.2, no_time},
  {fault::progress_invalid, "progress invalid", 0.2, no_time},
  {fault::completion_lost, "completion lost", 0.3, no_time},
  {fault::same_post_twice, "same post twice", 0.3, no_time},
  {fault::two_at_once, "two at once", 0.4, no_time},
}};

/// Whether a fault begins by a step.
bool begins(fault x) {
  auto& kind = kinds[static_cast<size_t>(x)];
  return kind.rate == 0 && x != fault::clock_skew;
}

/// With these, many invariants cannot be checked, so few seeds have them.
bool drastic(fault x) {
  return x == fault::store_went_back || x == fault::bucket_removed
         || x == fault::book_removed || x == fault::book_unreadable;
}

constexpr milliseconds most_skew{5 * 60'000};

milliseconds draw_skew(random_source& random) {
  return random.between<milliseconds>(-most_skew, most_skew);
}

setup draw_setup(random_source& random) {
  setup result;
  if (random.chance(0.5))
    result.protocol = backend_protocol::kv;
  result.replicas = 2 + random.below(2);
  result.request_timeout = random.pick<milliseconds>(
    {milliseconds{500}, milliseconds{1'000}, milliseconds{2'000}});
  result.train_timeout = random.pick<milliseconds>(
    {milliseconds{3'000}, milliseconds{8'000}, milliseconds{8'000},
     milliseconds{45'000}});
  result.lease = random.pick<milliseconds>(
    {milliseconds{4'000}, milliseconds{10'000}});
  result.stall_after = random.pick<milliseconds>(
    {milliseconds{20'000}, milliseconds{50'000}});
  result.progress_with_id = random.chance(0.5);
  result.training_length = random.chance(0.3)
                             ? random.between<milliseconds>(seconds{40},
                                                            seconds{120})
                             : random.between<milliseconds>(seconds{2},
                                                            seconds{25});
  result.report_interval = random.between<milliseconds>(milliseconds{500},
                                                        seconds{4});
  if (random.chance(0.15)) {
    result.max_payload = 6 * 1024;
    result.name_length = 60;
  }
  return result;
}

step draw_fault(random_source& random, fault what, const setup& world) {
  step result;
  result.kind = step_kind::fault;
  result.what = what;
  result.target = random.below(world.replicas);
  auto& kind = kinds[static_cast<size_t>(what)];
  result.length = random.between<milliseconds>(milliseconds{0}, kind.length);
  result.detail = random.next();
  return result;
}

step draw_client(random_source& random, const setup& world) {
  step result;
  auto dice = random.below(100);
  result.kind = dice < 35   ? step_kind::post_forced
                : dice < 50 ? step_kind::post
                : dice < 62 ? step_kind::remove
                : dice < 82 ? step_kind::read_status
                : dice < 92 ? step_kind::read_watchlist
                            : step_kind::read_jobs;
  result.target = random.below(world.replicas);
  result.detail = random.next();
  return result;
}

} // namespace

std::string_view to_string(fault x) {
  return kinds[static_cast<size_t>(x)].name;
}

std::string describe(const step& x) {
  constexpr std::string_view names[] = {"POST",          "POST with force",
                                        "DELETE",        "GET status",
                                        "GET watchlist", "GET jobs"};
  std::string result = std::to_string(x.at.count()) + " ms: ";
  if (x.kind != step_kind::fault)
    return result + std::string{names[static_cast<size_t>(x.kind)]}
           + " at replica " + std::to_string(x.target);
  return result + std::string{to_string(x.what)} + ", replica "
         + std::to_string(x.target) + ", " + std::to_string(x.length.count())
         + " ms";
}

plan make_plan(uint64_t seed) {
  random_source random{seed, 1};
  plan result;
  result.seed = seed;
  result.world = draw_setup(random);
  result.safety = random.between<milliseconds>(seconds{15}, seconds{50});
  // Some seeds have no faults, most have a few kinds, some have nearly all.
  auto part = random.pick<double>({0.0, 0.08, 0.08, 0.15, 0.15, 0.3, 0.6});
  std::vector<fault> timed;
  for (auto& kind : kinds) {
    auto strength = 0.3 + 1.4 * random.uniform();
    if (!random.chance(drastic(kind.what) ? part / 4 : part))
      continue;
    if (kind.what == fault::clock_skew) {
      for (auto& offset : result.world.clock_offsets)
        offset = draw_skew(random);
      result.rates[static_cast<size_t>(kind.what)] = 1;
    } else if (begins(kind.what)) {
      timed.push_back(kind.what);
    } else {
      result.rates[static_cast<size_t>(kind.what)] = std::min(
        0.9, kind.rate * strength);
    }
  }
  // Bursts, because steps close together interleave in more ways.
  auto actions = 4 + random.below(14);
  milliseconds when{0};
  for (uint64_t i = 0; i < actions; ++i) {
    auto burst = random.chance(0.4);
    when += random.between<milliseconds>(
      milliseconds{0}, burst ? milliseconds{50} : milliseconds{6'000});
    if (when >= result.safety)
      break;
    auto next = draw_client(random, result.world);
    next.at = when;
    result.steps.push_back(next);
  }
  for (auto what : timed) {
    auto times = drastic(what) ? 1 : 1 + random.below(4);
    for (uint64_t i = 0; i < times; ++i) {
      auto next = draw_fault(random, what, result.world);
      // Most faults begin close to the operations of clients.
      if (!result.steps.empty() && random.chance(0.7))
        next.at = random.pick(result.steps).at
                  + random.between<milliseconds>(milliseconds{0},
                                                 milliseconds{300});
      else
        next.at = random.between<milliseconds>(milliseconds{0}, result.safety);
      result.steps.push_back(next);
    }
  }
  std::stable_sort(result.steps.begin(), result.steps.end(),
                   [](auto& x, auto& y) { return x.at < y.at; });
  return result;
}

} // namespace aiops::simulation
