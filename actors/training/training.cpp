#include "actors/training/training.hpp"

#include "actors/training/planted_bug.hpp"
#include "base/log.hpp"

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
    case ec::lost_in_flight:
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

/// Whether the backend may have accepted the watchlist although the request
/// failed.
bool may_be_accepted(ec code) {
  if (code == ec::timeout && planted(planted_bug::timeout_is_not_done))
    return false;
  return may_have_happened(code);
}

} // namespace

internal_training_actor::behavior_type
training_state::make_behavior(backend_actor backend, training_jobs_actor jobs,
                              job_store_actor store,
                              const training_config& cfg) {
  backend_ = std::move(backend);
  jobs_ = std::move(jobs);
  store_ = std::move(store);
  cfg_ = cfg;
  caf::anon_send(jobs_, subscribe_atom_v,
                 caf::actor_cast<book_listener_actor>(self_));
  return {
    [this](train_atom, training_request& x) { return submit(std::move(x)); },
    [this](update_atom, stored_book& x) { book_ = std::move(x); },
    [this](restart_atom) {
      if (auto what = std::exchange(postponed_, nullptr))
        what();
    },
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
    begin_afresh(job);
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
  job->result.job_id = cfg_.make_id();
  if (!book_)
    return begin_afresh(job);
  job->book = *book_;
  compare(job);
}

// -- before the backend is asked ----------------------------------------------

void training_state::begin_afresh(const submission_ptr& job) {
  self_->request(jobs_, patience(*job), get_atom_v)
    .then(
      [this, job](stored_book& x) {
        job->book = std::move(x);
        compare(job);
      },
      [this, job](const caf::error& err) { fail(job, err); });
}

void training_state::compare(const submission_ptr& job) {
  job->open = 2;
  job->failure = {};
  ask_for_base(job);
  store_list(job);
}

void training_state::ask_for_base(const submission_ptr& job) {
  auto& book = job->book.value;
  auto by_book = [this, job](const caf::error& why) {
    log::debug(name, "takes the last watchlist from the book",
               {{"reason", text_of(why)}});
    job->base = basis_list(job->book.value);
    end_step(job, {});
  };
  // What stands in the store may be that of a submission without outcome.
  auto known = !book.watchlist.job_id.empty() || book.training
               || book.submission;
  if (cfg_.compare_by_book && known)
    return by_book({});
  self_->request(backend_, patience(*job), watchlist_atom_v)
    .then(
      [this, job](workload_list& xs) {
        job->base = normalize(std::move(xs));
        end_step(job, {});
      },
      by_book);
}

void training_state::store_list(const submission_ptr& job) {
  auto& list = job->request.workloads;
  // One that will probably be refused is stored with the entry, if at all.
  auto in_the_way = busy(job->book.value) && !job->request.force;
  if (job->request.dry_run || list.empty() || in_the_way
      || list == job->book.value.watchlist.workloads)
    return end_step(job, {});
  self_
    ->request(store_, patience(*job), put_atom_v,
              backend_submission{job->result.job_id, list})
    .then([this, job] { end_step(job, {}); },
          [this, job](const caf::error& err) { end_step(job, err); });
}

void training_state::end_step(const submission_ptr& job,
                              const caf::error& err) {
  if (err)
    job->failure = err;
  if (--job->open > 0)
    return;
  if (job->failure)
    return fail(job, job->failure);
  auto& list = job->request.workloads;
  job->result.action = action_on(job->book.value, job->base, list);
  job->result.changes = diff(job->base, list);
  if (job->request.dry_run)
    preview(job);
  else
    enter(job);
}

void training_state::preview(const submission_ptr& job) {
  if (busy(job->book.value))
    job->result.running = *current_job(job->book.value);
  answer(job);
}

void training_state::enter(const submission_ptr& job) {
  job_change entry = job_submission{job->result.job_id,
                                    job->result.action,
                                    job->request.workloads,
                                    job->result.changes,
                                    job->request.force,
                                    basis_of(job->book.value),
                                    job->base};
  if (planted(planted_bug::book_after_backend) && job->result.response.empty())
    return send(job);
  self_->request(jobs_, patience(*job), put_atom_v, std::move(entry))
    .then(
      [this, job](const book_update&) {
        if (planted(planted_bug::book_after_backend))
          return accepted(job, job->result.response);
        send(job);
      },
      [this, job](const caf::error& err) {
        if (code_of(err) == ec::conflict)
          return not_entered(job, err);
        fail(job, err);
        // It may be in the book all the same, but nobody will send it.
        give_up(job, err);
      });
}

void training_state::give_up(const submission_ptr& job, const caf::error& err) {
  self_
    ->request(jobs_, cfg_.request_timeout, put_atom_v,
              job_change{
                job_rejection{job->result.job_id, "not sent: " + text_of(err)}})
    .then([](const book_update&) { /* nop */ },
          [](const caf::error&) { /* the keeper of the book owes it now */ });
}

void training_state::not_entered(const submission_ptr& job,
                                 const caf::error& err) {
  auto look = [this, job, err](stored_book& x) {
    auto& book = x.value;
    if (busy(book) && !job->request.force) {
      job->result.running = *current_job(book);
      job->result.job_id.clear();
      return answer(job);
    }
    job->book = std::move(x);
    auto again = [this, job] { begin_afresh(job); };
    if (pending(job->book.value))
      later(job, again,
            make_error(ec::overloaded,
                       text_of(err)
                         + "; try again in a moment, or give it up (DELETE "
                           "/api/v1/training)"));
    else
      compare(job);
  };
  self_->request(jobs_, patience(*job), get_atom_v)
    .then(look, [this, job](const caf::error& err2) { fail(job, err2); });
}

void training_state::later(const submission_ptr& job,
                           std::function<void()> what, const caf::error& why) {
  if (remaining(*job) <= cfg_.retry_pause)
    return fail(job, why);
  postponed_ = std::move(what);
  self_->delayed_send(self_, cfg_.retry_pause, restart_atom_v);
}

// -- the backend's part -------------------------------------------------------

void training_state::send(const submission_ptr& job) {
  auto left = remaining(*job);
  if (left.count() <= 0)
    return refused(job, make_error(ec::overloaded,
                                   "the store left no time to ask the "
                                   "backend; nothing was submitted"));
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
  if (planted(planted_bug::book_after_backend) && job->open++ == 0)
    return enter(job);
  // An answer may be empty, but it is one.
  if (response.empty())
    response = "accepted";
  settle(job, job_acceptance{job->result.job_id, std::move(response)});
}

void training_state::refused(const submission_ptr& job, const caf::error& err) {
  log::warning(name, "cannot submit",
               {{"job", job->result.job_id},
                {"error", to_string(code_of(err))},
                {"reason", text_of(err)}});
  if (!may_be_accepted(code_of(err))) {
    // Before the answer, so that the caller finds everything as it was.
    auto on_settled = [this, job, err] {
      job->promise.deliver(with_remedy(err));
      finish();
    };
    job_change undo = job_rejection{job->result.job_id, text_of(err)};
    self_->request(jobs_, cfg_.request_timeout, put_atom_v, std::move(undo))
      .then([on_settled](const book_update&) { on_settled(); },
            [on_settled](const caf::error& why) {
              log::warning(name, "cannot take a submission back yet",
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
  auto doubt = [this, job, err] {
    settle(job, job_doubt{job->result.job_id, text_of(err)});
  };
  // Our own echo, or the list of before, is no evidence.
  auto& list = job->request.workloads;
  if ((cfg_.compare_by_book || list == job->base.get())
      && !planted(planted_bug::own_echo_is_acceptance))
    return doubt();
  self_->request(backend_, cfg_.request_timeout, watchlist_atom_v)
    .then(
      [this, job, doubt](workload_list& xs) {
        if (normalize(std::move(xs)) == job->request.workloads)
          settle(job,
                 job_acceptance{job->result.job_id, "found by reading back"});
        else
          doubt();
      },
      [doubt](const caf::error&) { doubt(); });
}

void training_state::settle(const submission_ptr& job, job_change outcome) {
  self_->request(jobs_, cfg_.request_timeout, put_atom_v, outcome)
    .then([this, job](const book_update& update) { settled(job, update); },
          [this, job, outcome](const caf::error& err) {
            log::warning(
              name, "cannot store yet what became of a submission",
              {{"job", job->result.job_id}, {"reason", text_of(err)}});
            if (!job->promise.pending())
              return finish();
            if (planted(planted_bug::outcome_written_once))
              return answer(job);
            later(
              job, [this, job, outcome] { settle(job, outcome); },
              // To submit it again would be once too often.
              make_error(ec::timeout, "the backend accepted the watchlist, "
                                      "but that could not be stored yet: "
                                        + text_of(err)));
          });
}

void training_state::settled(const submission_ptr& job,
                             const book_update& update) {
  // The caller has an answer; the outcome was a doubt.
  if (!job->promise.pending())
    return finish();
  auto& book = update.after.value;
  auto entered = find_job(book, job->result.job_id);
  // It may have left the book for the history.
  if (entered && entered->state == job_state::cancelled)
    return fail(job, make_error(ec::conflict,
                                "the submission was given up at the same "
                                "time"));
  if (entered && entered->response.empty())
    return fail(job, make_error(ec::timeout,
                                "the answer of the backend came when the "
                                "submission was settled without it"));
  answer(job);
}

// -- the end ------------------------------------------------------------------

void training_state::answer(const submission_ptr& job) {
  if (job->request.dry_run)
    job->result.job_id.clear();
  if (job->promise.pending())
    job->promise.deliver(std::move(job->result));
  if (job == current_)
    finish();
}

void training_state::fail(const submission_ptr& job, const caf::error& err) {
  log::warning(name, "cannot submit",
               {{"error", to_string(code_of(err))}, {"reason", text_of(err)}});
  if (job->promise.pending())
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

internal_training_actor::behavior_type
training(internal_training_actor::stateful_pointer<training_state> self,
         backend_actor backend, training_jobs_actor jobs, job_store_actor store,
         const training_config& cfg) {
  return self->state.make_behavior(std::move(backend), std::move(jobs),
                                   std::move(store), cfg);
}

} // namespace aiops
