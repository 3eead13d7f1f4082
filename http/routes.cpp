#include "http/routes.hpp"

#include "actors/workload.hpp"
#include "http/server/negotiation.hpp"

#include <algorithm>

namespace aiops::http {

// -- handlers -----------------------------------------------------------------

// Only the table uses them, so no header declares them.

http_response post_train(const http_request&, route_env&);
http_response put_statistics(const http_request&, route_env&);
http_response put_current_status(const http_request&, route_env&);
http_response get_model_status(const http_request&, route_env&);
http_response get_training_parameters(const http_request&, route_env&);
http_response get_workload_aggregation(const http_request&, route_env&);
http_response get_gpu_info(const http_request&, route_env&);

http_response get_ai_settings(const http_request&, route_env&);
http_response get_ai_upgrade(const http_request&, route_env&);
http_response get_runtime_classes(const http_request&, route_env&);
http_response refuse_to_install(const http_request&, route_env&);

http_response get_clusters(const http_request&, route_env&);
http_response get_workloads(const http_request&, route_env&);
http_response get_history(const http_request&, route_env&);

http_response get_gpus(const http_request&, route_env&);

http_response post_training(const http_request&, route_env&);
http_response get_training(const http_request&, route_env&);
http_response delete_training(const http_request&, route_env&);
http_response get_training_jobs(const http_request&, route_env&);
http_response get_training_job(const http_request&, route_env&);
http_response get_watchlist(const http_request&, route_env&);

/// Answers with the slot of a client instead of a body.
http_response get_events(const http_request&, route_env&);

http_response get_livez(const http_request&, route_env&);
http_response get_readyz(const http_request&, route_env&);
http_response get_version(const http_request&, route_env&);
http_response get_metrics(const http_request&, route_env&);

// -- the table ----------------------------------------------------------------

namespace {

using namespace std::literals;

// The compatibility API. Services in the cluster use the first prefix, the
// dashboard uses the second one.
#define AIOPS_COMPAT(method, path, handler, waits)                             \
  route{method, path, handler, waits}, route {                                 \
    method, "/opni-api" path, handler, waits                                   \
  }

constexpr std::array table = {
  AIOPS_COMPAT("POST", "/ModelTraining/model/train", post_train, true),
  AIOPS_COMPAT("PUT", "/ModelTraining/model/statistics", put_statistics, true),
  AIOPS_COMPAT("PUT", "/ModelTraining/model/current_status", put_current_status,
               true),
  AIOPS_COMPAT("GET", "/ModelTraining/model/status", get_model_status, true),
  AIOPS_COMPAT("GET", "/ModelTraining/model/training_parameters",
               get_training_parameters, true),
  AIOPS_COMPAT("GET", "/ModelTraining/workload_aggregation/{id}",
               get_workload_aggregation, false),
  AIOPS_COMPAT("GET", "/ModelTraining/gpu_info", get_gpu_info, true),
  AIOPS_COMPAT("GET", "/AIAdmin/ai/settings", get_ai_settings, false),
  AIOPS_COMPAT("PUT", "/AIAdmin/ai/settings", refuse_to_install, false),
  AIOPS_COMPAT("DELETE", "/AIAdmin/ai/settings", refuse_to_install, false),
  AIOPS_COMPAT("GET", "/AIAdmin/ai/upgrade", get_ai_upgrade, false),
  AIOPS_COMPAT("POST", "/AIAdmin/ai/upgrade", refuse_to_install, false),
  AIOPS_COMPAT("GET", "/AIAdmin/ai/runtimeclasses", get_runtime_classes, false),
  route{"GET", "/api/v1/clusters", get_clusters, false},
  route{"GET",
        "/api/v1/clusters/{id}/workloads",
        get_workloads,
        false,
        {"namespace", "sort", "limit", "cursor"}},
  route{"GET", "/api/v1/clusters/{id}/history", get_history, false, {"hours"}},
  route{"GET", "/api/v1/gpus", get_gpus, true},
  route{"GET", "/api/v1/training", get_training, false},
  route{"POST", "/api/v1/training", post_training, true, {"dryRun", "force"}},
  route{"DELETE", "/api/v1/training", delete_training, true},
  route{"GET",
        "/api/v1/training/jobs",
        get_training_jobs,
        true,
        {"limit", "cursor"}},
  route{"GET", "/api/v1/training/jobs/{id}", get_training_job, true},
  route{"GET", "/api/v1/watchlist", get_watchlist, false},
  route{"GET", "/api/v1/events", get_events, false, {"topics"}},
  route{"GET", "/livez", get_livez, false},
  route{"GET", "/readyz", get_readyz, false},
  route{"GET", "/version", get_version, false},
  route{"GET", "/metrics", get_metrics, false},
};

#undef AIOPS_COMPAT

// -- the route of a request ---------------------------------------------------

/// Removes the first segment of a path that begins with a slash, and returns
/// it.
std::string_view cut_segment(std::string_view& path) {
  path.remove_prefix(1);
  auto segment = path.substr(0, path.find('/'));
  path.remove_prefix(segment.size());
  return segment;
}

/// Whether a path matches a pattern. Sets `id` to the segment that matches
/// `{id}`, as it was sent.
bool matches(std::string_view pattern, std::string_view path,
             std::string_view& id) {
  while (!pattern.empty() && !path.empty()) {
    auto expected = cut_segment(pattern);
    auto segment = cut_segment(path);
    if (expected == "{id}" && !segment.empty())
      id = segment;
    else if (expected != segment
             && (segment.find('%') == std::string_view::npos
                 || decode_segment(segment) != expected))
      return false;
  }
  return pattern.empty() && path.empty();
}

http_response run(const route& found, const http_request& req, route_env& env,
                  admission& gate) {
  if (!found.waits)
    return found.handler(req, env);
  if (!gate.enter())
    return error_response(dialect_of(req.path),
                          make_error(ec::overloaded,
                                     "too many requests wait for an answer, "
                                     "try again in a moment"));
  struct permit {
    admission& gate;
    ~permit() {
      gate.leave();
    }
  } held{gate};
  return found.handler(req, env);
}

/// Decodes the id in the path and the query. The error is for the client.
caf::error read_target(const route& found, std::string_view id,
                       http_request& req) {
  if (!id.empty()) {
    auto decoded = decode_segment(id);
    if (!decoded || !valid_name(*decoded))
      return make_error(ec::invalid_argument,
                        "the id in the path is malformed");
    req.id = std::move(*decoded);
  }
  if (dialect_of(found.pattern) == dialect::problem) {
    std::span<const std::string_view> known{found.parameters};
    known = known.first(static_cast<size_t>(
      std::find(known.begin(), known.end(), "") - known.begin()));
    auto parameters = read_query(req.query, known);
    if (!parameters)
      return std::move(parameters.error());
    req.parameters = std::move(*parameters);
  }
  return {};
}

http_response not_allowed(const http_request& req, std::string allow) {
  http_response result;
  if (req.method == "OPTIONS")
    result.status = 204;
  else
    result = error_response(dialect_of(req.path), 405,
                            "this path allows only " + allow);
  result.allow = std::move(allow);
  return result;
}

} // namespace

std::span<const route> routes() {
  return table;
}

std::optional<std::string> decode_segment(std::string_view text) {
  auto digit = [](char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
  };
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      result += text[i];
      continue;
    }
    auto high = i + 2 < text.size() ? digit(text[i + 1]) : -1;
    auto low = i + 2 < text.size() ? digit(text[i + 2]) : -1;
    if (high < 0 || low < 0)
      return std::nullopt;
    result += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return result;
}

caf::expected<std::vector<std::pair<std::string, std::string>>>
read_query(std::string_view query, std::span<const std::string_view> known) {
  std::vector<std::pair<std::string, std::string>> result;
  auto decode = [](std::string_view text) {
    std::string plain{text};
    std::replace(plain.begin(), plain.end(), '+', ' ');
    return decode_segment(plain);
  };
  while (!query.empty()) {
    auto part = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(part.size() + 1, query.size()));
    if (part.empty())
      continue;
    auto equals = std::min(part.find('='), part.size());
    auto key = decode(part.substr(0, equals));
    auto value = decode(part.substr(std::min(equals + 1, part.size())));
    if (!key || !value)
      return make_error(ec::invalid_argument,
                        "the query has a malformed percent-encoding");
    if (std::find(known.begin(), known.end(), *key) == known.end())
      return make_error(ec::invalid_argument,
                        "the query parameter " + *key + " is unknown here");
    for (auto& [other, ignored] : result)
      if (other == *key)
        return make_error(ec::invalid_argument,
                          "the query parameter " + *key + " is repeated");
    result.emplace_back(std::move(*key), std::move(*value));
  }
  return result;
}

http_response dispatch(http_request req, route_env& env, admission& gate) {
  auto method = req.method == "HEAD" ? "GET"sv : req.method;
  std::string allow;
  for (auto& candidate : table) {
    std::string_view id;
    if (!matches(candidate.pattern, req.path, id))
      continue;
    if (candidate.method != method) {
      allow += allow.empty() ? "" : ", ";
      allow += candidate.method;
      continue;
    }
    if (auto err = read_target(candidate, id, req))
      return error_response(dialect_of(candidate.pattern), err);
    auto result = run(candidate, req, env, gate);
    negotiate(req, result);
    return result;
  }
  if (allow.empty())
    return error_response(dialect_of(req.path), 404,
                          "nothing is served at this path");
  if (allow.starts_with("GET"))
    allow += ", HEAD";
  return not_allowed(req, allow + ", OPTIONS");
}

} // namespace aiops::http
