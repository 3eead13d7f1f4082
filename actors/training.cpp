#include "actors/training.hpp"

#include "actors/log.hpp"

#include <algorithm>
#include <utility>

namespace aiops {

namespace {

/// What a person can do about an error before anything was sent.
std::string remedy_before(ec code) {
  switch (code) {
    case ec::no_responders:
      return "the training backend is not running: start it, then submit again";
    case ec::timeout:
      return "nothing was submitted, try again";
    case ec::bad_reply:
      return "nothing was submitted: check that the backend speaks the "
             "protocol of --backend-protocol";
    default:
      return {};
  }
}

/// What a person can do when the submission itself failed.
std::string remedy_after(ec code) {
  switch (code) {
    case ec::timeout:
      return "the training may have started all the same: look at its status "
             "before submitting again";
    case ec::bad_reply:
      return "check that the backend speaks the protocol of "
             "--backend-protocol, and look at the training's status";
    default:
      return remedy_before(code);
  }
}

caf::error with_remedy(const caf::error& err, const std::string& remedy) {
  if (remedy.empty())
    return err;
  return make_error(code_of(err), text_of(err) + "; " + remedy);
}

caf::error too_late() {
  return make_error(ec::timeout, "it took too long until the backend could be "
                                 "asked; "
                                   + remedy_before(ec::timeout));
}

} // namespace

training_actor::behavior_type
training_state::make_behavior(backend_actor backend, store_actor store,
                              const training_config& cfg) {
  backend_ = std::move(backend);
  store_ = std::move(store);
  cfg_ = cfg;
  return {
    [this](train_atom, workload_list& xs) { return submit(std::move(xs)); },
  };
}

caf::result<training_result> training_state::submit(workload_list workloads) {
  if (current_ && waiting_.size() >= cfg_.max_waiting)
    return make_error(ec::overloaded, "too many submissions are waiting, try "
                                      "again in a moment");
  auto promise = self_->make_response_promise<training_result>();
  auto deadline = self_->clock().now() + cfg_.train_timeout;
  waiting_.push_back(std::make_shared<submission>(
    submission{normalize(std::move(workloads)), promise, deadline, {}, {}}));
  work();
  return promise;
}

void training_state::work() {
  while (!current_ && !waiting_.empty()) {
    auto job = std::move(waiting_.front());
    waiting_.pop_front();
    current_ = job;
    prepare(job);
  }
}

void training_state::prepare(const submission_ptr& job) {
  auto left = remaining(*job);
  if (left.count() <= 0)
    return fail(job, too_late());
  auto timeout = std::min<caf::timespan>(cfg_.request_timeout, left);
  auto on_error = [this, job](const caf::error& err) {
    if (current(job))
      fail(job, with_remedy(err, remedy_before(code_of(err))));
  };
  self_->request(backend_, timeout, watchlist_atom_v)
    .then(
      [this, job](workload_list& xs) {
        job->before = normalize(std::move(xs));
        send(job);
      },
      on_error);
  self_->request(store_, timeout, get_atom_v)
    .then(
      [this, job](const stored_statistics& x) {
        job->revision = x.revision;
        send(job);
      },
      on_error);
}

void training_state::send(const submission_ptr& job) {
  if (!current(job) || !job->before || !job->revision)
    return;
  auto action = action_for(*job->before, job->workloads);
  auto left = remaining(*job);
  if (left.count() <= 0)
    return fail(job, too_late());
  log::info(
    name, "submits a watchlist",
    {{"action", to_string(action)}, {"workloads", job->workloads.size()}});
  self_
    ->request(backend_, left + training_grace, train_atom_v, job->workloads,
              left)
    .then(
      [this, job, action](std::string& response) {
        accepted(job, {std::move(response), action});
      },
      [this, job](const caf::error& err) {
        fail(job, with_remedy(err, remedy_after(code_of(err))));
      });
}

void training_state::accepted(const submission_ptr& job,
                              training_result result) {
  if (result.action == training_action::train)
    store_initial(job, std::move(result));
  else
    succeed(job, std::move(result));
}

void training_state::store_initial(const submission_ptr& job,
                                   training_result result) {
  training_statistics fresh;
  fresh.remaining_time = initial_remaining_time;
  auto timeout = std::max<caf::timespan>(
    std::min<caf::timespan>(remaining(*job), cfg_.request_timeout),
    training_grace);
  self_->request(store_, timeout, put_atom_v, fresh, *job->revision)
    .then([this, job, result](uint64_t) { succeed(job, result); },
          [this, job, result](const caf::error& err) {
            // A conflict means that the backend was faster: its first
            // progress is there already.
            if (code_of(err) != ec::conflict)
              log::warning(name, "cannot store the first statistics",
                           {{"reason", text_of(err)}});
            succeed(job, result);
          });
}

void training_state::succeed(const submission_ptr& job,
                             training_result result) {
  log::info(name, "has the backend's answer", {{"response", result.response}});
  job->promise.deliver(std::move(result));
  current_ = nullptr;
  work();
}

void training_state::fail(const submission_ptr& job, const caf::error& err) {
  log::warning(name, "cannot submit",
               {{"error", to_string(code_of(err))}, {"reason", text_of(err)}});
  job->promise.deliver(err);
  current_ = nullptr;
  work();
}

caf::timespan training_state::remaining(const submission& job) const {
  return job.deadline - self_->clock().now();
}

training_actor::behavior_type
training(training_actor::stateful_pointer<training_state> self,
         backend_actor backend, store_actor store, const training_config& cfg) {
  return self->state.make_behavior(std::move(backend), std::move(store), cfg);
}

} // namespace aiops
