#include "actors/training/training_status.hpp"

#include "actors/training/planted_bug.hpp"
#include "base/deadlines.hpp"
#include "base/error.hpp"
#include "base/log.hpp"

#include <algorithm>
#include <utility>

namespace aiops {

namespace {

std::string job_of(const training_book& book) {
  auto job = current_job(book);
  return job ? job->id : std::string{};
}

} // namespace

internal_training_status_actor::behavior_type
training_status_state::make_behavior(backend_actor backend,
                                     training_jobs_actor jobs, bus_actor bus,
                                     events_actor events,
                                     const training_status_config& cfg) {
  backend_ = std::move(backend);
  jobs_ = std::move(jobs);
  events_ = std::move(events);
  cfg_ = cfg;
  caf::anon_send(jobs_, subscribe_atom_v,
                 caf::actor_cast<book_listener_actor>(self_));
  if (bus)
    caf::anon_send(bus, subscribe_atom_v,
                   caf::actor_cast<bus_listener_actor>(self_));
  caf::anon_send(self_, tick_atom_v);
  return {
    [this](get_atom) { return get(); },
    [this](overview_atom) { return overview(); },
    [this](put_atom, job_progress& x) { return put(std::move(x)); },
    [this](update_atom, stored_book& x) { update_book(std::move(x)); },
    [this](update_atom, const bus_status& x) { update_bus(x); },
    [this](tick_atom) { tick(); },
    [this](check_atom) {
      timer_ = false;
      answer_overdue();
    },
  };
}

change_context training_status_state::context() const {
  change_context result;
  result.now = cfg_.wall_clock();
  result.idle_text = cfg_.idle_text;
  clock_.measure(result, self_->clock().now());
  return result;
}

std::string training_status_state::known_job() const {
  return book_ ? job_of(book_->value) : std::string{};
}

// -- what the compatibility API shows -----------------------------------------

caf::result<training_status_state::answer> training_status_state::get() {
  auto promise = self_->make_response_promise<answer>();
  caller next{promise, self_->clock().now() + cfg_.patience};
  if (current_ && !outdated_ && puts_in_flight_.empty()) {
    current_->callers.push_back(next);
  } else {
    waiting_.push_back({next, last_put_});
    start();
  }
  arm_timer();
  return promise;
}

void training_status_state::start() {
  auto due = [this](const waiting_caller& x) {
    return puts_in_flight_.empty() || *puts_in_flight_.begin() > x.put;
  };
  if (current_ || waiting_.empty() || !due(waiting_.front()))
    return;
  current_ = std::make_shared<read>();
  current_->job_id = known_job();
  outdated_ = false;
  for (; !waiting_.empty() && due(waiting_.front()); waiting_.pop_front())
    current_->callers.push_back(waiting_.front());
  self_->request(backend_, cfg_.request_timeout, status_atom_v)
    .then(
      [this, source = current_](backend_report& report) {
        if (report.status)
          reached();
        source->report = std::move(report);
        progress(source);
      },
      [this, source = current_](const caf::error& err) {
        not_reached(err);
        fail(source, err);
      });
  self_->request(jobs_, cfg_.request_timeout, get_atom_v)
    .then(
      [this, source = current_](stored_book& stored) {
        source->book = std::move(stored.value);
        progress(source);
      },
      [this, source = current_](const caf::error& err) { fail(source, err); });
}

void training_status_state::progress(const read_ptr& source) {
  if (source != current_ || !source->report || !source->book)
    return;
  if (!source->report->status)
    return show(source);
  observe(*source->report->status, source->job_id, *source->book,
          [this, source](const training_book& book) {
            source->book = book;
            show(source);
          });
}

void training_status_state::show(const read_ptr& source) {
  if (source != current_)
    return;
  auto& book = *source->book;
  auto text = book.model.status.empty() ? cfg_.idle_text : book.model.status;
  if (source->report->status)
    text = shown_status(book, *source->report->status, context());
  // Not if the book may have a put that is newer than the backend's text.
  if (source->report->status && !outdated_ && puts_in_flight_.empty())
    reported_ = {source->report->status, job_of(book), book.model};
  finish(remember({std::move(text), book.model.statistics}));
}

void training_status_state::fail(const read_ptr& source,
                                 const caf::error& err) {
  // The other half of a failed read may still arrive or fail.
  if (source != current_)
    return;
  // Otherwise the dashboard would stay locked while the backend is away.
  auto book = source->book ? &*source->book : book_ ? &book_->value : nullptr;
  auto abandoned = book && book->training
                   && (book->training->state == job_state::stalled
                       || book->training->state == job_state::cancelled)
                   && code_of(err) != ec::disconnected
                   && code_of(err) != ec::lost_in_flight;
  if (!abandoned) {
    auto known = code_of(err) == ec::timeout ? last_known() : nullptr;
    return known ? finish(known) : finish(err);
  }
  source->book = *book;
  source->report = backend_report{};
  show(source);
}

template <class T>
void training_status_state::finish(const T& result) {
  auto done = std::exchange(current_, nullptr);
  for (auto& waiting : done->callers)
    waiting.promise.deliver(result);
  start();
  answer_overdue();
}

training_status_state::answer
training_status_state::remember(model_status status) {
  if (!last_ || last_->value() != status)
    last_ = make_snapshot(std::move(status));
  return last_;
}

training_status_state::answer training_status_state::last_known() {
  if (!book_)
    return nullptr;
  // A put is acknowledged after the book that contains it has arrived here, so
  // this book is not older.
  auto& book = book_->value;
  auto text = book.model.status;
  if (reported_.text && reported_.job_id == job_of(book)
      && reported_.model == book.model)
    text = shown_status(book, *reported_.text, context());
  else if (text.empty() && !current_job(book))
    return nullptr;
  if (text.empty())
    text = cfg_.idle_text;
  return remember({std::move(text), book.model.statistics});
}

void training_status_state::answer_overdue() {
  auto now = self_->clock().now();
  answer known;
  auto answer_due = [&](auto& callers) {
    for (; !callers.empty() && callers.front().deadline <= now;
         callers.pop_front()) {
      if (!known && !(known = last_known()))
        return;
      callers.front().promise.deliver(known);
    }
  };
  if (current_)
    answer_due(current_->callers);
  answer_due(waiting_);
  arm_timer();
}

void training_status_state::arm_timer() {
  if (timer_)
    return;
  auto now = self_->clock().now();
  std::optional<caf::actor_clock::time_point> next;
  // Callers whose deadline has passed wait until a status is known.
  auto consider = [&](auto& callers) {
    for (auto& x : callers)
      if (x.deadline > now) {
        next = std::min(next.value_or(x.deadline), x.deadline);
        return;
      }
  };
  if (current_)
    consider(current_->callers);
  consider(waiting_);
  if (!next)
    return;
  timer_ = true;
  self_->scheduled_send(self_, *next, check_atom_v);
}

caf::result<void> training_status_state::put(job_progress progress) {
  if (planted(planted_bug::progress_without_job_id))
    progress.id.clear();
  if (progress.statistics)
    corrections_.report(name, *progress.statistics);
  auto promise = self_->make_response_promise();
  auto number = ++last_put_;
  puts_in_flight_.insert(number);
  self_
    ->request(jobs_, change_time(cfg_.request_timeout), put_atom_v,
              job_change{std::move(progress)})
    .then(
      [this, promise, number](const book_update&) mutable {
        promise.deliver(caf::unit);
        ended_put(number);
      },
      [this, promise, number](caf::error& err) mutable {
        log::warning(name, "cannot store progress", {{"reason", text_of(err)}});
        if (!planted(planted_bug::promise_dropped))
          promise.deliver(std::move(err));
        ended_put(number);
      });
  return promise;
}

void training_status_state::ended_put(uint64_t put) {
  puts_in_flight_.erase(put);
  // After an error it may be stored nevertheless.
  outdated_ = true;
  start();
}

void training_status_state::observe(
  const std::string& status, const std::string& job_id,
  const training_book& book, std::function<void(const training_book&)> then) {
  job_change seen = job_observation{status};
  auto next = apply_change(book, seen, context());
  // A status from before a job was entered is not about that job.
  if (!next || *next == book || job_of(book) != job_id)
    return then(book);
  self_
    ->request(jobs_, change_time(cfg_.request_timeout), put_atom_v,
              std::move(seen))
    .then([then](const book_update& x) { then(x.after.value); },
          [then, book](const caf::error& err) {
            log::warning(name, "cannot store the status of the backend",
                         {{"reason", text_of(err)}});
            then(book);
          });
}

// -- everything, from memory --------------------------------------------------

caf::result<snapshot_ptr<training_overview>> training_status_state::overview() {
  if (!overview_)
    return make_error(stale_reason_.empty() ? ec::overloaded : ec::disconnected,
                      "the state of the training could not be loaded yet"
                        + (stale_reason_.empty() ? "" : ": " + stale_reason_));
  return overview_;
}

void training_status_state::update_book(stored_book book) {
  book_ = std::move(book);
  clock_.see(book_->value, self_->clock().now());
  answer_overdue();
  if (reported_recently() && backend_health_.nats_connected)
    reached();
  else
    refresh();
}

void training_status_state::update_bus(const bus_status& status) {
  auto back = status.connected && !backend_health_.nats_connected;
  backend_health_.nats_connected = status.connected;
  stale_reason_ = status.connected ? std::string{}
                                   : "no connection to NATS: " + status.reason;
  if (!status.connected) {
    backend_health_.reachable = false;
    backend_health_.reason = stale_reason_;
  }
  refresh();
  if (back)
    poll();
}

void training_status_state::tick() {
  self_->delayed_send(
    self_, std::min(cfg_.poll_interval, cfg_.completion_interval), tick_atom_v);
  auto job = book_ ? &book_->value.training : nullptr;
  auto about_to_complete = job && *job && running((*job)->state)
                           && (*job)->statistics.percentage_completed == 100;
  auto now = self_->clock().now();
  if (!about_to_complete && now < next_poll_)
    return;
  next_poll_ = now + cfg_.poll_interval;
  poll();
}

bool training_status_state::reported_recently() const {
  if (!book_ || !book_->value.training || !book_->value.training->progressed)
    return false;
  auto& job = *book_->value.training;
  auto abandoned = job.state == job_state::cancelled
                   || job.state == job_state::stalled;
  return !abandoned && context().quiet < 2 * cfg_.poll_interval;
}

void training_status_state::poll() {
  if (polling_)
    return;
  polling_ = true;
  self_->request(backend_, cfg_.request_timeout, status_atom_v)
    .then(
      [this, job_id = known_job()](const backend_report& report) {
        // Some backends report no status, but answer a check.
        if (!report.status)
          return check();
        polling_ = false;
        reached();
        if (book_)
          observe(*report.status, job_id, book_->value,
                  [](const training_book&) { /* nop */ });
      },
      [this](const caf::error& err) {
        polling_ = false;
        not_reached(err);
      });
}

void training_status_state::check() {
  self_->request(backend_, cfg_.request_timeout, check_atom_v)
    .then(
      [this] {
        polling_ = false;
        reached();
      },
      [this](const caf::error& err) {
        polling_ = false;
        // Not all backends of this protocol answer a check; recent progress
        // also shows that they run.
        if (!reported_recently())
          not_reached(err);
      });
}

void training_status_state::reached() {
  backend_health_.reachable = true;
  backend_health_.reason.clear();
  refresh();
}

void training_status_state::not_reached(const caf::error& err) {
  backend_health_.reachable = false;
  backend_health_.reason = text_of(err);
  refresh();
}

void training_status_state::refresh() {
  if (!book_)
    return;
  training_overview next{book_->value, backend_health_, stale_reason_,
                         book_->losses};
  if (overview_ && overview_->value() == next)
    return;
  overview_ = make_snapshot(std::move(next));
  if (events_)
    caf::anon_send(events_, update_atom_v, event_value{overview_});
}

internal_training_status_actor::behavior_type training_status(
  internal_training_status_actor::stateful_pointer<training_status_state> self,
  backend_actor backend, training_jobs_actor jobs, bus_actor bus,
  events_actor events, const training_status_config& cfg) {
  return self->state.make_behavior(std::move(backend), std::move(jobs),
                                   std::move(bus), std::move(events), cfg);
}

} // namespace aiops
