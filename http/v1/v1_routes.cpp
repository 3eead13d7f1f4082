#include "http/routes.hpp"
#include "http/v1/v1_json.hpp"

#include <charconv>

/// @file
/// The routes of clusters and GPUs under `/api/v1`.

namespace aiops::http {

namespace {

http_response failed(const caf::error& err) {
  return error_response(dialect::problem, err);
}

http_response unknown_cluster() {
  return failed(
    make_error(ec::not_found, "there are no log messages of this cluster"));
}

/// The parameter `hours`.
std::optional<std::chrono::hours> hours_of(const http_request& req) {
  auto text = req.parameter("hours");
  auto hours = 24;
  if (!text.empty()) {
    auto last = text.data() + text.size();
    auto [ptr, err] = std::from_chars(text.data(), last, hours);
    if (err != std::errc{} || ptr != last || hours < 1 || hours > 24)
      return std::nullopt;
  }
  return std::chrono::hours{hours};
}

} // namespace

http_response get_clusters(const http_request&, route_env& env) {
  auto got = env.ask(env.alive()->log_aggregation, get_atom_v);
  if (!got)
    return failed(got.error());
  auto& prepared = (*got)->bytes(
    [](const cluster_overview& x) { return to_json(x); });
  http_response result;
  result.body = with_age(prepared, (*got)->value(),
                         std::chrono::system_clock::now());
  result.headers.emplace_back("Cache-Control", "no-store");
  return result;
}

http_response get_workloads(const http_request& req, route_env& env) {
  auto query = read_workload_query(req);
  if (!query)
    return failed(query.error());
  auto got = env.ask(env.alive()->log_aggregation, get_atom_v, req.id);
  if (!got)
    return failed(got.error());
  auto& counts = (*got)->value();
  if (counts.empty())
    return unknown_cluster();
  http_response result;
  result.body = to_json(req.id, *query, page_of(counts, *query));
  result.recurring = true;
  return result;
}

http_response get_history(const http_request& req, route_env& env) {
  auto hours = hours_of(req);
  if (!hours)
    return failed(make_error(ec::invalid_argument,
                             "hours must be an integer from 1 to 24"));
  auto got = env.ask(env.alive()->log_history, get_atom_v, req.id);
  if (!got)
    return failed(got.error());
  auto& history = (*got)->value();
  if (history.points.empty())
    return unknown_cluster();
  http_response result;
  result.body = to_json(history, std::chrono::system_clock::now() - *hours);
  result.recurring = true;
  return result;
}

http_response get_gpus(const http_request&, route_env& env) {
  auto got = env.ask(env.alive()->gpu_info, overview_atom_v);
  if (!got)
    return failed(got.error());
  http_response result;
  result.body = to_json((*got)->value(), std::chrono::system_clock::now());
  result.headers.emplace_back("Cache-Control", "no-store");
  return result;
}

} // namespace aiops::http
