#include "actors/watchlist.hpp"

#include <utility>

namespace aiops {

watchlist_actor::behavior_type
watchlist_state::make_behavior(backend_actor backend,
                               const watchlist_config& cfg) {
  backend_ = std::move(backend);
  cfg_ = cfg;
  return {
    [this](get_atom) { return get(); },
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

watchlist_actor::behavior_type
watchlist(watchlist_actor::stateful_pointer<watchlist_state> self,
          backend_actor backend, const watchlist_config& cfg) {
  return self->state.make_behavior(std::move(backend), cfg);
}

} // namespace aiops
