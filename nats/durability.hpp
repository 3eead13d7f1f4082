#pragma once

#include "actors/actors.hpp"
#include "actors/durability.hpp"

#include <string_view>

namespace aiops::nats {

/// A version of nats-server; 0.0 when it is not known.
struct server_version {
  int major = 0;
  int minor = 0;

  auto operator<=>(const server_version&) const = default;
};

/// Reads what `nats-server --version` prints: `nats-server: v2.9.10`.
server_version parse_server_version(std::string_view text);

/// Whether that version can sync each write before it acknowledges it.
bool can_sync_always(server_version version);

/// For the embedded server.
durability_report embedded_durability(server_version version);

/// By JetStream's answer about the stream behind a bucket. It does not say
/// when its servers sync.
durability_report bucket_durability(std::string_view stream_info);

/// For servers of others: asks about our bucket. Waits for the answer, so not
/// for actors.
durability_report ask_durability(caf::actor_system& system,
                                 const bus_actor& bus, caf::timespan timeout);

} // namespace aiops::nats
