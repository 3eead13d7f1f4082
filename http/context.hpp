#pragma once

#include "actors/directory.hpp"
#include "actors/durability.hpp"
#include "base/deadlines.hpp"
#include "config/config.hpp"

#include <functional>
#include <string>

namespace aiops::http {

/// What all requests share. What it points to outlives the server.
struct http_context {
  caf::actor_system* system = nullptr;
  const directory* actors = nullptr;
  /// How long an answer may take.
  aiops::deadlines deadlines = deadline_config{}.all();
  /// Why the embedded NATS server cannot store; empty if it can. Null without
  /// such a server. @thread-safe
  std::function<std::string()> storage_problem = {};
  /// What a power failure may cost. It may ask the store, and then waits no
  /// longer than a health check may. @thread-safe
  std::function<durability_report()> durability = {};
};

} // namespace aiops::http
