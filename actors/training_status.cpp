#include "actors/training_status.hpp"

#include "actors/log.hpp"

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
    [this](put_atom, const training_statistics& x) { return write(x); },
    [this](put_atom, const training_statistics& x, uint64_t revision) {
      return write(x, revision);
    },
    [this](put_atom, const model_status_update& x) { return put(x); },
  };
}

caf::result<training_status_state::answer> training_status_state::get() {
  auto caller = self_->make_response_promise<answer>();
  if (current_ && !outdated_ && puts_in_flight_.empty()) {
    current_->callers.push_back(caller);
  } else {
    waiting_.push_back({caller, last_put_});
    start();
  }
  return caller;
}

void training_status_state::start() {
  auto due = [this](const waiting_caller& x) {
    return puts_in_flight_.empty() || *puts_in_flight_.begin() > x.put;
  };
  if (current_ || waiting_.empty() || !due(waiting_.front()))
    return;
  current_ = std::make_shared<read>();
  outdated_ = false;
  for (; !waiting_.empty() && due(waiting_.front()); waiting_.pop_front())
    current_->callers.push_back(waiting_.front().caller);
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
  finish(last_);
}

void training_status_state::fail(const read_ptr& source,
                                 const caf::error& err) {
  // The other half of a read that failed already may come, or fail, too.
  if (source == current_)
    finish(err);
}

template <class T>
void training_status_state::finish(const T& result) {
  auto done = std::exchange(current_, nullptr);
  for (auto& caller : done->callers)
    caller.deliver(result);
  start();
}

caf::result<void>
training_status_state::put(const model_status_update& update) {
  // The text of the status is the backend's to tell: we ask for it.
  if (update.statistics)
    return write(*update.statistics);
  return caf::unit;
}

template <class... Ts>
caf::result<void> training_status_state::write(const Ts&... xs) {
  auto promise = self_->make_response_promise();
  auto number = ++last_put_;
  puts_in_flight_.insert(number);
  self_->request(store_, cfg_.request_timeout, put_atom_v, xs...)
    .then(
      [this, promise, number](uint64_t) mutable {
        promise.deliver(caf::unit);
        ended(number);
      },
      [this, promise, number](caf::error& err) mutable {
        // Of a guarded put alone: newer progress is there, which is fine.
        if (code_of(err) == ec::conflict) {
          promise.deliver(caf::unit);
        } else {
          log::warning(name, "cannot store progress",
                       {{"reason", text_of(err)}});
          promise.deliver(std::move(err));
        }
        ended(number);
      });
  return promise;
}

void training_status_state::ended(uint64_t put) {
  puts_in_flight_.erase(put);
  // After an error it may be stored all the same.
  outdated_ = true;
  start();
}

training_status_actor::behavior_type training_status(
  training_status_actor::stateful_pointer<training_status_state> self,
  backend_actor backend, store_actor store, const training_status_config& cfg) {
  return self->state.make_behavior(std::move(backend), std::move(store), cfg);
}

} // namespace aiops
