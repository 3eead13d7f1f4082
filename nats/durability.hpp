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

/// Reads the output of `nats-server --version`: `nats-server: v2.9.10`.
server_version parse_server_version(std::string_view text);

/// Whether this version can sync each write before it acknowledges it.
bool can_sync_always(server_version version);

/// For the embedded server.
durability_report embedded_durability(server_version version);

/// From JetStream's answer about the stream of a bucket. The answer does not
/// contain when the servers sync.
durability_report bucket_durability(std::string_view stream_info);

/// For external servers: asks about the bucket of the gateway. Blocks until the
/// answer arrives, so actors must not call it.
durability_report ask_durability(caf::actor_system& system,
                                 const bus_actor& bus, caf::timespan timeout);

} // namespace aiops::nats
