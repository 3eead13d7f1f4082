#include "http/compat/json.hpp"
#include "http/routes.hpp"

/// @file
/// The compatibility API under `/ModelTraining`.

namespace aiops::http {

namespace {

http_response failed(const caf::error& err) {
  return error_response(dialect::compat, err);
}

/// The answer to a client, from that of an actor. The bytes of a snapshot are
/// encoded once for all clients.
template <class T>
http_response answer(const caf::expected<snapshot_ptr<T>>& got) {
  if (!got)
    return failed(got.error());
  http_response result;
  result.body = (*got)->bytes([](const T& x) { return to_json(x); });
  return result;
}

http_response answer(const caf::expected<void>& got) {
  if (!got)
    return failed(got.error());
  http_response result;
  result.body = "{}";
  return result;
}

http_response put_progress(caf::expected<job_progress> progress,
                           route_env& env) {
  if (!progress)
    return failed(progress.error());
  return answer(
    env.ask(env.alive()->training_status, put_atom_v, std::move(*progress)));
}

} // namespace

http_response post_train(const http_request& req, route_env& env) {
  auto workloads = read_workloads(req.body);
  if (!workloads)
    return failed(workloads.error());
  auto deadline = env.context.deadlines.http_train;
  // The dashboard cannot set `force` itself.
  auto got = env.actors.ask(env.alive()->training, deadline, train_atom_v,
                            training_request{std::move(*workloads), true});
  if (!got)
    return failed(got.error());
  http_response result;
  result.body = to_json(*got);
  return result;
}

http_response put_statistics(const http_request& req, route_env& env) {
  return put_progress(read_statistics(req.body), env);
}

http_response put_current_status(const http_request& req, route_env& env) {
  return put_progress(read_status_update(req.body), env);
}

http_response get_model_status(const http_request&, route_env& env) {
  return answer(env.ask(env.alive()->training_status, get_atom_v));
}

http_response get_training_parameters(const http_request&, route_env& env) {
  return answer(env.ask(env.alive()->watchlist, get_atom_v));
}

http_response get_workload_aggregation(const http_request& req,
                                       route_env& env) {
  return answer(env.ask(env.alive()->log_aggregation, get_atom_v, req.id));
}

http_response get_gpu_info(const http_request&, route_env& env) {
  return answer(env.ask(env.alive()->gpu_info, get_atom_v));
}

} // namespace aiops::http
