#pragma once

#include "actors/messages.hpp"
#include "tests/simulation/swarm.hpp"

#include <cstdint>
#include <set>
#include <string_view>
#include <utility>

/// @file
/// Which requests a fault can affect. The coverage of a campaign is the set of
/// pairs of a fault and a kind of request that was in flight at that time.

namespace aiops::simulation {

enum class request_kind : uint8_t {
  train,
  question,
  read_book,
  read_parameters,
  read_other,
  info,
  purge,
  make_bucket,
  write_book,
  write_history,
  write_lease,
  write_cursor,
  write_parameters,
  write_mirror,
  write_other,
  count,
};

inline constexpr size_t request_kind_count = static_cast<size_t>(
  request_kind::count);

std::string_view to_string(request_kind x);

request_kind kind_of(const bus_request& x);

/// Whether a fault of that kind can happen to such a request.
bool can_meet(fault x, request_kind y);

using fault_pair = std::pair<fault, request_kind>;

using fault_pairs = std::set<fault_pair>;

/// All possible pairs.
fault_pairs all_pairs();

} // namespace aiops::simulation
