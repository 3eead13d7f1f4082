#include "http/json.hpp"
#include "http/routes.hpp"

/// @file
/// Our own surface.

namespace aiops {

http_response get_clusters(const http_request&, route_env& env) {
  auto got = env.ask(env.alive()->log_aggregation, get_atom_v);
  if (!got)
    return error_response(dialect::problem, got.error());
  http_response result;
  result.body = (*got)->bytes(
    [](const cluster_overview& x) { return to_json(x); });
  return result;
}

} // namespace aiops
