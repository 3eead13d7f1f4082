#include "actors/events.hpp"

#include "actors/error.hpp"

#include <algorithm>
#include <type_traits>
#include <utility>

namespace aiops {

namespace {

bool equal(const gpu_inventory& x, const gpu_inventory& y) {
  return x.gpus == y.gpus && x.stale == y.stale && x.reason == y.reason
         && x.source == y.source;
}

/// That the backend confirmed a training is for us to know, and nobody is shown
/// it.
bool equal(const training_overview& x, const training_overview& y) {
  auto same = y;
  if (x.book.job && same.book.job)
    same.book.job->confirmed = x.book.job->confirmed;
  return x == same;
}

template <class T>
bool equal(const T& x, const T& y) {
  return x == y;
}

template <class T>
bool equal(const snapshot_ptr<T>& x, const snapshot_ptr<T>& y) {
  return x == y || (x && y && equal(x->value(), y->value()));
}

/// Whether there is anything behind the value.
bool says_something(const event_value& x) {
  return std::visit(
    [](auto& value) {
      if constexpr (std::is_same_v<decltype(value), const backend_health&>)
        return true;
      else
        return value != nullptr;
    },
    x);
}

watchlist_overview watchlist_in(const training_book& book) {
  watchlist_overview result;
  result.workloads = watchlist_of(book);
  if (book.job) {
    result.job_id = book.job->id;
    result.submitted_at = book.job->started_at;
  }
  return result;
}

} // namespace

bool same_news(const event_value& last, const event_value& x) {
  return last.index() == x.index()
         && std::visit(
           [&](auto& value) {
             return equal(value, std::get<std::decay_t<decltype(value)>>(x));
           },
           last);
}

events_actor::behavior_type
events_state::make_behavior(const events_config& cfg) {
  cfg_ = cfg;
  self_->set_down_handler([this](const caf::down_msg& msg) {
    std::erase_if(listeners_,
                  [&](auto& known) { return known.address() == msg.source; });
  });
  return {
    [this](update_atom, const event_value& x) { update(x); },
    [this](subscribe_atom, const event_listener_actor& listener) {
      return add_listener(listener);
    },
  };
}

caf::result<void>
events_state::add_listener(const event_listener_actor& listener) {
  if (std::find(listeners_.begin(), listeners_.end(), listener)
      == listeners_.end()) {
    if (listeners_.size() >= cfg_.max_listeners)
      return make_error(ec::overloaded, "too many listeners");
    self_->monitor(listener);
    listeners_.push_back(listener);
  }
  for (auto& value : latest_)
    if (value)
      caf::anon_send(listener, update_atom_v, *value);
  return caf::unit;
}

void events_state::update(const event_value& x) {
  if (!says_something(x))
    return;
  tell(x);
  if (auto training = std::get_if<snapshot_ptr<training_overview>>(&x)) {
    auto& value = (*training)->value();
    tell(make_snapshot(watchlist_in(value.book)));
    tell(value.backend);
  }
}

void events_state::tell(event_value x) {
  auto& last = latest_[x.index()];
  if (last && same_news(*last, x))
    return;
  last = std::move(x);
  for (auto& listener : listeners_)
    caf::anon_send(listener, update_atom_v, *last);
}

events_actor::behavior_type
events(events_actor::stateful_pointer<events_state> self,
       const events_config& cfg) {
  return self->state.make_behavior(cfg);
}

} // namespace aiops
