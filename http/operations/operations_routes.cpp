#include "base/time.hpp"
#include "http/routes.hpp"
#include "json/writer.hpp"

#include <array>

/// @file
/// Health checks and the version.

namespace aiops::http {

namespace {

std::string flag(bool x) {
  return x ? "true" : "false";
}

/// Whether the query has `verbose`, with or without a value.
bool verbose(const http_request& req) {
  constexpr std::array known{std::string_view{"verbose"}};
  auto parameters = read_query(req.query, known);
  return parameters && !parameters->empty();
}

bool all_started(const gateway_actors& xs) {
  return xs.training && xs.training_jobs && xs.training_status && xs.watchlist
         && xs.gpu_info && xs.log_aggregation && xs.log_history;
}

struct check {
  bool ok;
  std::string json;
};

check check_actors(const gateway_actors& actors) {
  auto ok = all_started(actors);
  return {ok, R"({"ok":)" + flag(ok) + "}"};
}

check check_nats(const gateway_actors& actors, route_env& env) {
  auto got = env.check(actors.bus, status_atom_v);
  auto ok = got && got->connected;
  auto server = got ? got->server : std::string{};
  auto reason = got ? got->reason : text_of(got.error());
  return {ok, R"({"ok":)" + flag(ok) + R"(,"server":)" + json_string(server)
                + R"(,"reason":)" + json_string(reason) + "}"};
}

/// Only for the embedded server. Other servers are checked by their operators.
check check_storage(route_env& env) {
  if (!env.context.storage_problem)
    return {true, {}};
  auto reason = env.context.storage_problem();
  auto ok = reason.empty();
  return {ok, R"(,"storage":{"ok":)" + flag(ok) + R"(,"reason":)"
                + json_string(reason) + "}"};
}

/// Old counts are served with their age, so they do not affect readiness.
check check_counts(const gateway_actors& actors, route_env& env) {
  auto got = env.check(actors.log_aggregation, get_atom_v);
  if (!got)
    return {false, R"({"ok":false,"reason":)"
                     + json_string(text_of(got.error())) + "}"};
  auto& counts = (*got)->value();
  auto ok = counts.aggregated_at && !counts.stale;
  std::string at = "null";
  if (counts.aggregated_at)
    at = json_string(to_rfc3339(*counts.aggregated_at));
  return {ok, R"({"ok":)" + flag(ok) + R"(,"aggregatedAt":)" + at
                + R"(,"reason":)" + json_string(counts.reason) + "}"};
}

/// Not a check: a store that syncs late is ready too.
std::string durability_json(route_env& env) {
  auto report = env.context.durability ? env.context.durability()
                                       : durability_report{};
  auto synced = report.synced ? flag(*report.synced) : "null";
  auto replicas = report.replicas ? std::to_string(*report.replicas) : "null";
  return R"(,"durability":{"synced":)" + synced + R"(,"replicas":)" + replicas
         + R"(,"powerFailureMayCost":)" + json_string(report.power_failure)
         + '}';
}

} // namespace

http_response get_livez(const http_request&, route_env&) {
  http_response result;
  result.body = R"({"status":"ok"})";
  return result;
}

http_response get_readyz(const http_request& req, route_env& env) {
  auto actors = env.alive();
  auto started = check_actors(*actors);
  auto nats = check_nats(*actors, env);
  auto counts = check_counts(*actors, env);
  auto storage = check_storage(env);
  auto ready = started.ok && nats.ok && storage.ok;
  http_response result;
  result.status = ready ? 200 : 503;
  result.body = R"({"ready":)" + flag(ready) + R"(,"checks":{"actors":)"
                + started.json + R"(,"nats":)" + nats.json + storage.json
                + R"(,"counts":)" + counts.json + '}'
                + (verbose(req) ? durability_json(env) : "") + '}';
  return result;
}

http_response get_version(const http_request&, route_env&) {
  http_response result;
  result.body = R"({"name":"aiops-gateway","version":")" AIOPS_GATEWAY_VERSION
                R"("})";
  return result;
}

} // namespace aiops::http
