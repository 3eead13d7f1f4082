#include "actors/events.hpp"

#include "base/error.hpp"

#include <algorithm>
#include <type_traits>
#include <utility>

namespace aiops {

namespace {

bool equal(const gpu_inventory& x, const gpu_inventory& y) {
  return x.gpus == y.gpus && x.stale == y.stale && x.reason == y.reason
         && x.source == y.source;
}

/// The job without the members that an event does not show.
std::optional<training_job> shown_job(const training_book& book) {
  auto job = current_job(book);
  if (!job)
    return std::nullopt;
  auto result = *job;
  result.confirmed = result.may_receive_stale_progress
    = result.completion_reported = false;
  result.stale_progress_elapsed = 0;
  return result;
}

bool equal(const training_overview& x, const training_overview& y) {
  return shown_job(x.book) == shown_job(y.book)
         && x.book.model.status == y.book.model.status && x.backend == y.backend
         && x.stale_reason == y.stale_reason && x.losses == y.losses;
}

bool equal(const cluster_overview& x, const cluster_overview& y) {
  return x.clusters == y.clusters && x.aggregated_at == y.aggregated_at
         && x.stale == y.stale && x.reason == y.reason;
}

template <class T>
bool equal(const T& x, const T& y) {
  return x == y;
}

template <class T>
bool equal(const snapshot_ptr<T>& x, const snapshot_ptr<T>& y) {
  return x == y || (x && y && equal(x->value(), y->value()));
}

/// Whether the value is not a null snapshot.
bool has_value(const event_value& x) {
  return std::visit(
    [](auto& value) {
      if constexpr (requires { value == nullptr; })
        return value != nullptr;
      else
        return true;
    },
    x);
}

constexpr size_t watchlist_topic = 1;

static_assert(
  std::is_same_v<std::variant_alternative_t<watchlist_topic, event_value>,
                 watchlist_change>);

} // namespace

bool same_event(const event_value& last, const event_value& x) {
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
  listeners_.forget_ended(self_);
  return {
    [this](update_atom, const event_value& x) { update(x); },
    [this](subscribe_atom, const event_listener_actor& listener) {
      return add_listener(listener);
    },
  };
}

caf::result<void>
events_state::add_listener(const event_listener_actor& listener) {
  if (!listeners_.contains(listener) && listeners_.size() >= cfg_.max_listeners)
    return make_error(ec::overloaded, "too many listeners");
  listeners_.add(self_, listener);
  for (auto& value : latest_)
    if (value)
      caf::anon_send(listener, update_atom_v, *value);
  return caf::unit;
}

void events_state::update(const event_value& x) {
  if (!has_value(x))
    return;
  publish(x);
  if (auto training = std::get_if<snapshot_ptr<training_overview>>(&x)) {
    auto& value = (*training)->value();
    publish_watchlist(value.book);
    publish(value.backend);
  }
}

void events_state::publish(event_value x) {
  auto& last = latest_[x.index()];
  if (last && same_event(*last, x))
    return;
  last = std::move(x);
  listeners_.send(update_atom_v, *last);
}

void events_state::publish_watchlist(const training_book& book) {
  watchlist_change next;
  next.workloads = book.watchlist.workloads;
  if (auto& list = book.watchlist; !list.job_id.empty()) {
    next.job_id = list.job_id;
    next.submitted_at = list.submitted_at;
  }
  watchlist_change last;
  if (auto& value = latest_[watchlist_topic]) {
    last = std::get<watchlist_change>(*value);
    // A job's watchlist never changes.
    if (last.job_id == next.job_id)
      return;
  }
  next.previous_job_id = last.job_id;
  next.changes = diff(last.workloads, next.workloads);
  publish(std::move(next));
}

events_actor::behavior_type
events(events_actor::stateful_pointer<events_state> self,
       const events_config& cfg) {
  return self->state.make_behavior(cfg);
}

} // namespace aiops
