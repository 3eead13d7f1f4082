#include "tests/simulation/timeline.hpp"

#include <algorithm>

namespace aiops::simulation {

timeline::timeline(uint64_t seed) : random_(seed, 2) {
  clock().current_time = time_point{seconds{1'000}};
  begin_ = now();
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

void timeline::step(caf::resumable* job) {
  ++steps_;
  if (run_job(job))
    jobs().push_back(job);
}

void timeline::run_actors() {
  auto& queue = jobs();
  while (!queue.empty() && !stopped_) {
    auto i = queue.size() == 1 ? 0 : random_.below(queue.size());
    std::swap(queue[i], queue.back());
    auto job = queue.back();
    queue.pop_back();
    if (!paused_.empty())
      if (auto held = paused_.find(owner_of(job)); held != paused_.end()) {
        held->second.push_back(job);
        continue;
      }
    if (job->subtype() == caf::resumable::scheduled_actor)
      trace(static_cast<caf::scheduled_actor*>(job)->id());
    step(job);
    while (!interruptions_.empty() && interruptions_.begin()->first <= steps_) {
      auto next = interruptions_.extract(interruptions_.begin());
      next.mapped()();
    }
  }
}

void timeline::run_until(time_point end) {
  run_actors();
  while (!stopped_) {
    auto& timeouts = clock().schedule();
    auto next = end;
    if (!timeouts.empty())
      next = std::min(next, timeouts.begin()->first);
    if (!events_.empty())
      next = std::min(next, events_.begin()->first);
    clock().current_time = std::max(clock().current_time, next);
    auto due = !events_.empty() && events_.begin()->first <= now();
    if (due) {
      auto event = events_.extract(events_.begin());
      trace(static_cast<uint64_t>(now().time_since_epoch().count()));
      event.mapped()();
    } else if (!timeouts.empty() && timeouts.begin()->first <= now()) {
      clock().advance_time(caf::timespan{0});
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
  auto& queue = jobs();
  for (;;) {
    auto i = std::find_if(queue.begin(), queue.end(), dying);
    if (i == queue.end())
      break;
    auto job = *i;
    queue.erase(i);
    step(job);
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
      jobs().push_back(job);
}

} // namespace aiops::simulation
