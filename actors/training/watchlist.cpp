#include "actors/training/watchlist.hpp"

#include "base/error.hpp"

#include <utility>

namespace aiops {

watchlist_actor::behavior_type
watchlist_state::make_behavior(backend_actor backend, training_jobs_actor jobs,
                               const watchlist_config& cfg) {
  backend_ = std::move(backend);
  cfg_ = cfg;
  if (jobs)
    caf::anon_send(jobs, subscribe_atom_v,
                   caf::actor_cast<book_listener_actor>(self_));
  return {
    [this](get_atom) { return get(); },
    [this](overview_atom) { return submitted(); },
    [this](update_atom, const stored_book& book) { update(book); },
  };
}

caf::result<watchlist_state::answer> watchlist_state::get() {
  waiting_.push_back(self_->make_response_promise<answer>());
  auto promise = waiting_.back();
  if (waiting_.size() == 1)
    self_->request(backend_, cfg_.request_timeout, watchlist_atom_v)
      .then([this](workload_list& xs) { succeed(std::move(xs)); },
            [this](const caf::error& err) { fail(err); });
  return promise;
}

void watchlist_state::succeed(workload_list workloads) {
  if (!last_ || last_->value() != workloads)
    last_ = make_snapshot(std::move(workloads));
  for (auto& promise : std::exchange(waiting_, {}))
    promise.deliver(last_);
}

void watchlist_state::fail(const caf::error& err) {
  for (auto& promise : std::exchange(waiting_, {}))
    promise.deliver(err);
}

caf::result<snapshot_ptr<watchlist_overview>>
watchlist_state::submitted() const {
  if (!submitted_)
    return make_error(ec::overloaded, "the watchlist could not be loaded yet, "
                                      "try again in a moment");
  return submitted_;
}

void watchlist_state::update(const stored_book& book) {
  watchlist_overview next;
  if (auto& list = book.value.watchlist; !list.job_id.empty())
    next = {list.workloads, list.job_id, list.submitted_at};
  if (!submitted_ || submitted_->value() != next)
    submitted_ = make_snapshot(std::move(next));
}

watchlist_actor::behavior_type
watchlist(watchlist_actor::stateful_pointer<watchlist_state> self,
          backend_actor backend, training_jobs_actor jobs,
          const watchlist_config& cfg) {
  return self->state.make_behavior(std::move(backend), std::move(jobs), cfg);
}

} // namespace aiops
