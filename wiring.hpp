#pragma once

#include "actors/supervisor.hpp"
#include "config/config.hpp"
#include "http/server/event_streams.hpp"
#include "nats/embedded_server.hpp"

#include <functional>
#include <string>
#include <vector>

namespace aiops {

/// The actors that the supervisor starts for this configuration, in the order
/// of their dependencies. `config.nats` must name servers; `embedded` is null
/// unless this process runs the server. `streams` receives all events and must
/// outlive the actors. `give_up` is called with a reason when only a new
/// process can help.
std::vector<child_spec>
gateway_children(const gateway_config& config, nats::embedded_server* embedded,
                 http::event_streams* streams,
                 std::function<void(std::string)> give_up);

} // namespace aiops
