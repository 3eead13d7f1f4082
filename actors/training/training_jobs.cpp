#include "actors/training/training_jobs.hpp"

#include "actors/training/planted_bug.hpp"
#include "actors/training/training_invariants.hpp"
#include "base/deadlines.hpp"
#include "base/error.hpp"
#include "base/log.hpp"

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace aiops {

namespace {

/// Whether a change without an effect need not be judged again by a fresh book,
/// because it recurs.
bool recurs(const job_change& what) {
  return std::holds_alternative<job_observation>(what)
         || std::holds_alternative<job_silence>(what);
}

/// Whether the caller does not wait until other programs can see the change:
/// the next step of a submission depends on it.
bool urgent(const job_change& what) {
  return std::holds_alternative<job_submission>(what)
         || std::holds_alternative<job_acceptance>(what);
}

/// Maximum number of outcomes that are kept while they cannot be stored.
constexpr size_t max_unstored_outcomes = 64;

/// Whether two outcomes are the same outcome of the same submission.
bool same_outcome(const job_change& x, const job_change& y) {
  auto id = [](const job_change& what) {
    return std::visit(
      [](auto& z) {
        if constexpr (requires { z.id; })
          return z.id;
        else
          return std::string{};
      },
      what);
  };
  return x.index() == y.index() && id(x) == id(y);
}

/// Whether a watchlist that was stored for the backend may have to be removed.
bool may_remove_watchlist(const job_change& what) {
  return std::holds_alternative<job_rejection>(what)
         || std::holds_alternative<job_cancellation>(what);
}

/// The time that the training in the book has taken.
int64_t elapsed_in(const training_book& book) {
  return book.training ? book.training->statistics.time_elapsed : 0;
}

/// Ends a debug build whose book breaks an invariant, and fails a simulation.
void assert_none(const std::string& broken) {
#ifdef AIOPS_SIMULATION
  if (!broken.empty() && simulated_invariant_check)
    simulated_invariant_check(broken);
#elif !defined(NDEBUG)
  if (broken.empty())
    return;
  log::error(training_jobs_state::name,
             "a change of the training book breaks an invariant",
             {{"invariant", broken}});
  std::abort();
#else
  static_cast<void>(broken);
#endif
}

/// Whether a list that the book refers to is missing. It may appear later,
/// because an old copy of the store may have answered.
bool lacks_lists(const training_book& book) {
  auto lacks = [](const std::string& id, const shared_workloads& list) {
    return !id.empty() && list.empty();
  };
  auto jobs = jobs_of(book);
  return lacks(book.watchlist.list_id, book.watchlist.workloads)
         || std::any_of(jobs.begin(), jobs.end(), [&](auto* job) {
              auto& diff = job->changes;
              auto no_base = !job->base_id.empty() && diff.removed.empty()
                             && diff.added.size() == job->workloads.size();
              return no_base || lacks(job->list_id, job->workloads);
            });
}

void log_step(const training_book& before, const training_job& job) {
  auto last = find_job(before, job.id);
  if (last && last->state == job.state && last->reason == job.reason)
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

internal_training_jobs_actor::behavior_type
training_jobs_state::make_behavior(job_store_actor store, backend_actor backend,
                                   const training_jobs_config& cfg) {
  store_ = std::move(store);
  backend_ = std::move(backend);
  cfg_ = cfg;
  mirror_.init({self_, backend_, cfg_.request_timeout,
                [this](on_book then) {
                  read([this, then](const caf::expected<stored_book>& got) {
                    then(latest(got));
                  });
                },
                [this](const std::string& id) {
                  return history_.contains(id)
                         || (known_ && find_job(known_->value, id));
                }});
  next_sweep_ = self_->clock().now() + cfg_.sweep_interval;
  listeners_.forget_ended(self_);
  self_->send(store_, subscribe_atom_v,
              caf::actor_cast<book_listener_actor>(self_));
  self_->send(self_, tick_atom_v);
  return {
    [this](put_atom, job_change& what) { return change(std::move(what)); },
    [this](delete_atom) { return forget(); },
    [this](get_atom) { return get(); },
    [this](list_atom) { return list(); },
    [this](get_atom, const std::string& id) { return find(id); },
    [this](subscribe_atom, book_listener_actor& listener) {
      if (known_)
        caf::anon_send(listener, update_atom_v, *known_);
      listeners_.add(self_, listener);
    },
    [this](update_atom, stored_book& got) { handle_update(std::move(got)); },
    [this](tick_atom) { tick(); },
    [this](restart_atom) {
      if (current_)
        judge_by_fresh_book(current_);
    },
  };
}

change_context training_jobs_state::context() const {
  change_context result;
  // With the precision of the store.
  result.now = std::chrono::floor<milliseconds>(cfg_.wall_clock());
  result.fresh_id = cfg_.make_id();
  result.idle_text = cfg_.idle_text;
  result.initial = cfg_.initial;
  result.last_given_number = last_number_;
  clock_.measure(result, self_->clock().now());
  if (planted(planted_bug::age_by_wall_clock) && known_
      && known_->value.training)
    result.quiet = std::chrono::floor<milliseconds>(
      result.now - known_->value.training->updated_at);
  return result;
}

// -- changes ------------------------------------------------------------------

caf::result<book_update> training_jobs_state::change(job_change what) {
  if (current_ && waiting_.size() >= cfg_.max_waiting && !settles(what))
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
  auto change = current_ = std::move(waiting_.front());
  waiting_.pop_front();
  if (known_)
    judge(change, *known_);
  else
    judge_by_fresh_book(change);
}

caf::expected<training_book>
training_jobs_state::apply(const training_book& base,
                           const job_change& what) const {
  auto by = context();
  auto book = base;
  for (auto& outcome : unstored_outcomes_)
    if (auto next = apply_change(book, outcome, by))
      book = std::move(*next);
  // After a loss, the book does not know all earlier jobs.
  auto report = std::get_if<job_progress>(&what);
  if (report && book.training && book.training->adopted
      && report->id != book.watchlist.job_id && !find_job(book, report->id)
      && history_.contains(report->id))
    return make_error(ec::conflict, "this progress is about job " + report->id
                                      + ", which is in the history");
  return apply_change(book, what, by);
}

bool training_jobs_state::overtaken(const pending_change& change,
                                    const training_book& base) {
  auto report = std::get_if<job_progress>(&change.what);
  // The elapsed time of a training does not fall. A report with an id names its
  // job.
  return change.uncertain && report && report->id.empty()
         && elapsed_in(base) < change.elapsed;
}

void training_jobs_state::judge(const change_ptr& change,
                                const stored_book& base) {
  // If it was entered again, it would replace the later report. Whether it was
  // stored the first time is not known.
  if (overtaken(*change, base.value))
    return fail(change, change->uncertain);
  auto next = apply(base.value, change->what);
  if (!next || *next == base.value) {
    // The book may come from an old copy of the store. Such a copy accepts no
    // writes, so a write shows whether the store has lost the newer book.
    if (base.revision < known_->revision)
      touch(change, base);
    else if (!change->fresh && !recurs(change->what))
      judge_by_fresh_book(change);
    else if (next)
      find_nothing_to_do(change, base);
    else
      fail(change, next.error());
    return;
  }
  assert_none(broken_step(base.value, *next));
  std::erase_if(next->leaving, [this](auto& x) { return archived(x.id); });
  if (next->leaving.size() > max_leaving)
    archive_first(change, base);
  else
    write(change, base, *next);
}

void training_jobs_state::find_nothing_to_do(const change_ptr& change,
                                             const stored_book& base) {
  // The stored book has all outcomes.
  if (change->fresh)
    unstored_outcomes_.clear();
  succeed(change, base.value, base);
}

void training_jobs_state::touch(const change_ptr& change,
                                const stored_book& base) {
  self_
    ->request(store_, cfg_.request_timeout, put_atom_v, base.value,
              base.revision)
    .then(
      [this, change, base](uint64_t revision) {
        know({base.value, revision, known_->losses + 1});
        change->fresh = true;
        judge(change, *known_);
      },
      [this, change](const caf::error& err) {
        if (code_of(err) == ec::conflict)
          judge_later(change);
        else
          fail(change, err);
      });
}

void training_jobs_state::judge_by_fresh_book(const change_ptr& change) {
  read([this, change](const caf::expected<stored_book>& got) {
    if (!got)
      return fail(change, got.error());
    change->fresh = true;
    judge(change, *got);
  });
}

void training_jobs_state::judge_later(const change_ptr& change) {
  if (++change->tries >= cfg_.max_tries)
    return fail(change,
                make_error(ec::overloaded, "too many change the training at "
                                           "the same time, try again in a "
                                           "moment"));
  // The first conflict was probably a coincidence; later ones may mean that an
  // old copy of the store answers.
  if (change->tries == 1)
    return judge_by_fresh_book(change);
  self_->delayed_send(
    self_, change->backoff.fail(cfg_.first_backoff, cfg_.last_backoff),
    restart_atom_v);
}

void training_jobs_state::archive_first(const change_ptr& change,
                                        const stored_book& base) {
  auto i = std::find_if(base.value.leaving.begin(), base.value.leaving.end(),
                        [this](auto& x) { return !archived(x.id); });
  if (i == base.value.leaving.end())
    return fail(change,
                make_error(ec::overloaded, "too many jobs end at the same "
                                           "time, try again in a moment"));
  self_->request(store_, cfg_.request_timeout, put_atom_v, *i)
    .then(
      [this, change, base, id = i->id] {
        note_archived(id);
        judge(change, base);
      },
      [this, change](const caf::error& err) { fail(change, err); });
}

void training_jobs_state::write(const change_ptr& change,
                                const stored_book& base,
                                const training_book& next) {
  auto included = unstored_outcomes_.size();
  // The store accepts a change of an older book only if it lost the newer one.
  auto losses = known_->losses + (base.revision < known_->revision ? 1 : 0);
  auto sent = self_->clock().now();
  self_->request(store_, cfg_.request_timeout, put_atom_v, next, base.revision)
    .then(
      [this, change, next, base, included, losses, sent](uint64_t revision) {
        unstored_outcomes_.erase(unstored_outcomes_.begin(),
                                 unstored_outcomes_.begin()
                                   + static_cast<std::ptrdiff_t>(included));
        auto late = std::chrono::duration_cast<milliseconds>(
          self_->clock().now() - sent);
        succeed(change, base.value, {next, revision, losses}, late);
      },
      [this, change, base](const caf::error& err) {
        auto code = code_of(err);
        if (code == ec::conflict)
          return judge_later(change);
        // The store may have written it before it found no connection for
        // another attempt.
        auto may_be_stored = may_have_happened(code)
                             || code == ec::disconnected;
        if (!may_be_stored || change->uncertain)
          return fail(change, err);
        // If it is stored, judging it again finds nothing to do.
        change->uncertain = err;
        change->elapsed = elapsed_in(base.value);
        judge_by_fresh_book(change);
      });
}

void training_jobs_state::succeed(const change_ptr& change,
                                  const training_book& before,
                                  stored_book after, milliseconds late) {
  if (after.value != before)
    for (auto* x : jobs_of(after.value))
      log_step(before, *x);
  know(after, late);
  auto deliver = [promise = change->promise,
                  answer = book_update{before, std::move(after)}]() mutable {
    promise.deliver(std::move(answer));
  };
  if (urgent(change->what)) {
    deliver();
    mirror_.follow(*known_, [] { /* nop */ });
  } else if (may_remove_watchlist(change->what)) {
    mirror_.follow(*known_, [this, deliver]() mutable {
      mirror_.correct_watchlist(false, [deliver](const caf::error&) mutable {
        // The next comparison corrects it after a failure.
        deliver();
      });
    });
  } else {
    mirror_.follow(*known_, std::move(deliver));
  }
  archive();
  finish();
}

void training_jobs_state::fail(const change_ptr& change,
                               const caf::error& err) {
  if (settles(change->what) && !planted(planted_bug::outcome_written_once))
    keep_outcome(change->what);
  change->promise.deliver(err);
  finish();
}

void training_jobs_state::keep_outcome(const job_change& what) {
  auto same = [&](auto& x) { return same_outcome(x, what); };
  if (std::any_of(unstored_outcomes_.begin(), unstored_outcomes_.end(), same))
    return;
  unstored_outcomes_.push_back(what);
  if (unstored_outcomes_.size() <= max_unstored_outcomes)
    return;
  // Most are rejections of submissions that could not be entered. If one of
  // these is in the store, it is settled like one of a replica that ended.
  auto i = std::find_if(
    unstored_outcomes_.begin(), unstored_outcomes_.end(),
    [](auto& x) { return std::holds_alternative<job_rejection>(x); });
  unstored_outcomes_.erase(
    i != unstored_outcomes_.end() ? i : unstored_outcomes_.begin());
}

void training_jobs_state::store_outcomes() {
  if (current_ || unstored_outcomes_.empty())
    return;
  // A change stores all of them.
  self_
    ->request(caf::actor_cast<training_jobs_actor>(self_),
              change_time(cfg_.request_timeout), put_atom_v,
              unstored_outcomes_.front())
    .then([this](const book_update&) { next_compare_ = self_->clock().now(); },
          [](const caf::error& err) {
            log::warning(name, "cannot store the outcome of a submission yet",
                         {{"reason", text_of(err)}});
          });
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
  auto on_change = [this, promise](book_update& update) mutable {
    if (!forgotten(update.after.value)) {
      promise.deliver(std::move(update.after));
      return;
    }
    // Even if nothing changed, because it may have failed the last time.
    mirror_.forget(
      [promise, answer = update.after](const caf::error& err) mutable {
        if (err)
          promise.deliver(err);
        else
          promise.deliver(std::move(answer));
      });
  };
  self_
    ->request(caf::actor_cast<training_jobs_actor>(self_),
              change_time(cfg_.request_timeout), put_atom_v,
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
    auto book = latest(got);
    for (auto& reader : std::exchange(readers_, {}))
      reader(book);
  });
}

caf::expected<stored_book>
training_jobs_state::latest(const caf::expected<stored_book>& got) const {
  return got && known_->revision > got->revision
           ? caf::expected<stored_book>{*known_}
           : got;
}

void training_jobs_state::read(on_book then) {
  self_->request(store_, cfg_.request_timeout, get_atom_v)
    .then(
      [this, then](stored_book& got) {
        import_first(std::move(got),
                     [this, then](const caf::expected<stored_book>& book) {
                       if (book)
                         learn(*book);
                       then(book);
                     });
      },
      [then](const caf::error& err) { then(err); });
}

void training_jobs_state::import_first(stored_book got, on_book then) {
  if (got.revision != 0) {
    imported_.emplace();
    return then(std::move(got));
  }
  // Numbers that were given before are not used again.
  auto finish = [this, then, got] {
    auto& book = *imported_;
    if (book.last_number < got.value.last_number) {
      book.last_number = got.value.last_number;
      if (book.training)
        book.training->number = ++book.last_number;
    }
    then(stored_book{book, 0, got.losses});
  };
  if (imported_)
    return finish();
  self_->request(backend_, cfg_.request_timeout, get_atom_v)
    .then(
      [this, finish](const stored_model& model) {
        imported_ = model.revision == 0
                      ? training_book{}
                      : import_model(
                        model.value,
                        std::chrono::floor<milliseconds>(model.created),
                        context());
        finish();
      },
      [then](const caf::error& err) { then(err); });
}

void training_jobs_state::handle_update(stored_book got) {
  // Without a book there may be values of an earlier program.
  if (got.revision == 0)
    read([](const caf::expected<stored_book>&) { /* nop */ });
  else
    learn(std::move(got));
}

void training_jobs_state::learn(stored_book got) {
  milliseconds late{0};
  if (got.stored_at && std::exchange(measured_, got.revision) < got.revision)
    late = lateness_.of(*got.stored_at, self_->clock().now());
  // An older book comes from an old copy of the store, unless the store has
  // lost the newer one.
  auto newer = !known_ || got.revision > known_->revision
               || got.losses > known_->losses
               || planted(planted_bug::older_revision_accepted);
  auto fuller = !newer && got.revision == known_->revision
                && lacks_lists(known_->value) && got.value != known_->value;
  if (!newer && !fuller)
    return;
  know(std::move(got), late);
  mirror_.follow(*known_);
  archive();
}

void training_jobs_state::know(stored_book book, milliseconds late) {
  if (known_ && known_->revision == book.revision && known_->value == book.value
      && known_->losses == book.losses)
    return;
  if (known_ && book.losses > known_->losses) {
    history_.clear();
    archived_.clear();
  }
  if (known_)
    assert_none(broken_sequence(*known_, book));
  known_ = std::move(book);
  clock_.see(known_->value, self_->clock().now(), late);
  last_number_ = std::max(last_number_, known_->value.last_number);
  for (auto& job : known_->value.leaving)
    history_.add({summary_of(job)});
  listeners_.send(update_atom_v, *known_);
}

// -- what follows a change ----------------------------------------------------

void training_jobs_state::note_archived(const std::string& id) {
  archived_.push_back(id);
  if (archived_.size() > listed_jobs)
    archived_.pop_front();
}

bool training_jobs_state::archived(const std::string& id) const {
  return std::find(archived_.begin(), archived_.end(), id) != archived_.end();
}

void training_jobs_state::archive() {
  if (archiving_ || !known_)
    return;
  auto& jobs = known_->value.leaving;
  auto i = std::find_if(jobs.begin(), jobs.end(),
                        [this](auto& x) { return !archived(x.id); });
  if (i == jobs.end())
    return;
  archiving_ = true;
  self_->request(store_, cfg_.request_timeout, put_atom_v, *i)
    .then(
      [this, id = i->id] {
        archiving_ = false;
        note_archived(id);
        archive();
      },
      [this](const caf::error& err) {
        archiving_ = false;
        // It stays in the book until this has succeeded.
        log::debug(name, "cannot add to the history",
                   {{"reason", text_of(err)}});
      });
}

void training_jobs_state::sweep() {
  auto failed = [](const caf::error& err) {
    log::debug(name, "cannot find unused watchlists",
               {{"reason", text_of(err)}});
  };
  with_history([this, failed](const caf::error& err) {
    if (err)
      return failed(err);
    self_->request(store_, cfg_.request_timeout, list_atom_v, watchlist_atom_v)
      .then([this](const std::vector<std::string>& ids) { remove_unused(ids); },
            failed);
  });
}

void training_jobs_state::remove_unused(const std::vector<std::string>& ids) {
  if (!history_.complete(known_->value))
    return;
  auto used = history_.lists();
  used.insert(known_->value.watchlist.list_id);
  for (auto* job : jobs_of(known_->value))
    used.insert({job->list_id, job->base_id});
  std::set<std::string> unused;
  for (auto& id : ids)
    if (!used.contains(id))
      unused.insert(id);
  // A new one may be that of a submission that is not entered yet.
  for (auto& id : unused)
    if (unused_.contains(id))
      self_->request(store_, cfg_.request_timeout, delete_atom_v, id)
        .then([] { /* nop */ }, [](const caf::error&) { /* the next time */ });
  unused_ = std::move(unused);
}

// -- the history --------------------------------------------------------------

caf::result<snapshot_ptr<job_summaries>> training_jobs_state::list() {
  auto promise = self_->make_response_promise<snapshot_ptr<job_summaries>>();
  auto answer = [this, promise](const caf::error& err) mutable {
    if (err) {
      promise.deliver(err);
      return;
    }
    auto result = history_.last_jobs(known_->value);
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
    auto jobs = history_.last_jobs(known_->value);
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
    if (auto job = find_job(known_->value, id)) {
      promise.deliver(*job);
      return;
    }
    with_history(on_history);
  });
  return promise;
}

void training_jobs_state::with_history(on_done then) {
  if (history_.complete(known_->value))
    return then({});
  history_readers_.push_back(std::move(then));
  if (history_readers_.size() > 1)
    return;
  auto finish = [this](const caf::error& err) {
    for (auto& reader : std::exchange(history_readers_, {}))
      reader(err);
  };
  self_->request(store_, cfg_.request_timeout, list_atom_v)
    .then(
      [this, book = known_->value, finish](job_summaries& jobs) {
        history_.read(book, std::move(jobs));
        finish({});
      },
      finish);
}

void training_jobs_state::tick() {
  auto pause = std::clamp<milliseconds>(cfg_.stall_after / 10,
                                        milliseconds{100}, milliseconds{5'000});
  if (!known_ || !planted(planted_bug::stall_timer_not_rearmed))
    self_->delayed_send(self_, pause, tick_atom_v);
  if (!known_)
    return read([](const caf::expected<stored_book>&) { /* the next time */ });
  store_outcomes();
  job_change silence = job_silence{cfg_.stall_after, cfg_.outcome_time};
  auto next = apply_change(known_->value, silence, context());
  if (next && *next != known_->value)
    // The next tick tries again after a failure.
    self_
      ->request(caf::actor_cast<training_jobs_actor>(self_),
                change_time(cfg_.request_timeout), put_atom_v, silence)
      .then([](const book_update&) { /* nop */ },
            [](const caf::error& err) {
              log::warning(name, "cannot store that a training has stalled",
                           {{"reason", text_of(err)}});
            });
  archive();
  auto now = self_->clock().now();
  if (now >= next_compare_ || mirror_.needs_compare()) {
    next_compare_ = now + cfg_.compare_interval;
    mirror_.compare();
    // This makes the store correct missing entries.
    self_->request(store_, cfg_.request_timeout, list_atom_v, watchlist_atom_v)
      .then([](const std::vector<std::string>&) { /* nop */ },
            [](const caf::error&) { /* the next time */ });
  }
  if (now >= next_sweep_) {
    next_sweep_ = now + cfg_.sweep_interval;
    sweep();
  }
}

internal_training_jobs_actor::behavior_type training_jobs(
  internal_training_jobs_actor::stateful_pointer<training_jobs_state> self,
  job_store_actor store, backend_actor backend,
  const training_jobs_config& cfg) {
  return self->state.make_behavior(std::move(store), std::move(backend), cfg);
}

} // namespace aiops
