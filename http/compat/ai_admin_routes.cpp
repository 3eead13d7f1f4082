#include "http/compat/json.hpp"
#include "http/routes.hpp"

/// @file
/// The routes that the dashboard requests before it shows its page. Read-only:
/// this gateway does not install AI services.

namespace aiops::http {

namespace {

http_response failed(const caf::error& err) {
  return error_response(dialect::compat, err);
}

} // namespace

http_response get_ai_settings(const http_request&, route_env& env) {
  auto got = env.check(env.alive()->ai_settings, get_atom_v);
  if (!got)
    return failed(got.error());
  http_response result;
  result.body = std::move(*got);
  return result;
}

http_response get_ai_upgrade(const http_request&, route_env&) {
  http_response result;
  result.body = R"({"UpgradePending":false})";
  return result;
}

http_response get_runtime_classes(const http_request&, route_env& env) {
  auto got = env.check(env.alive()->runtime_classes, get_atom_v);
  if (!got)
    return failed(got.error());
  http_response result;
  result.body = runtime_classes_json(*got);
  return result;
}

http_response refuse_to_install(const http_request&, route_env&) {
  return error_response(dialect::compat, 501,
                        "this gateway does not install AI services; install "
                        "and configure them with your own tools");
}

} // namespace aiops::http
