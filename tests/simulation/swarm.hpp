#pragma once

#include "config/config.hpp"
#include "tests/simulation/random.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

/// @file
/// What happens in one run, drawn from its seed: the setup, which faults there
/// are and how often, and what clients and operators do when. A run that uses
/// few kinds of faults often finds what one that uses all of them rarely would
/// not ("swarm testing"), so each seed draws its kinds.

namespace aiops::simulation {

enum class fault : uint8_t {
  // Of the network.
  connection_lost,
  /// What is sent arrives when the fault is over.
  link_blocked,
  /// Requests arrive, answers do not, and then the connection is lost.
  answers_lost,
  slow_network,
  change_lost,
  change_repeated,

  // Of the store.
  leader_change,
  stale_read,
  ack_lost,
  ack_repeated,
  /// Applied when the client has long given up.
  write_late,
  /// A conflict although the revision was right.
  false_conflict,
  /// A conflict with the code of nats-server 2.11 and later.
  race_conflict,
  store_full,
  /// The storage fails; part of the cluster may have stored the write.
  storage_failure,
  read_only,
  slow_store,
  too_many_requests,
  unreadable_answer,
  /// The latest acknowledged writes are gone and their sequence numbers are
  /// used again.
  store_went_back,
  bucket_removed,
  book_removed,
  book_unreadable,

  // Of a replica.
  replica_crash,
  /// Nothing of it runs for a while.
  replica_pause,
  /// One of its actors dies; it and those after it start again.
  actor_death,
  clock_skew,
  clock_jump,
  hook_failure,

  // Of the backend.
  backend_silent,
  backend_slow,
  backend_refuses,
  backend_unreadable,
  backend_absent,
  backend_crash,
  /// It restarts and has forgotten everything.
  backend_empty,
  trains_unasked,
  training_fails,
  trainer_dies,
  progress_late,
  progress_repeated,
  progress_invalid,
  completion_lost,

  // Of clients.
  same_post_twice,
  two_at_once,

  count,
};

inline constexpr size_t fault_count = static_cast<size_t>(fault::count);

std::string_view to_string(fault x);

/// What clients and operators do.
enum class step_kind : uint8_t {
  post,
  post_forced,
  remove,
  read_status,
  read_watchlist,
  read_jobs,
  /// `step::what` begins.
  fault,
};

struct step {
  milliseconds at{0};
  step_kind kind = step_kind::post;
  fault what = fault::count;
  /// Which replica, if one is meant.
  size_t target = 0;
  /// How long a fault lasts.
  milliseconds length{0};
  /// Decides all else.
  uint64_t detail = 0;
};

std::string describe(const step& x);

/// How the program is configured and what world it runs in.
struct setup {
  backend_protocol protocol = backend_protocol::request_reply;
  size_t replicas = 2;
  milliseconds request_timeout{1'000};
  milliseconds train_timeout{10'000};
  milliseconds stall_after{40'000};
  milliseconds poll_interval{5'000};
  milliseconds lease{10'000};
  int64_t max_payload = 1024 * 1024;
  /// Whether backends name the job that progress is of.
  bool progress_with_id = false;
  milliseconds training_length{15'000};
  milliseconds report_interval{2'000};
  /// How far each replica's wall clock is ahead.
  std::array<milliseconds, 3> clock_offsets{};
  /// Bytes of a workload's name: a watchlist may nearly fill a message.
  size_t name_length = 8;
};

struct plan {
  uint64_t seed = 0;
  setup world;
  /// How often a fault of each kind happens to a message; 0: never.
  std::array<double, fault_count> rates{};
  /// In order of time.
  std::vector<step> steps;
  /// When all faults stop.
  milliseconds safety{0};

  double rate(fault x) const {
    return rates[static_cast<size_t>(x)];
  }
};

plan make_plan(uint64_t seed);

} // namespace aiops::simulation
