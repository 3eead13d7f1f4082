#pragma once

#include "actors/directory.hpp"
#include "actors/durability.hpp"
#include "config/config.hpp"

#include <functional>
#include <string>

namespace aiops::http {

class event_streams;

/// What every request may use. All that it points to outlives the server.
struct http_context {
  /// Where the actors live.
  caf::actor_system* system = nullptr;
  /// Which actors are alive now.
  const directory* actors = nullptr;
  /// How long an answer may take.
  deadline_config deadlines;
  /// Whom the clients follow; the server enters its own.
  event_streams* events = nullptr;
  /// Why the embedded NATS server stores nothing; empty when it does. Null
  /// without such a server. @thread-safe
  std::function<std::string()> storage_problem = {};
  /// What a power failure may cost; may ask the store, and then waits for it
  /// as briefly as a health check may. @thread-safe
  std::function<durability_report()> durability = {};
};

} // namespace aiops::http
