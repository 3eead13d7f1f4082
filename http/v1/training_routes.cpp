#include "base/time.hpp"
#include "http/compat/json.hpp"
#include "http/routes.hpp"
#include "http/server/response_head.hpp"
#include "http/v1/training_json.hpp"

/// @file
/// The routes of trainings under `/api/v1`.

namespace aiops::http {

namespace {

json_time now() {
  return std::chrono::system_clock::now();
}

http_response failed(const caf::error& err) {
  return error_response(dialect::problem, err);
}

/// A boolean parameter; false if it is absent.
caf::expected<bool> flag_of(const http_request& req, std::string_view key) {
  auto text = req.parameter(key);
  if (text == "true" || text == "1")
    return true;
  if (text.empty() || text == "false" || text == "0")
    return false;
  return make_error(ec::invalid_argument,
                    std::string{key} + " must be true or false");
}

/// Reads the body and the parameters of a submission.
caf::expected<training_request> read_submission(const http_request& req) {
  auto dry_run = flag_of(req, "dryRun");
  if (!dry_run)
    return std::move(dry_run.error());
  auto force = flag_of(req, "force");
  if (!force)
    return std::move(force.error());
  auto workloads = read_workloads(req.body);
  if (!workloads)
    return std::move(workloads.error());
  return training_request{std::move(*workloads), *force, *dry_run};
}

http_response conflict_with(const training_job& job) {
  auto detail = "training " + job.id + " has been running since "
                + to_rfc3339(job.started_at)
                + "; repeat the request with force=true to replace it, or "
                  "cancel it with DELETE /api/v1/training";
  auto result = error_response(dialect::problem, 409, detail);
  result.body = problem_json(409, reason_phrase(409), detail, job, now());
  return result;
}

/// An answer that must not be cached.
http_response uncached(std::string body) {
  http_response result;
  result.body = std::move(body);
  result.headers.emplace_back("Cache-Control", "no-store");
  return result;
}

} // namespace

http_response post_training(const http_request& req, route_env& env) {
  auto submission = read_submission(req);
  if (!submission)
    return failed(submission.error());
  auto dry_run = submission->dry_run;
  auto deadline = env.context.deadlines.http_train;
  auto got = env.actors.ask(env.alive()->training, deadline, train_atom_v,
                            std::move(*submission));
  if (!got)
    return failed(got.error());
  if (got->running && !dry_run)
    return conflict_with(*got->running);
  return uncached(to_json(*got, dry_run, now()));
}

http_response get_training(const http_request&, route_env& env) {
  auto got = env.ask(env.alive()->training_status, overview_atom_v);
  if (!got)
    return failed(got.error());
  return uncached(to_json((*got)->value(), now()));
}

http_response delete_training(const http_request&, route_env& env) {
  auto actors = env.alive();
  auto book = env.ask(actors->training_jobs, delete_atom_v);
  if (!book)
    return failed(book.error());
  // The job is cancelled. If the rest is unknown, that must not look like a
  // failure of the request.
  training_overview overview;
  if (auto got = env.check(actors->training_status, overview_atom_v))
    overview = (*got)->value();
  else
    overview.backend.reason = text_of(got.error());
  overview.book = std::move(book->value);
  return uncached(to_json(overview, now()));
}

http_response get_training_jobs(const http_request& req, route_env& env) {
  auto query = read_job_query(req);
  if (!query)
    return failed(query.error());
  auto got = env.ask(env.alive()->training_jobs, list_atom_v);
  if (!got)
    return failed(got.error());
  http_response result;
  result.body = to_json(page_of((*got)->value(), *query), now());
  result.recurring = true;
  return result;
}

http_response get_training_job(const http_request& req, route_env& env) {
  auto got = env.ask(env.alive()->training_jobs, get_atom_v, req.id);
  if (!got)
    return failed(got.error());
  http_response result;
  result.body = to_json(*got, now());
  result.recurring = true;
  return result;
}

http_response get_watchlist(const http_request&, route_env& env) {
  auto got = env.ask(env.alive()->watchlist, overview_atom_v);
  if (!got)
    return failed(got.error());
  http_response result;
  result.body = (*got)->bytes(
    [](const watchlist_overview& x) { return to_json(x); });
  result.recurring = true;
  return result;
}

} // namespace aiops::http
