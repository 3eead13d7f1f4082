#include "actors/training_status.hpp"

#include <utility>

namespace aiops {

training_status_actor::behavior_type
training_status_state::make_behavior(backend_actor backend, store_actor store,
                                     const training_status_config& cfg) {
  backend_ = std::move(backend);
  store_ = std::move(store);
  cfg_ = cfg;
  return {
    [this](get_atom) { return get(); },
    [this](put_atom, const training_statistics& x) { return put(x); },
    [this](put_atom, const model_status_update& x) { return put(x); },
  };
}

caf::result<training_status_state::answer> training_status_state::get() {
  auto promise = self_->make_response_promise<answer>();
  if (current_ && outdated_) {
    next_.push_back(promise);
  } else {
    waiting_.push_back(promise);
    if (!current_)
      start();
  }
  return promise;
}

void training_status_state::start() {
  current_ = std::make_shared<read>();
  outdated_ = false;
  auto on_error = [this, source = current_](const caf::error& err) {
    fail(source, err);
  };
  self_->request(backend_, cfg_.request_timeout, status_atom_v)
    .then(
      [this, source = current_](std::string& status) {
        source->status = std::move(status);
        progress(source);
      },
      on_error);
  self_->request(store_, cfg_.request_timeout, get_atom_v)
    .then(
      [this, source = current_](stored_statistics& stored) {
        source->statistics = std::move(stored.value);
        progress(source);
      },
      on_error);
}

void training_status_state::progress(const read_ptr& source) {
  if (source != current_ || !source->status || !source->statistics)
    return;
  model_status result{std::move(*source->status),
                      std::move(*source->statistics)};
  if (!last_ || last_->value() != result)
    last_ = make_snapshot(std::move(result));
  for (auto& promise : finish())
    promise.deliver(last_);
}

void training_status_state::fail(const read_ptr& source,
                                 const caf::error& err) {
  // The other half of a read that failed already may come, or fail, too.
  if (source != current_)
    return;
  for (auto& promise : finish())
    promise.deliver(err);
}

training_status_state::promises training_status_state::finish() {
  auto result = std::exchange(waiting_, std::exchange(next_, {}));
  current_ = nullptr;
  if (!waiting_.empty())
    start();
  return result;
}

caf::result<void>
training_status_state::put(const training_statistics& statistics) {
  auto promise = self_->make_response_promise();
  // After an error it may be stored all the same.
  self_->request(store_, cfg_.request_timeout, put_atom_v, statistics)
    .then(
      [this, promise](uint64_t) mutable {
        outdated_ = true;
        promise.deliver(caf::unit);
      },
      [this, promise](caf::error& err) mutable {
        outdated_ = true;
        promise.deliver(std::move(err));
      });
  return promise;
}

caf::result<void>
training_status_state::put(const model_status_update& update) {
  // The text of the status is the backend's to tell: we ask for it.
  if (update.statistics)
    return put(*update.statistics);
  return caf::unit;
}

training_status_actor::behavior_type training_status(
  training_status_actor::stateful_pointer<training_status_state> self,
  backend_actor backend, store_actor store, const training_status_config& cfg) {
  return self->state.make_behavior(std::move(backend), std::move(store), cfg);
}

} // namespace aiops
