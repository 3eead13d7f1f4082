#include "actors/training_jobs.hpp"

#include "actors/error.hpp"
#include "actors/log.hpp"

#include <algorithm>
#include <utility>

namespace aiops {

namespace {

/// Jobs that are answered.
constexpr uint64_t listed_jobs = 100;

/// Whether a change that finds nothing to do needs no second look: it will
/// come again.
bool recurs(const job_change& what) {
  return std::holds_alternative<job_observation>(what)
         || std::holds_alternative<job_silence>(what);
}

/// The job before the current one, once it cannot come back; else null.
const training_job* past_job(const training_book& book) {
  auto may_return = book.job && pending(*book.job);
  return book.before && !may_return ? &*book.before : nullptr;
}

/// Whether there is nothing that other programs should read of the model.
bool forgotten(const training_book& book) {
  return !book.job || book.job->state == job_state::cancelled;
}

void log_step(const training_book& before, const training_book& after) {
  if (!after.job || before.job == after.job)
    return;
  auto& job = *after.job;
  if (before.job && before.job->id == job.id && before.job->state == job.state)
    return;
  auto lvl = job.state == job_state::failed || job.state == job_state::stalled
               ? log::level::warning
               : log::level::info;
  log::fields more{{"job", job.id},
                   {"state", to_string(job.state)},
                   {"action", to_string(job.action)}};
  if (!job.reason.empty())
    more.emplace_back("reason", job.reason);
  log::write(lvl, training_jobs_state::name, "a job changed", more);
}

} // namespace

// -- initialization -----------------------------------------------------------

training_jobs_actor::behavior_type
training_jobs_state::make_behavior(job_store_actor store, backend_actor backend,
                                   const training_jobs_config& cfg) {
  store_ = std::move(store);
  backend_ = std::move(backend);
  cfg_ = cfg;
  self_->set_down_handler([this](const caf::down_msg& msg) {
    std::erase_if(listeners_,
                  [&](auto& x) { return x.address() == msg.source; });
  });
  self_->send(store_, subscribe_atom_v,
              caf::actor_cast<book_listener_actor>(self_));
  self_->send(self_, tick_atom_v);
  patient_until_ = self_->clock().now()
                   + std::min<milliseconds>(cfg_.stall_after, settling_time);
  return {
    [this](put_atom, job_change& what) { return change(std::move(what)); },
    [this](delete_atom) { return forget(); },
    [this](get_atom) { return get(); },
    [this](list_atom) { return list(); },
    [this](get_atom, const std::string& id) { return find(id); },
    [this](subscribe_atom, book_listener_actor& listener) {
      self_->monitor(listener);
      if (known_)
        caf::anon_send(listener, update_atom_v, *known_);
      listeners_.push_back(std::move(listener));
    },
    [this](update_atom, stored_book& got) { handle_update(std::move(got)); },
    [this](tick_atom) { tick(); },
  };
}

change_context training_jobs_state::context() const {
  // As it is stored.
  auto now = std::chrono::floor<milliseconds>(cfg_.wall_clock());
  return {now, cfg_.make_id(), cfg_.idle_text, cfg_.initial, cfg_.outcome_time};
}

// -- changes ------------------------------------------------------------------

caf::result<book_update> training_jobs_state::change(job_change what) {
  if (current_ && waiting_.size() >= cfg_.max_waiting)
    return make_error(ec::overloaded, "too many changes of the training wait, "
                                      "try again in a moment");
  auto promise = self_->make_response_promise<book_update>();
  waiting_.push_back(
    std::make_shared<pending_change>(pending_change{std::move(what), promise}));
  work();
  return promise;
}

void training_jobs_state::work() {
  if (current_ || waiting_.empty())
    return;
  // A copy for the callees: `current_` changes when they finish.
  auto job = current_ = std::move(waiting_.front());
  waiting_.pop_front();
  if (known_)
    judge(job);
  else
    judge_afresh(job);
}

void training_jobs_state::judge(const change_ptr& job) {
  auto base = *known_;
  auto next = apply_change(base.value, job->what, context());
  if (!next || *next == base.value) {
    if (!job->fresh && !recurs(job->what))
      judge_afresh(job);
    else if (next)
      succeed(job, base.value, base);
    else
      fail(job, next.error());
    return;
  }
  if (next->before && next->before->id == archived_)
    next->before.reset();
  auto pushed_out = next->last_number != base.value.last_number
                    && base.value.before && base.value.before->id != archived_;
  if (pushed_out)
    archive_first(job, std::move(*next));
  else
    write(job, *next);
}

void training_jobs_state::judge_afresh(const change_ptr& job) {
  read([this, job](const caf::expected<stored_book>& got) {
    if (!got)
      return fail(job, got.error());
    job->fresh = true;
    judge(job);
  });
}

void training_jobs_state::archive_first(const change_ptr& job,
                                        training_book next) {
  auto id = known_->value.before->id;
  auto revision = known_->revision;
  self_
    ->request(store_, cfg_.request_timeout, put_atom_v, *known_->value.before)
    .then(
      [this, job, id, revision, next = std::move(next)] {
        archived_ = id;
        if (known_->revision == revision)
          write(job, next);
        else
          judge(job);
      },
      [this, job](const caf::error& err) { fail(job, err); });
}

void training_jobs_state::write(const change_ptr& job,
                                const training_book& next) {
  auto base = *known_;
  writing_ = true;
  ++writes_;
  self_->request(store_, cfg_.request_timeout, put_atom_v, next, base.revision)
    .then(
      [this, job, next, before = base.value](uint64_t revision) {
        writing_ = false;
        succeed(job, before, {next, revision});
      },
      [this, job, next, before = base.value](const caf::error& err) {
        writing_ = false;
        switch (code_of(err)) {
          case ec::conflict:
            if (++job->tries < cfg_.max_tries)
              return judge_afresh(job);
            return fail(job, make_error(ec::overloaded,
                                        "too many change the training at the "
                                        "same time, try again in a moment"));
          case ec::too_large:
            return fail(job, err);
          default:
            // The store may have shown us our write in the meantime, so what we
            // know is perhaps not what was before.
            read_back(job, before, next, err);
        }
      });
}

void training_jobs_state::read_back(const change_ptr& job,
                                    const training_book& before,
                                    const training_book& next,
                                    const caf::error& why) {
  read([this, job, next, why, before](const caf::expected<stored_book>& got) {
    if (got && got->value == next)
      succeed(job, before, *got);
    else
      fail(job, why);
  });
}

void training_jobs_state::succeed(const change_ptr& job,
                                  const training_book& before,
                                  stored_book after) {
  if (!mirrored_ && before.model != after.value.model)
    mirrored_ = before.model;
  if (after.value != before)
    log_step(before, after.value);
  if (!known_ || known_->revision < after.revision)
    know(after);
  auto deliver = [promise = job->promise,
                  answer = book_update{before, std::move(after)}]() mutable {
    promise.deliver(std::move(answer));
  };
  // The backend waits behind a submission, nobody else for what it shows.
  if (std::holds_alternative<job_submission>(job->what))
    deliver();
  else
    after_mirror_.push_back(std::move(deliver));
  mirror();
  archive();
  finish();
}

void training_jobs_state::fail(const change_ptr& job, const caf::error& err) {
  job->promise.deliver(err);
  finish();
}

void training_jobs_state::finish() {
  current_ = nullptr;
  work();
}

caf::result<stored_book> training_jobs_state::forget() {
  auto promise = self_->make_response_promise<stored_book>();
  auto on_error = [promise](const caf::error& err) mutable {
    promise.deliver(err);
  };
  auto on_change = [this, promise, on_error](book_update& update) mutable {
    if (!forgotten(update.after.value)) {
      promise.deliver(std::move(update.after));
      return;
    }
    // Again, even if nothing changed: it may have failed the last time.
    self_->request(backend_, cfg_.request_timeout, delete_atom_v)
      .then(
        [promise, answer = update.after]() mutable {
          promise.deliver(std::move(answer));
        },
        on_error);
  };
  self_
    ->request(caf::actor_cast<training_jobs_actor>(self_),
              cfg_.request_timeout * 3, put_atom_v,
              job_change{job_cancellation{}})
    .then(on_change, on_error);
  return promise;
}

// -- the book -----------------------------------------------------------------

caf::result<stored_book> training_jobs_state::get() {
  auto promise = self_->make_response_promise<stored_book>();
  read_shared([promise](const caf::expected<stored_book>& got) mutable {
    if (got)
      promise.deliver(*got);
    else
      promise.deliver(got.error());
  });
  return promise;
}

void training_jobs_state::read_shared(on_book then) {
  readers_.push_back(std::move(then));
  if (readers_.size() > 1)
    return;
  read([this](const caf::expected<stored_book>& got) {
    for (auto& reader : std::exchange(readers_, {}))
      reader(got);
  });
}

void training_jobs_state::read(on_book then) {
  auto alone = !writing_;
  auto writes = writes_;
  self_->request(store_, cfg_.request_timeout, get_atom_v)
    .then(
      [this, then, alone, writes](stored_book& got) {
        import_first(std::move(got), [this, then, alone, writes](
                                       const caf::expected<stored_book>& book) {
          if (!book)
            return then(book);
          auto surely_latest = alone && writes == writes_;
          if (!known_ || known_->revision < book->revision || surely_latest)
            know(*book);
          then(*known_);
        });
      },
      [then](const caf::error& err) { then(err); });
}

void training_jobs_state::import_first(stored_book got, on_book then) {
  if (got.revision != 0) {
    imported_.emplace();
    return then(std::move(got));
  }
  if (imported_)
    return then(stored_book{*imported_, 0});
  self_->request(backend_, cfg_.request_timeout, get_atom_v)
    .then(
      [this, then](const stored_model& model) {
        imported_ = model.revision == 0
                      ? training_book{}
                      : import_model(
                        model.value,
                        std::chrono::floor<milliseconds>(model.created),
                        context());
        then(stored_book{*imported_, 0});
      },
      [then](const caf::error& err) { then(err); });
}

void training_jobs_state::handle_update(stored_book got) {
  if (known_ && got.revision == known_->revision)
    return;
  // What is older is late, or the store lost what was there: ask.
  if (got.revision == 0 || (known_ && got.revision < known_->revision))
    return read([](const caf::expected<stored_book>&) { /* nop */ });
  know(std::move(got));
  archive();
}

void training_jobs_state::know(stored_book book) {
  if (known_ && known_->revision == book.revision
      && known_->value == book.value)
    return;
  known_ = std::move(book);
  // Jobs of a store that was made anew since.
  auto last = known_->value.last_number;
  if (complete_up_to_ > last
      || (!history_.empty() && history_.rbegin()->first > last)) {
    history_.clear();
    complete_up_to_ = 0;
  }
  if (auto job = past_job(known_->value))
    remember({summary_of(*job)});
  for (auto& listener : listeners_)
    caf::anon_send(listener, update_atom_v, *known_);
  // We wrote there before, perhaps after whoever made this change.
  if (mirrored_)
    mirror();
}

// -- what follows a change ----------------------------------------------------

void training_jobs_state::mirror() {
  if (mirroring_)
    return;
  if (!mirrored_ || *mirrored_ == known_->value.model) {
    for (auto& done : std::exchange(after_mirror_, {}))
      done();
    return;
  }
  mirroring_ = true;
  auto target = known_->value.model;
  auto stored = [this, target] {
    mirroring_ = false;
    mirrored_ = target;
    mirror();
  };
  // The book holds it, so nothing is lost. The next tick tries again.
  auto failed = [this](const caf::error& err) {
    mirroring_ = false;
    log::warning(name, "cannot store the model's status for other programs",
                 {{"reason", text_of(err)}});
    for (auto& done : std::exchange(after_mirror_, {}))
      done();
  };
  if (forgotten(known_->value))
    self_->request(backend_, cfg_.request_timeout, delete_atom_v)
      .then(stored, failed);
  else
    self_->request(backend_, cfg_.request_timeout, put_atom_v, target)
      .then(stored, failed);
}

void training_jobs_state::archive() {
  auto job = known_ ? past_job(known_->value) : nullptr;
  if (!job || job->id == archived_)
    return;
  self_->request(store_, cfg_.request_timeout, put_atom_v, *job)
    .then([this, id = job->id] { archived_ = id; },
          [](const caf::error& err) {
            // It stays in the book until this has worked.
            log::debug(name, "cannot add to the history",
                       {{"reason", text_of(err)}});
          });
}

// -- the history --------------------------------------------------------------

caf::result<snapshot_ptr<job_summaries>> training_jobs_state::list() {
  auto promise = self_->make_response_promise<snapshot_ptr<job_summaries>>();
  auto answer = [this, promise](const caf::error& err) mutable {
    if (err) {
      promise.deliver(err);
      return;
    }
    auto result = last_jobs();
    if (!last_list_ || last_list_->value() != result)
      last_list_ = make_snapshot(std::move(result));
    promise.deliver(last_list_);
  };
  read_shared([this, answer](const caf::expected<stored_book>& got) mutable {
    if (got)
      with_history(answer);
    else
      answer(got.error());
  });
  return promise;
}

job_summaries training_jobs_state::last_jobs() const {
  auto jobs = history_;
  for (auto* job : {&known_->value.before, &known_->value.job})
    if (*job)
      jobs.insert_or_assign((*job)->number, summary_of(**job));
  job_summaries result;
  for (auto i = jobs.rbegin(); i != jobs.rend() && result.size() < listed_jobs;
       ++i)
    result.push_back(std::move(i->second));
  return result;
}

caf::result<training_job> training_jobs_state::find(const std::string& id) {
  auto promise = self_->make_response_promise<training_job>();
  auto on_error = [promise](const caf::error& err) mutable {
    promise.deliver(err);
  };
  auto missing = [on_error]() mutable {
    on_error(make_error(ec::not_found, "none of the last jobs has this id"));
  };
  auto on_history = [=, this](const caf::error& err) mutable {
    if (err)
      return on_error(err);
    auto jobs = last_jobs();
    auto i = std::find_if(jobs.begin(), jobs.end(),
                          [&](auto& x) { return x.job.id == id; });
    if (i == jobs.end())
      return missing();
    self_->request(store_, cfg_.request_timeout, get_atom_v, i->job.number)
      .then(
        [=](training_job& job) mutable {
          // A later job may have taken its slot.
          if (job.id == id)
            promise.deliver(std::move(job));
          else
            missing();
        },
        on_error);
  };
  read_shared([=, this](const caf::expected<stored_book>& got) mutable {
    if (!got)
      return on_error(got.error());
    for (auto* job : {&known_->value.job, &known_->value.before})
      if (*job && (*job)->id == id) {
        promise.deliver(**job);
        return;
      }
    with_history(on_history);
  });
  return promise;
}

void training_jobs_state::with_history(history_reader then) {
  if (history_known())
    return then({});
  history_readers_.push_back(std::move(then));
  if (history_readers_.size() > 1)
    return;
  // Those in the book that we know are perhaps not in the store yet.
  auto& book = known_->value;
  auto complete = book.last_number;
  for (auto* job : {&book.before, &book.job})
    if (*job)
      complete = std::min(complete, (*job)->number - 1);
  auto finish = [this](const caf::error& err) {
    for (auto& reader : std::exchange(history_readers_, {}))
      reader(err);
  };
  self_->request(store_, cfg_.request_timeout, list_atom_v)
    .then(
      [this, complete, finish](job_summaries& jobs) {
        complete_up_to_ = complete;
        remember(std::move(jobs));
        finish({});
      },
      finish);
}

bool training_jobs_state::history_known() const {
  auto& book = known_->value;
  auto in_book = [&](uint64_t number) {
    return (book.job && book.job->number == number)
           || (book.before && book.before->number == number);
  };
  auto oldest = book.last_number - std::min(book.last_number, listed_jobs) + 1;
  for (auto n = std::max(complete_up_to_ + 1, oldest); n <= book.last_number;
       ++n)
    if (!in_book(n) && !history_.contains(n))
      return false;
  return true;
}

void training_jobs_state::remember(job_summaries jobs) {
  for (auto& x : jobs)
    history_.emplace(x.job.number, std::move(x));
  while (history_.size() > listed_jobs)
    history_.erase(history_.begin());
}

void training_jobs_state::tick() {
  auto pause = std::clamp<milliseconds>(cfg_.stall_after / 10,
                                        milliseconds{100}, milliseconds{5'000});
  self_->delayed_send(self_, pause, tick_atom_v);
  if (!known_)
    return;
  job_change silence = job_silence{cfg_.stall_after};
  auto next = apply_change(known_->value, silence, context());
  if (next && *next != known_->value && self_->clock().now() >= patient_until_)
    // Our own error, if it fails; the next tick tries again.
    self_
      ->request(caf::actor_cast<training_jobs_actor>(self_),
                cfg_.request_timeout * 3, put_atom_v, silence)
      .then([](const book_update&) { /* nop */ },
            [](const caf::error& err) {
              log::warning(name, "cannot store that a training has stalled",
                           {{"reason", text_of(err)}});
            });
  if (mirrored_)
    mirror();
  archive();
}

training_jobs_actor::behavior_type
training_jobs(training_jobs_actor::stateful_pointer<training_jobs_state> self,
              job_store_actor store, backend_actor backend,
              const training_jobs_config& cfg) {
  return self->state.make_behavior(std::move(store), std::move(backend), cfg);
}

} // namespace aiops
