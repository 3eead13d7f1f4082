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

/// Whether the backend surely did not take the watchlist.
bool surely_not_taken(ec code) {
  switch (code) {
    case ec::no_responders:
    // A connection that was lost after sending is a timeout.
    case ec::disconnected:
    case ec::overloaded:
    case ec::too_large:
    case ec::conflict:
    case ec::refused:
    case ec::invalid_argument:
      return true;
    default:
      return false;
  }
}

} // namespace

training_actor::behavior_type
training_state::make_behavior(backend_actor backend, training_jobs_actor jobs,
                              const training_config& cfg) {
  backend_ = std::move(backend);
  jobs_ = std::move(jobs);
  cfg_ = cfg;
  return {
    [this](train_atom, training_request& x) { return submit(std::move(x)); },
  };
}

caf::result<training_result> training_state::submit(training_request request) {
  if (current_ && !request.dry_run && waiting_.size() >= cfg_.max_waiting)
    return make_error(ec::overloaded, "too many submissions are waiting, try "
                                      "again in a moment");
  auto promise = self_->make_response_promise<training_result>();
  auto deadline = self_->clock().now() + cfg_.train_timeout;
  request.workloads = normalize(std::move(request.workloads));
  auto job = std::make_shared<submission>(
    submission{std::move(request), promise, deadline});
  if (job->request.dry_run) {
    // Changes nothing, so it waits for nobody.
    compare(job, [this, job] { preview(job); });
  } else {
    waiting_.push_back(std::move(job));
    work();
  }
  return promise;
}

void training_state::work() {
  if (current_ || waiting_.empty())
    return;
  // A copy for the callees: `current_` changes when they finish.
  auto job = current_ = std::move(waiting_.front());
  waiting_.pop_front();
  if (remaining(*job).count() <= 0)
    return fail(job,
                make_error(ec::timeout,
                           "it took too long until the backend could be asked; "
                           "nothing was submitted, try again"));
  compare(job, [this, job] { enter(job); });
}

// -- before the backend is asked ----------------------------------------------

void training_state::compare(const submission_ptr& job,
                             std::function<void()> then) {
  auto with = [job, then](const workload_list& before) {
    job->result.action = action_for(before, job->request.workloads);
    job->result.changes = diff(before, job->request.workloads);
    then();
  };
  auto by_book = [this, job, with](const caf::error& why) {
    log::debug(name, "takes the last watchlist from the book",
               {{"reason", text_of(why)}});
    self_->request(jobs_, patience(*job), get_atom_v)
      .then([with](const stored_book& x) { with(watchlist_of(x.value)); },
            [this, job](const caf::error& err) { fail(job, err); });
  };
  self_->request(backend_, patience(*job), watchlist_atom_v)
    .then([with](workload_list& xs) { with(normalize(std::move(xs))); },
          by_book);
}

void training_state::preview(const submission_ptr& job) {
  self_->request(jobs_, patience(*job), get_atom_v)
    .then(
      [this, job](const stored_book& x) {
        if (x.value.job && running(x.value.job->state))
          job->result.running = x.value.job;
        answer(job);
      },
      [this, job](const caf::error& err) { fail(job, err); });
}

void training_state::enter(const submission_ptr& job) {
  job->result.job_id = cfg_.make_id();
  job_change entry = job_submission{job->result.job_id, job->result.action,
                                    job->request.workloads, job->result.changes,
                                    job->request.force};
  self_->request(jobs_, patience(*job), put_atom_v, std::move(entry))
    .then(
      [this, job](book_update& update) {
        job->before = std::move(update.before);
        send(job);
      },
      [this, job](const caf::error& err) {
        if (code_of(err) == ec::conflict)
          stands_in_the_way(job, err);
        else
          fail(job, err);
      });
}

void training_state::stands_in_the_way(const submission_ptr& job,
                                       const caf::error& err) {
  self_->request(jobs_, patience(*job), get_atom_v)
    .then(
      [this, job, err](const stored_book& x) {
        if (!x.value.job || !running(x.value.job->state))
          return fail(job, err);
        job->result.running = x.value.job;
        job->result.job_id.clear();
        answer(job);
      },
      [this, job](const caf::error& err2) { fail(job, err2); });
}

// -- the backend's part -------------------------------------------------------

void training_state::send(const submission_ptr& job) {
  auto left = std::max<caf::timespan>(remaining(*job), milliseconds{1});
  log::info(name, "submits a watchlist",
            {{"job", job->result.job_id},
             {"action", to_string(job->result.action)},
             {"workloads", job->request.workloads.size()}});
  self_
    ->request(backend_, left + training_grace, train_atom_v,
              backend_submission{job->result.job_id, job->request.workloads},
              left)
    .then([this,
           job](std::string& response) { accepted(job, std::move(response)); },
          [this, job](const caf::error& err) { refused(job, err); });
}

void training_state::accepted(const submission_ptr& job, std::string response) {
  log::info(name, "has the backend's answer",
            {{"job", job->result.job_id}, {"response", response}});
  job->result.response = response;
  settle(job, job_acceptance{job->result.job_id, std::move(response)});
}

void training_state::refused(const submission_ptr& job, const caf::error& err) {
  log::warning(name, "cannot submit",
               {{"job", job->result.job_id},
                {"error", to_string(code_of(err))},
                {"reason", text_of(err)}});
  if (surely_not_taken(code_of(err))) {
    // Before the answer, so that the caller finds everything as it was.
    auto on_settled = [this, job, err] {
      job->promise.deliver(with_remedy(err));
      finish();
    };
    job_change undo = job_rejection{job->result.job_id, text_of(err),
                                    std::move(job->before)};
    self_->request(jobs_, cfg_.request_timeout, put_atom_v, std::move(undo))
      .then([on_settled](const book_update&) { on_settled(); },
            [on_settled](const caf::error& why) {
              log::warning(name, "cannot take a submission back",
                           {{"reason", text_of(why)}});
              on_settled();
            });
    return;
  }
  // The caller's time may be over.
  job->promise.deliver(with_remedy(err));
  read_back(job, err);
}

void training_state::read_back(const submission_ptr& job,
                               const caf::error& err) {
  auto id = job->result.job_id;
  self_->request(backend_, cfg_.request_timeout, watchlist_atom_v)
    .then(
      [this, job, id, err](workload_list& xs) {
        if (normalize(std::move(xs)) == job->request.workloads)
          settle(job, job_acceptance{id, "found by reading back"});
        else
          settle(job, job_rejection{id, text_of(err), std::move(job->before)});
      },
      [this, job, id, err](const caf::error&) {
        settle(job, job_doubt{id, text_of(err)});
      });
}

void training_state::settle(const submission_ptr& job, job_change outcome) {
  self_->request(jobs_, cfg_.request_timeout, put_atom_v, std::move(outcome))
    .then([this, job](const book_update&) { answer(job); },
          [this, job](const caf::error& err) {
            // It is in the book as submitted: progress or silence will tell.
            log::warning(
              name, "cannot store what became of a submission",
              {{"job", job->result.job_id}, {"reason", text_of(err)}});
            answer(job);
          });
}

// -- the end ------------------------------------------------------------------

void training_state::answer(const submission_ptr& job) {
  if (job->promise.pending())
    job->promise.deliver(std::move(job->result));
  if (job == current_)
    finish();
}

void training_state::fail(const submission_ptr& job, const caf::error& err) {
  log::warning(name, "cannot submit",
               {{"error", to_string(code_of(err))}, {"reason", text_of(err)}});
  job->promise.deliver(err);
  if (job == current_)
    finish();
}

void training_state::finish() {
  current_ = nullptr;
  work();
}

caf::timespan training_state::patience(const submission& job) const {
  auto least = caf::timespan{milliseconds{1}};
  return std::clamp<caf::timespan>(
    remaining(job), least,
    std::max<caf::timespan>(least, cfg_.request_timeout));
}

caf::timespan training_state::remaining(const submission& job) const {
  return job.deadline - self_->clock().now();
}

training_actor::behavior_type
training(training_actor::stateful_pointer<training_state> self,
         backend_actor backend, training_jobs_actor jobs,
         const training_config& cfg) {
  return self->state.make_behavior(std::move(backend), std::move(jobs), cfg);
}

} // namespace aiops
