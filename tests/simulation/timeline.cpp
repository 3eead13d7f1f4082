#include "tests/simulation/timeline.hpp"

#include <algorithm>

namespace aiops::simulation {

timeline::config::config() {
  set("scheduler.policy", caf::atom("testing"));
}

timeline::timeline(uint64_t seed)
  : system_(config_), sched_(dynamic_cast<caf::scheduler::test_coordinator&>(
                        system_.scheduler())),
    clock_(sched_.clock()), worker_(&system_, sched_), random_(seed, 2) {
  // Waiting would block, because only this object runs the actors.
  system_.await_actors_before_shutdown(false);
  clock_.current_time = time_point{seconds{1'000}};
  begin_ = clock_.current_time;
}

timeline::~timeline() {
  end();
}

void timeline::end() {
  events_.clear();
  interruptions_.clear();
  stopped_ = false;
  for (auto owner : {0, 1, 2, 3})
    resume(static_cast<size_t>(owner));
  for (auto& handle : actors_)
    caf::anon_send_exit(handle, caf::exit_reason::kill);
  actors_.clear();
  run_actors();
}

void timeline::adopt(size_t owner, caf::actor handle) {
  owners_.emplace(handle.id(), owner);
  actors_.push_back(std::move(handle));
}

size_t timeline::owner_of(caf::resumable* job) const {
  if (job->subtype() != caf::resumable::scheduled_actor)
    return outside;
  auto id = static_cast<caf::scheduled_actor*>(job)->id();
  auto i = owners_.find(id);
  return i != owners_.end() ? i->second : outside;
}

void timeline::run(caf::resumable* job) {
  ++steps_;
  switch (job->resume(&worker_, 1)) {
    case caf::resumable::resume_later:
      sched_.jobs.push_back(job);
      break;
    case caf::resumable::shutdown_execution_unit:
      break;
    default:
      caf::intrusive_ptr_release(job);
  }
}

void timeline::run_actors() {
  auto& jobs = sched_.jobs;
  while (!jobs.empty() && !stopped_) {
    auto i = jobs.size() == 1 ? 0 : random_.below(jobs.size());
    std::swap(jobs[i], jobs.back());
    auto job = jobs.back();
    jobs.pop_back();
    if (!paused_.empty())
      if (auto held = paused_.find(owner_of(job)); held != paused_.end()) {
        held->second.push_back(job);
        continue;
      }
    if (job->subtype() == caf::resumable::scheduled_actor)
      trace(static_cast<caf::scheduled_actor*>(job)->id());
    run(job);
    while (!interruptions_.empty() && interruptions_.begin()->first <= steps_) {
      auto next = interruptions_.extract(interruptions_.begin());
      next.mapped()();
    }
  }
}

void timeline::run_until(time_point end) {
  run_actors();
  while (!stopped_) {
    auto& timeouts = clock_.schedule();
    auto next = end;
    if (!timeouts.empty())
      next = std::min(next, timeouts.begin()->first);
    if (!events_.empty())
      next = std::min(next, events_.begin()->first);
    clock_.current_time = std::max(clock_.current_time, next);
    auto due = !events_.empty() && events_.begin()->first <= now();
    if (due) {
      auto event = events_.extract(events_.begin());
      trace(static_cast<uint64_t>(now().time_since_epoch().count()));
      event.mapped()();
    } else if (!timeouts.empty() && timeouts.begin()->first <= now()) {
      clock_.advance_time(caf::timespan{0});
    } else {
      return;
    }
    run_actors();
  }
}

void timeline::kill(const std::vector<caf::actor>& actors) {
  std::vector<caf::actor_id> ids;
  for (auto& handle : actors) {
    ids.push_back(handle.id());
    caf::anon_send_exit(handle, caf::exit_reason::kill);
  }
  auto dying = [&](caf::resumable* job) {
    if (job->subtype() != caf::resumable::scheduled_actor)
      return false;
    auto id = static_cast<caf::scheduled_actor*>(job)->id();
    return std::find(ids.begin(), ids.end(), id) != ids.end();
  };
  auto& jobs = sched_.jobs;
  for (;;) {
    auto i = std::find_if(jobs.begin(), jobs.end(), dying);
    if (i == jobs.end())
      break;
    auto job = *i;
    jobs.erase(i);
    run(job);
  }
  std::erase_if(actors_, [&](auto& handle) {
    return std::find(ids.begin(), ids.end(), handle.id()) != ids.end();
  });
}

void timeline::pause(size_t owner) {
  paused_.try_emplace(owner);
}

void timeline::resume(size_t owner) {
  auto held = paused_.extract(owner);
  if (held)
    for (auto job : held.mapped())
      sched_.jobs.push_back(job);
}

} // namespace aiops::simulation
