#pragma once

#include "config/config.hpp"
#include "tests/simulation/random.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

/// @file
/// The plan of one run, drawn from its seed: the setup, the faults and their
/// frequency, and the operations of clients and operators. A run with few kinds
/// of faults that happen often finds other bugs than one with all kinds that
/// happen rarely ("swarm testing"), so each seed draws its kinds.

namespace aiops::simulation {

enum class fault : uint8_t {
  // Faults of the network.
  connection_lost,
  /// Messages arrive when the fault has ended.
  link_blocked,
  /// Requests arrive, answers do not, and then the connection is lost.
  answers_lost,
  slow_network,
  change_lost,
  change_repeated,

  // Faults of the store.
  leader_change,
  stale_read,
  ack_lost,
  ack_repeated,
  /// A write is applied long after the deadline of the client.
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
  /// The latest acknowledged writes are lost, and their sequence numbers are
  /// used
  /// again.
  store_went_back,
  bucket_removed,
  book_removed,
  book_unreadable,

  // Faults of a replica.
  replica_crash,
  /// It is suspended for some time.
  replica_pause,
  /// One of its actors ends; it and those after it restart.
  actor_death,
  clock_skew,
  clock_jump,
  hook_failure,

  // Faults of the backend.
  backend_silent,
  backend_slow,
  backend_refuses,
  backend_unreadable,
  backend_absent,
  backend_crash,
  /// It restarts and has lost its state.
  backend_empty,
  trains_unasked,
  training_fails,
  trainer_dies,
  progress_late,
  progress_repeated,
  progress_invalid,
  completion_lost,

  // Faults of clients.
  same_post_twice,
  two_at_once,

  count,
};

inline constexpr size_t fault_count = static_cast<size_t>(fault::count);

std::string_view to_string(fault x);

/// Operations of clients and operators.
enum class step_kind : uint8_t {
  post,
  post_forced,
  remove,
  read_status,
  read_watchlist,
  read_jobs,
  /// The fault `step::what` begins.
  fault,
};

struct step {
  milliseconds at{0};
  step_kind kind = step_kind::post;
  fault what = fault::count;
  /// The replica, for operations on one.
  size_t target = 0;
  /// Duration of a fault.
  milliseconds length{0};
  /// Random value that determines the rest.
  uint64_t detail = 0;
};

std::string describe(const step& x);

/// The configuration of the gateways and their surroundings.
struct setup {
  backend_protocol protocol = backend_protocol::request_reply;
  size_t replicas = 2;
  milliseconds request_timeout{1'000};
  milliseconds train_timeout{10'000};
  milliseconds stall_after{40'000};
  milliseconds poll_interval{5'000};
  milliseconds lease{10'000};
  int64_t max_payload = 1024 * 1024;
  /// Whether reports of progress name their job.
  bool progress_with_id = false;
  milliseconds training_length{15'000};
  milliseconds report_interval{2'000};
  /// Offset of the wall clock of each replica.
  std::array<milliseconds, 3> clock_offsets{};
  /// Length of the names of workloads: a watchlist may nearly fill a message.
  size_t name_length = 8;
};

struct plan {
  uint64_t seed = 0;
  setup world;
  /// Probability of each kind of fault per message; 0: never.
  std::array<double, fault_count> rates{};
  /// Sorted by time.
  std::vector<step> steps;
  /// When all faults stop.
  milliseconds safety{0};

  double rate(fault x) const {
    return rates[static_cast<size_t>(x)];
  }
};

plan make_plan(uint64_t seed);

} // namespace aiops::simulation
