#include "actors/training/training.hpp"

#include "actors/training/planted_bug.hpp"
#include "base/log.hpp"

#include <algorithm>
#include <utility>

namespace aiops {

namespace {

/// What a person can do after a failed submission.
std::string remedy(ec code) {
  switch (code) {
    case ec::no_responders:
      return "the training backend is not running: start it, then submit again";
    case ec::timeout:
    case ec::lost_in_flight:
      return "the training may have started nevertheless: check its status "
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
  auto submission = std::make_shared<pending_submission>(
    pending_submission{std::move(request), promise, deadline});
  if (submission->request.dry_run) {
    // Changes nothing, so it does not wait for other submissions.
    begin_with_fresh_book(submission);
  } else {
    waiting_.push_back(std::move(submission));
    work();
  }
  return promise;
}

void training_state::work() {
  if (current_ || waiting_.empty())
    return;
  // A copy for the callees: `current_` changes when they finish.
  auto submission = current_ = std::move(waiting_.front());
  waiting_.pop_front();
  if (remaining(*submission).count() <= 0)
    return fail(submission,
                make_error(ec::timeout,
                           "it took too long until the backend could be asked; "
                           "nothing was submitted, try again"));
  submission->result.job_id = cfg_.make_id();
  if (!book_)
    return begin_with_fresh_book(submission);
  submission->book = *book_;
  compare(submission);
}

// -- before the backend is asked ----------------------------------------------

void training_state::begin_with_fresh_book(const submission_ptr& submission) {
  self_->request(jobs_, request_time(*submission), get_atom_v)
    .then(
      [this, submission](stored_book& book) {
        submission->book = std::move(book);
        compare(submission);
      },
      [this, submission](const caf::error& err) { fail(submission, err); });
}

void training_state::compare(const submission_ptr& submission) {
  submission->open = 2;
  submission->failure = {};
  ask_for_base(submission);
  store_list(submission);
}

void training_state::ask_for_base(const submission_ptr& submission) {
  auto& book = submission->book.value;
  auto by_book = [this, submission](const caf::error& why) {
    log::debug(name, "uses the last watchlist of the book",
               {{"reason", text_of(why)}});
    submission->base = basis_list(submission->book.value);
    end_step(submission, {});
  };
  // The list in the store may be that of a submission without an outcome, or of
  // one that was refused and whose list is not removed yet.
  auto submitted = submission->book.revision != 0 && book.last_number != 0;
  auto known = submitted || !jobs_of(book).empty()
               || !book.watchlist.job_id.empty();
  if (cfg_.compare_by_book && known)
    return by_book({});
  self_->request(backend_, request_time(*submission), watchlist_atom_v)
    .then(
      [this, submission](workload_list& xs) {
        submission->base = normalize(std::move(xs));
        end_step(submission, {});
      },
      by_book);
}

void training_state::store_list(const submission_ptr& submission) {
  auto& list = submission->request.workloads;
  // A list that will probably be refused is stored with the entry, if at all.
  auto refused_later = busy(submission->book.value)
                       && !submission->request.force;
  if (submission->request.dry_run || list.empty() || refused_later
      || list == submission->book.value.watchlist.workloads)
    return end_step(submission, {});
  self_
    ->request(store_, request_time(*submission), put_atom_v,
              backend_submission{submission->result.job_id, list})
    .then(
      [this, submission] { end_step(submission, {}); },
      [this, submission](const caf::error& err) { end_step(submission, err); });
}

void training_state::end_step(const submission_ptr& submission,
                              const caf::error& err) {
  if (err)
    submission->failure = err;
  if (--submission->open > 0)
    return;
  if (submission->failure)
    return fail(submission, submission->failure);
  auto& list = submission->request.workloads;
  submission->result.action = action_on(submission->book.value,
                                        submission->base, list);
  submission->result.changes = diff(submission->base, list);
  if (submission->request.dry_run)
    preview(submission);
  else
    enter(submission);
}

void training_state::preview(const submission_ptr& submission) {
  if (busy(submission->book.value))
    submission->result.running = *current_job(submission->book.value);
  answer(submission);
}

void training_state::enter(const submission_ptr& submission) {
  job_change entry = job_submission{submission->result.job_id,
                                    submission->result.action,
                                    submission->request.workloads,
                                    submission->result.changes,
                                    submission->request.force,
                                    basis_of(submission->book.value),
                                    submission->base};
  if (planted(planted_bug::book_after_backend)
      && submission->result.response.empty())
    return send(submission);
  self_->request(jobs_, request_time(*submission), put_atom_v, std::move(entry))
    .then(
      [this, submission](const book_update&) {
        if (planted(planted_bug::book_after_backend))
          return accepted(submission, submission->result.response);
        send(submission);
      },
      [this, submission](const caf::error& err) {
        if (code_of(err) == ec::conflict)
          return not_entered(submission, err);
        fail(submission, err);
        // It may be in the book nevertheless, but it will not be sent.
        withdraw(submission, err);
      });
}

void training_state::withdraw(const submission_ptr& submission,
                              const caf::error& err) {
  self_
    ->request(jobs_, cfg_.request_timeout, put_atom_v,
              job_change{job_rejection{submission->result.job_id,
                                       "not sent: " + text_of(err)}})
    .then([](const book_update&) { /* nop */ },
          [](const caf::error&) { /* TRAINING JOBS stores it later */ });
}

void training_state::not_entered(const submission_ptr& submission,
                                 const caf::error& err) {
  auto on_book = [this, submission, err](stored_book& stored) {
    auto& book = stored.value;
    if (busy(book) && !submission->request.force) {
      submission->result.running = *current_job(book);
      submission->result.job_id.clear();
      return answer(submission);
    }
    submission->book = std::move(stored);
    auto again = [this, submission] { begin_with_fresh_book(submission); };
    if (pending(submission->book.value))
      later(submission, again,
            make_error(ec::overloaded,
                       text_of(err)
                         + "; try again in a moment, or cancel it (DELETE "
                           "/api/v1/training)"));
    else
      compare(submission);
  };
  self_->request(jobs_, request_time(*submission), get_atom_v)
    .then(on_book, [this, submission](const caf::error& err2) {
      fail(submission, err2);
    });
}

void training_state::later(const submission_ptr& submission,
                           std::function<void()> what, const caf::error& why) {
  if (remaining(*submission) <= cfg_.retry_pause)
    return fail(submission, why);
  postponed_ = std::move(what);
  self_->delayed_send(self_, cfg_.retry_pause, restart_atom_v);
}

// -- asking the backend -------------------------------------------------------

void training_state::send(const submission_ptr& submission) {
  auto left = remaining(*submission);
  if (left.count() <= 0)
    return refused(submission, make_error(ec::overloaded,
                                          "the store left no time to ask the "
                                          "backend; nothing was submitted"));
  log::info(name, "submits a watchlist",
            {{"job", submission->result.job_id},
             {"action", to_string(submission->result.action)},
             {"workloads", submission->request.workloads.size()}});
  self_
    ->request(backend_, left + training_grace, train_atom_v,
              backend_submission{submission->result.job_id,
                                 submission->request.workloads},
              left)
    .then(
      [this, submission](std::string& response) {
        accepted(submission, std::move(response));
      },
      [this, submission](const caf::error& err) { refused(submission, err); });
}

void training_state::accepted(const submission_ptr& submission,
                              std::string response) {
  log::info(name, "has the backend's answer",
            {{"job", submission->result.job_id}, {"response", response}});
  submission->result.response = response;
  if (planted(planted_bug::book_after_backend) && submission->open++ == 0)
    return enter(submission);
  // An empty response is a response.
  if (response.empty())
    response = "accepted";
  settle(submission,
         job_acceptance{submission->result.job_id, std::move(response)});
}

void training_state::refused(const submission_ptr& submission,
                             const caf::error& err) {
  log::warning(name, "cannot submit",
               {{"job", submission->result.job_id},
                {"error", to_string(code_of(err))},
                {"reason", text_of(err)}});
  if (!may_be_accepted(code_of(err))) {
    // Before the answer, so that the caller finds the state of before.
    auto on_settled = [this, submission, err] {
      submission->promise.deliver(with_remedy(err));
      finish();
    };
    job_change undo = job_rejection{submission->result.job_id, text_of(err)};
    self_->request(jobs_, cfg_.request_timeout, put_atom_v, std::move(undo))
      .then([on_settled](const book_update&) { on_settled(); },
            [on_settled](const caf::error& why) {
              log::warning(name, "cannot undo a submission yet",
                           {{"reason", text_of(why)}});
              on_settled();
            });
    return;
  }
  // The caller may not wait longer than its deadline.
  submission->promise.deliver(with_remedy(err));
  read_back(submission, err);
}

void training_state::read_back(const submission_ptr& submission,
                               const caf::error& err) {
  auto doubt = [this, submission, err] {
    settle(submission, job_doubt{submission->result.job_id, text_of(err)});
  };
  // The list that the gateway stored itself, and the list of before, show
  // nothing.
  auto& list = submission->request.workloads;
  if ((cfg_.compare_by_book || list == submission->base.get())
      && !planted(planted_bug::own_echo_is_acceptance))
    return doubt();
  self_->request(backend_, cfg_.request_timeout, watchlist_atom_v)
    .then(
      [this, submission, doubt](workload_list& xs) {
        if (normalize(std::move(xs)) == submission->request.workloads)
          settle(submission, job_acceptance{submission->result.job_id,
                                            "found by reading back"});
        else
          doubt();
      },
      [doubt](const caf::error&) { doubt(); });
}

void training_state::settle(const submission_ptr& submission,
                            job_change outcome) {
  self_->request(jobs_, cfg_.request_timeout, put_atom_v, outcome)
    .then([this, submission](
            const book_update& update) { settled(submission, update); },
          [this, submission, outcome](const caf::error& err) {
            log::warning(
              name, "cannot store the outcome of a submission yet",
              {{"job", submission->result.job_id}, {"reason", text_of(err)}});
            if (!submission->promise.pending())
              return finish();
            if (planted(planted_bug::outcome_written_once))
              return answer(submission);
            later(
              submission,
              [this, submission, outcome] { settle(submission, outcome); },
              // Not an error that asks the caller to submit again.
              make_error(ec::timeout, "the backend accepted the watchlist, "
                                      "but that could not be stored yet: "
                                        + text_of(err)));
          });
}

void training_state::settled(const submission_ptr& submission,
                             const book_update& update) {
  // The caller has its answer already; the outcome was a doubt.
  if (!submission->promise.pending())
    return finish();
  auto& book = update.after.value;
  auto entered = find_job(book, submission->result.job_id);
  // The job may have left the book for the history.
  if (entered && entered->state == job_state::cancelled)
    return fail(submission,
                make_error(ec::conflict,
                           "the submission was cancelled at the same "
                           "time"));
  if (entered && entered->response.empty())
    return fail(submission,
                make_error(ec::timeout,
                           "the backend answered after the submission "
                           "was settled without its answer"));
  answer(submission);
}

// -- the end ------------------------------------------------------------------

void training_state::answer(const submission_ptr& submission) {
  if (submission->request.dry_run)
    submission->result.job_id.clear();
  if (submission->promise.pending())
    submission->promise.deliver(std::move(submission->result));
  if (submission == current_)
    finish();
}

void training_state::fail(const submission_ptr& submission,
                          const caf::error& err) {
  log::warning(name, "cannot submit",
               {{"error", to_string(code_of(err))}, {"reason", text_of(err)}});
  if (submission->promise.pending())
    submission->promise.deliver(err);
  if (submission == current_)
    finish();
}

void training_state::finish() {
  current_ = nullptr;
  work();
}

caf::timespan
training_state::request_time(const pending_submission& submission) const {
  auto minimum = caf::timespan{milliseconds{1}};
  return std::clamp<caf::timespan>(
    remaining(submission), minimum,
    std::max<caf::timespan>(minimum, cfg_.request_timeout));
}

caf::timespan
training_state::remaining(const pending_submission& submission) const {
  return submission.deadline - self_->clock().now();
}

internal_training_actor::behavior_type
training(internal_training_actor::stateful_pointer<training_state> self,
         backend_actor backend, training_jobs_actor jobs, job_store_actor store,
         const training_config& cfg) {
  return self->state.make_behavior(std::move(backend), std::move(jobs),
                                   std::move(store), cfg);
}

} // namespace aiops
