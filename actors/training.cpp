#include "actors/training.hpp"

#include "actors/log.hpp"

#include <algorithm>
#include <utility>

namespace aiops {

namespace {

/// What a person can do when a submission failed.
std::string remedy(ec code) {
  switch (code) {
    case ec::no_responders:
      return "the training backend is not running: start it, then submit again";
    case ec::timeout:
      return "the training may have started all the same: look at its status "
             "before submitting again";
    case ec::bad_reply:
      return "check that the backend speaks the protocol of "
             "--backend-protocol, and look at the training's status";
    default:
      return {};
  }
}

caf::error with_remedy(const caf::error& err) {
  auto help = remedy(code_of(err));
  if (help.empty())
    return err;
  return make_error(code_of(err), text_of(err) + "; " + help);
}

} // namespace

training_actor::behavior_type
training_state::make_behavior(backend_actor backend, store_actor store,
                              training_status_actor status,
                              const training_config& cfg) {
  backend_ = std::move(backend);
  store_ = std::move(store);
  status_ = std::move(status);
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
    submission{normalize(std::move(workloads)), promise, deadline}));
  work();
  return promise;
}

void training_state::work() {
  while (!current_ && !waiting_.empty()) {
    auto job = std::move(waiting_.front());
    waiting_.pop_front();
    current_ = job;
    send(job);
  }
}

void training_state::send(const submission_ptr& job) {
  auto left = remaining(*job);
  if (left.count() <= 0)
    return fail(job, make_error(ec::timeout,
                                "it took too long until the backend could be "
                                "asked; nothing was submitted, try again"));
  auto timeout = std::min<caf::timespan>(cfg_.request_timeout, left);
  log::info(name, "submits a watchlist",
            {{"workloads", job->workloads.size()}});
  // Both messages to the backend travel over one connection in this order: it
  // tells its watchlist before it sees the new one.
  self_->request(backend_, timeout, watchlist_atom_v)
    .then(
      [this, job](workload_list& xs) {
        job->before = normalize(std::move(xs));
        settle(job);
      },
      [this, job](caf::error& err) {
        job->before = std::move(err);
        settle(job);
      });
  self_->request(store_, timeout, get_atom_v)
    .then(
      [this, job](const stored_statistics& x) {
        job->revision = x.revision;
        settle(job);
      },
      [this, job](caf::error& err) {
        job->revision = std::move(err);
        settle(job);
      });
  self_
    ->request(backend_, left + training_grace, train_atom_v, job->workloads,
              left)
    .then(
      [this, job](std::string& response) {
        job->response = std::move(response);
        settle(job);
      },
      [this, job](const caf::error& err) { fail(job, with_remedy(err)); });
}

void training_state::settle(const submission_ptr& job) {
  // Never the last one after a failure, which is not counted.
  if (--job->open == 0)
    succeed(job);
}

void training_state::succeed(const submission_ptr& job) {
  auto action = action_of(*job);
  // Before the answer: whoever reads after it sees the fresh training.
  if (action == training_action::train)
    store_initial(*job);
  log::info(name, "has the backend's answer",
            {{"action", to_string(action)}, {"response", job->response}});
  job->promise.deliver(training_result{std::move(job->response), action});
  current_ = nullptr;
  work();
}

training_action training_state::action_of(const submission& job) const {
  if (job.before)
    return action_for(*job.before, job.workloads);
  if (job.workloads.empty())
    return training_action::reset;
  log::warning(name, "cannot tell whether there is something to train",
               {{"reason", text_of(job.before.error())}});
  return training_action::none;
}

void training_state::store_initial(const submission& job) {
  if (!job.revision) {
    log::warning(name, "cannot store the first statistics",
                 {{"reason", text_of(job.revision.error())}});
    return;
  }
  training_statistics fresh;
  fresh.remaining_time = initial_remaining_time;
  // Anonymously: an error that came back to a message from us would end us.
  caf::anon_send(status_, put_atom_v, fresh, *job.revision);
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
         backend_actor backend, store_actor store, training_status_actor status,
         const training_config& cfg) {
  return self->state.make_behavior(std::move(backend), std::move(store),
                                   std::move(status), cfg);
}

} // namespace aiops
