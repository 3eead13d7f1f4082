#include "actors/training/training_hooks.hpp"

#include "actors/training/planted_bug.hpp"
#include "base/error.hpp"
#include "base/log.hpp"

#include <algorithm>
#include <utility>

namespace aiops {

internal_training_hooks_actor::behavior_type
training_hooks_state::make_behavior(training_jobs_actor jobs,
                                    job_store_actor store, lease_actor lease,
                                    std::vector<job_hook_actor> hooks,
                                    const training_hooks_config& cfg) {
  jobs_ = std::move(jobs);
  store_ = std::move(store);
  lease_edge_ = std::move(lease);
  cfg_ = cfg;
  for (auto& hook : hooks)
    deliveries_.push_back({.hook = std::move(hook), .next_try = {}});
  next_subscribe_ = self_->clock().now();
  caf::anon_send(self_, tick_atom_v);
  return {
    [this](update_atom, const stored_book& x) { update(x); },
    [this](update_atom, const lease_status& x) { handle_lease(x); },
    [this](tick_atom) { tick(); },
  };
}

// -- following the others -----------------------------------------------------

void training_hooks_state::subscribe() {
  next_subscribe_.reset();
  auto retry = [this](const caf::error& err) {
    log::warning(name, "cannot follow the trainings",
                 {{"reason", text_of(err)}});
    next_subscribe_ = self_->clock().now() + cfg_.request_timeout;
    wake_at(*next_subscribe_);
  };
  self_
    ->request(jobs_, cfg_.request_timeout, subscribe_atom_v,
              book_listener_actor{self_})
    .then([] {}, retry);
  self_
    ->request(lease_edge_, cfg_.request_timeout, subscribe_atom_v,
              lease_listener_actor{self_})
    .then([] {}, retry);
}

void training_hooks_state::update(const stored_book& book) {
  book_ = book.value;
  changed_ = true;
  proceed();
}

void training_hooks_state::handle_lease(const lease_status& lease) {
  auto another = !lease.held || lease.term != lease_.term;
  lease_ = lease;
  if (another)
    stop();
  proceed();
}

bool training_hooks_state::holds_lease() const {
  return lease_.held && self_->clock().now() < lease_.until;
}

void training_hooks_state::tick() {
  auto now = self_->clock().now();
  if (next_subscribe_ && *next_subscribe_ <= now)
    subscribe();
  if (step_ != step::idle && !holds_lease())
    return stop();
  if (step_ == step::pausing && resume_at_ <= now)
    enter(step::idle);
  if (step_ == step::notifying)
    for (size_t i = 0; i < deliveries_.size(); ++i)
      if (deliveries_[i].next_try && *deliveries_[i].next_try <= now)
        attempt(i);
  proceed();
}

// -- one step after another ---------------------------------------------------

void training_hooks_state::proceed() {
  if (step_ != step::idle || !holds_lease())
    return;
  if (!notified_)
    read_number();
  else if (unstored_)
    store_number(*unstored_);
  else if (!listed_)
    list_jobs();
  else if (has_next_job())
    choose_next();
}

void training_hooks_state::choose_next() {
  // The book usually has the next job; the history takes a hundred reads.
  job_summaries known;
  for (auto* job : jobs_of(book_))
    known.push_back(summary_of(*job));
  std::sort(known.begin(), known.end(),
            [](auto& x, auto& y) { return x.job.number > y.job.number; });
  auto next = [this](auto& x) { return x.job.number == *notified_ + 1; };
  if (std::none_of(known.begin(), known.end(), next))
    return list_jobs();
  changed_ = false;
  choose(known);
}

bool training_hooks_state::has_next_job() const {
  auto jobs = jobs_of(book_);
  auto next = std::find_if(jobs.begin(), jobs.end(), [this](auto* x) {
    return x->number == *notified_ + 1;
  });
  return next != jobs.end() ? ended((*next)->state)
                            : book_.last_number > *notified_;
}

void training_hooks_state::read_number() {
  auto here = enter(step::reading);
  self_->request(store_, cfg_.request_timeout, get_atom_v, hooks_atom_v)
    .then(
      [this, here](uint64_t number) {
        if (!current(here))
          return;
        notified_ = number;
        listed_ = false;
        backoff_.reset();
        enter(step::idle);
        proceed();
      },
      [this, here](const caf::error& err) {
        if (current(here))
          pause("cannot read which trainings the hooks have received", err);
      });
}

void training_hooks_state::list_jobs() {
  auto here = enter(step::listing);
  changed_ = false;
  self_->request(jobs_, cfg_.request_timeout, list_atom_v)
    .then(
      [this, here](const snapshot_ptr<job_summaries>& jobs) {
        if (current(here))
          choose(jobs->value());
      },
      [this, here](const caf::error& err) {
        if (current(here))
          pause("cannot read the trainings", err);
      });
}

void training_hooks_state::choose(const job_summaries& newest_first) {
  listed_ = true;
  backoff_.reset();
  enter(step::idle);
  if (auto job = next_of(newest_first))
    load(*job);
  else if (changed_)
    proceed();
}

const training_job*
training_hooks_state::next_of(const job_summaries& newest_first) {
  auto last = newest_first.rend();
  auto next = std::find_if(newest_first.rbegin(), last, [this](auto& x) {
    return x.job.number > *notified_;
  });
  if (next == last)
    return nullptr;
  auto& job = next->job;
  // Numbers missing in between will not appear later.
  notified_ = job.number - 1;
  return ended(job.state) ? &job : nullptr;
}

void training_hooks_state::load(const training_job& listed) {
  if (listed.action != training_action::train)
    return store_number(listed.number);
  if (auto job = find_job(book_, listed.id); job && job->state == listed.state)
    return begin(*job);
  auto here = enter(step::listing);
  self_->request(jobs_, cfg_.request_timeout, get_atom_v, listed.id)
    .then(
      [this, here](const training_job& job) {
        if (!current(here))
          return;
        if (ended(job.state))
          return begin(job);
        // The list was read before the store lost its latest state.
        listed_ = false;
        pause("cannot read the end of a training",
              make_error(ec::conflict, "the store has an older state of it"));
      },
      [this, here, number = listed.number](const caf::error& err) {
        if (!current(here))
          return;
        // The job left the history in the meantime.
        if (code_of(err) == ec::not_found)
          return store_number(number);
        listed_ = false;
        pause("cannot read a training", err);
      });
}

void training_hooks_state::begin(const training_job& job) {
  enter(step::notifying);
  job_ = job;
  deadline_ = self_->clock().now() + cfg_.give_up;
  for (auto& x : deliveries_) {
    x.done = false;
    x.backoff.reset();
  }
  for (size_t i = 0; i < deliveries_.size(); ++i)
    attempt(i);
  if (planted(planted_bug::notified_before_hook))
    return store_number(job.number);
  finish_when_all_done();
}

void training_hooks_state::store_number(uint64_t number) {
  auto here = enter(step::storing);
  unstored_ = number;
  self_->request(store_, cfg_.request_timeout, put_atom_v, hooks_atom_v, number)
    .then(
      [this, here, number] {
        if (!current(here))
          return;
        notified_ = number;
        unstored_.reset();
        backoff_.reset();
        enter(step::idle);
        proceed();
      },
      [this, here](const caf::error& err) {
        if (current(here))
          pause("cannot store which trainings the hooks have received", err);
      });
}

// -- notifying ----------------------------------------------------------------

void training_hooks_state::attempt(size_t index) {
  auto here = generation_;
  auto& x = deliveries_[index];
  x.next_try.reset();
  self_->request(x.hook, cfg_.request_timeout, put_atom_v, job_)
    .then(
      [this, here, index] {
        if (!current(here))
          return;
        deliveries_[index].done = true;
        finish_when_all_done();
      },
      [this, here, index](const caf::error& err) {
        if (current(here))
          failed(index, err);
      });
}

void training_hooks_state::failed(size_t index, const caf::error& err) {
  auto& x = deliveries_[index];
  auto next = self_->clock().now()
              + x.backoff.fail(cfg_.first_backoff, cfg_.last_backoff);
  if (next > deadline_) {
    log::error(name, "stops notifying a hook of a training",
               {{"job", job_.id}, {"reason", text_of(err)}});
    x.done = true;
    return finish_when_all_done();
  }
  log::debug(name, "could not notify a hook of a training",
             {{"job", job_.id}, {"reason", text_of(err)}});
  x.next_try = next;
  wake_at(next);
}

void training_hooks_state::finish_when_all_done() {
  if (std::all_of(deliveries_.begin(), deliveries_.end(),
                  [](auto& x) { return x.done; }))
    store_number(job_.number);
}

// -- steps --------------------------------------------------------------------

uint64_t training_hooks_state::enter(step next) {
  step_ = next;
  return ++generation_;
}

bool training_hooks_state::current(uint64_t generation) {
  if (generation != generation_)
    return false;
  if (holds_lease())
    return true;
  stop();
  return false;
}

void training_hooks_state::pause(const char* what, const caf::error& err) {
  if (!backoff_.failing())
    log::warning(name, what, {{"reason", text_of(err)}});
  resume_at_ = self_->clock().now()
               + backoff_.fail(cfg_.first_backoff, cfg_.last_backoff);
  enter(step::pausing);
  wake_at(resume_at_);
}

void training_hooks_state::stop() {
  enter(step::idle);
  notified_.reset();
  unstored_.reset();
  backoff_.reset();
}

void training_hooks_state::wake_at(clock::time_point when) {
  self_->scheduled_send(self_, when, tick_atom_v);
}

internal_training_hooks_actor::behavior_type training_hooks(
  internal_training_hooks_actor::stateful_pointer<training_hooks_state> self,
  training_jobs_actor jobs, job_store_actor store, lease_actor lease,
  std::vector<job_hook_actor> hooks, const training_hooks_config& cfg) {
  return self->state.make_behavior(std::move(jobs), std::move(store),
                                   std::move(lease), std::move(hooks), cfg);
}

} // namespace aiops
