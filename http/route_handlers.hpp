#pragma once

#include "http/context.hpp"
#include "http/server/request_handler.hpp"

namespace aiops::http {

/// The handlers that answer requests by the table of routes.
handler_factory route_handlers(http_context context, const http_config& config);

} // namespace aiops::http
