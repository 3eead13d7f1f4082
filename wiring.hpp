#pragma once

#include "actors/supervisor.hpp"
#include "config/config.hpp"
#include "http/server/event_streams.hpp"
#include "nats/embedded_server.hpp"

#include <functional>
#include <string>
#include <vector>

namespace aiops {

/// Which actors the configuration asks for, in the order of their
/// dependencies: what the supervisor starts. `config.nats` must name servers;
/// `embedded` is the one that runs them, null when that is not ours to do.
/// `streams` get all events and outlive the actors. `give_up` is called with a
/// reason when only a new process can help.
std::vector<child_spec>
gateway_children(const gateway_config& config, nats::embedded_server* embedded,
                 http::event_streams* streams,
                 std::function<void(std::string)> give_up);

} // namespace aiops
