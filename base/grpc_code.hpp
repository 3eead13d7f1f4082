#pragma once

#include "base/error.hpp"

namespace aiops {

/// The status code of gRPC for an error. The compatibility API and the answers
/// to progress over NATS contain it.
constexpr int grpc_code_of(ec code) {
  switch (code) {
    case ec::invalid_argument:
      return 3; // INVALID_ARGUMENT
    case ec::timeout:
      return 4; // DEADLINE_EXCEEDED
    case ec::not_found:
      return 5; // NOT_FOUND
    case ec::too_large:
      return 8; // RESOURCE_EXHAUSTED
    case ec::conflict:
      return 10; // ABORTED
    case ec::no_responders:
    case ec::disconnected:
    case ec::lost_in_flight:
    case ec::overloaded:
      return 14; // UNAVAILABLE
    default:
      return 13; // INTERNAL
  }
}

} // namespace aiops
