#include "actors/counts/log_history.hpp"

#include "base/error.hpp"
#include "base/log.hpp"

#include <algorithm>
#include <utility>

namespace aiops {

namespace {

constexpr auto min_backoff = milliseconds{250};
constexpr auto max_backoff = milliseconds{10'000};

/// Failures are logged once when the back-off reaches this value.
constexpr auto logged_backoff = 4 * min_backoff;

size_t bytes_of(const std::vector<std::string>& ids) {
  size_t result = 0;
  for (auto& id : ids)
    result += sizeof(id) + id.size();
  return result;
}

} // namespace

// -- points -------------------------------------------------------------------

int64_t log_history_points::interval_of(time_point when) {
  using interval = std::chrono::duration<int64_t, std::ratio<300>>;
  static_assert(interval{1} == history_interval);
  return std::chrono::floor<interval>(when.time_since_epoch()).count();
}

bool log_history_points::set(int64_t interval, const history_point& x) {
  std::vector<std::string> ids;
  std::vector<int64_t> counts;
  ids.reserve(x.log_counts.size());
  counts.reserve(x.log_counts.size());
  for (auto& [id, count] : x.log_counts) {
    ids.push_back(id);
    counts.push_back(count);
  }
  return set(interval, std::move(ids), std::move(counts));
}

bool log_history_points::set(int64_t interval, const breakdown& counts) {
  std::vector<std::string> ids;
  std::vector<int64_t> sums;
  ids.reserve(counts.clusters.size());
  sums.reserve(counts.clusters.size());
  for (auto& [id, cluster] : counts.clusters) {
    ids.push_back(id);
    sums.push_back(cluster->value().log_count());
  }
  return set(interval, std::move(ids), std::move(sums));
}

bool log_history_points::set(int64_t interval, std::vector<std::string> ids,
                             std::vector<int64_t> counts) {
  auto i = columns_.find(interval);
  if (i != columns_.end() && i->second.counts == counts
      && *i->second.ids == ids)
    return false;
  columns_[interval] = {share(interval, std::move(ids)), std::move(counts)};
  return true;
}

log_history_points::id_list
log_history_points::share(int64_t interval,
                          std::vector<std::string> ids) const {
  auto i = columns_.upper_bound(interval);
  if (i != columns_.end() && *i->second.ids == ids)
    return i->second.ids;
  // The column itself, if it exists, or the one before it.
  if (i != columns_.begin() && *std::prev(i)->second.ids == ids)
    return std::prev(i)->second.ids;
  return std::make_shared<const std::vector<std::string>>(std::move(ids));
}

bool log_history_points::trim(time_point now, size_t max_bytes) {
  auto before = columns_.size();
  auto last = interval_of(now);
  auto first = last - static_cast<int64_t>(history_length) + 1;
  columns_.erase(columns_.begin(), columns_.lower_bound(first));
  columns_.erase(columns_.upper_bound(last + 1), columns_.end());
  auto used = bytes();
  while (columns_.size() > history_length
         || (columns_.size() > 1 && used > max_bytes)) {
    auto oldest = columns_.extract(columns_.begin());
    auto& x = oldest.mapped();
    used -= x.counts.size() * sizeof(int64_t);
    if (columns_.begin()->second.ids != x.ids)
      used -= bytes_of(*x.ids);
  }
  return columns_.size() != before;
}

cluster_history log_history_points::of(const std::string& cluster_id) const {
  cluster_history result{cluster_id, {}};
  const std::vector<std::string>* ids = nullptr;
  size_t index = 0;
  for (auto& [interval, x] : columns_) {
    if (x.ids.get() != ids) {
      ids = x.ids.get();
      auto i = std::lower_bound(ids->begin(), ids->end(), cluster_id);
      auto found = i != ids->end() && *i == cluster_id;
      // One past the end: the cluster is not in this list.
      index = found ? static_cast<size_t>(i - ids->begin()) : ids->size();
    }
    if (index < x.counts.size())
      result.points.push_back(
        {time_point{history_interval * interval}, x.counts[index]});
  }
  return result;
}

size_t log_history_points::bytes() const {
  size_t result = 0;
  const std::vector<std::string>* ids = nullptr;
  for (auto& [interval, x] : columns_) {
    result += x.counts.size() * sizeof(int64_t);
    if (x.ids.get() != ids)
      result += bytes_of(*x.ids);
    ids = x.ids.get();
  }
  return result;
}

// -- the actor ----------------------------------------------------------------

internal_log_history_actor::behavior_type
log_history_state::make_behavior(counts_store_actor store,
                                 const log_history_config& cfg) {
  store_ = std::move(store);
  cfg_ = cfg;
  subscription_.next = reading_.next = self_->clock().now();
  caf::anon_send(self_, tick_atom_v);
  return {
    [this](get_atom, const std::string& id) { return get(id); },
    [this](update_atom, const stored_breakdown& x) { return update(x); },
    [this](tick_atom) { return tick(); },
  };
}

// -- serving ------------------------------------------------------------------

caf::result<log_history_state::history_answer>
log_history_state::get(const std::string& cluster_id) {
  if (loaded_)
    return history_of(cluster_id);
  if (!waiting_.has_room(cfg_.max_waiting))
    return make_error(ec::overloaded, "too many callers wait for the history "
                                      "to be loaded, try again in a moment");
  auto promise = self_->make_response_promise<history_answer>();
  auto deadline = self_->clock().now() + cfg_.request_timeout;
  waiting_.enter(deadline, {cluster_id, promise});
  wake_at(deadline);
  return promise;
}

log_history_state::history_answer
log_history_state::history_of(const std::string& cluster_id) {
  if (auto i = answers_.find(cluster_id); i != answers_.end())
    return i->second;
  auto result = make_snapshot(points_.of(cluster_id));
  // A caller may request any name, so only those that exist are cached.
  if (!result->value().points.empty())
    answers_.emplace(cluster_id, result);
  return result;
}

void log_history_state::serve_waiting() {
  waiting_.serve_all([this](waiter& caller) {
    caller.promise.deliver(history_of(caller.cluster_id));
  });
}

void log_history_state::expire_waiting() {
  auto now = self_->clock().now();
  while (auto caller = waiting_.expired(now)) {
    // Points from updates are better than none.
    if (!points_.empty())
      caller->promise.deliver(history_of(caller->cluster_id));
    else
      caller->promise.deliver(make_error(ec::disconnected,
                                         "the history was not loaded yet: no "
                                         "connection to NATS"));
  }
}

// -- following the store ------------------------------------------------------

void log_history_state::tick() {
  auto now = self_->clock().now();
  expire_waiting();
  if (subscription_.next && *subscription_.next <= now)
    subscribe();
  if (reading_.next && *reading_.next <= now)
    read();
}

void log_history_state::subscribe() {
  subscription_.next.reset();
  self_
    ->request(store_, cfg_.request_timeout, subscribe_atom_v,
              breakdown_listener_actor{self_})
    .then([] {},
          [this](const caf::error& err) {
            retry(subscription_);
            if (subscription_.backoff.current() == logged_backoff)
              log::warning(name, "cannot follow the counts",
                           {{"reason", text_of(err)}});
          });
}

void log_history_state::read() {
  reading_.next.reset();
  self_->request(store_, cfg_.request_timeout, get_atom_v)
    .then([this](const std::vector<history_point>& xs) { merge(xs); },
          [this](const caf::error& err) {
            retry(reading_);
            if (reading_.backoff.current() == logged_backoff)
              log::warning(name, "cannot read the history",
                           {{"reason", text_of(err)}});
          });
}

void log_history_state::merge(const std::vector<history_point>& points) {
  // If an interval has several points, the latest one is kept.
  std::vector<const history_point*> sorted;
  for (auto& x : points)
    sorted.push_back(&x);
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](auto x, auto y) { return x->at < y->at; });
  auto now = log_history_points::interval_of(cfg_.wall_clock());
  auto changed = false;
  for (auto x : sorted) {
    auto interval = log_history_points::interval_of(x->at);
    // Also checked here, so that many old points are not kept even for a
    // moment.
    auto fits = interval > now - static_cast<int64_t>(history_length)
                && interval <= now + 1;
    if (fits && interval != updated_)
      changed = points_.set(interval, *x) || changed;
  }
  remove_outdated(changed);
  loaded_ = true;
  serve_waiting();
  if (reading_.backoff.current() >= logged_backoff)
    log::info(name, "reads the history again");
  reading_.backoff.reset();
  reading_.next = self_->clock().now() + cfg_.reread_interval;
  wake_at(*reading_.next);
}

void log_history_state::update(const stored_breakdown& counts) {
  if (!counts.value)
    return;
  auto interval = log_history_points::interval_of(counts.created);
  updated_ = interval;
  remove_outdated(points_.set(interval, *counts.value));
}

void log_history_state::remove_outdated(bool changed) {
  if (points_.trim(cfg_.wall_clock(), cfg_.max_bytes) || changed)
    answers_.clear();
}

void log_history_state::retry(attempt& what) {
  what.next = self_->clock().now()
              + what.backoff.fail(min_backoff, max_backoff);
  wake_at(*what.next);
}

void log_history_state::wake_at(clock::time_point when) {
  self_->scheduled_send(self_, when, tick_atom_v);
}

internal_log_history_actor::behavior_type log_history(
  internal_log_history_actor::stateful_pointer<log_history_state> self,
  counts_store_actor store, const log_history_config& cfg) {
  return self->state.make_behavior(std::move(store), cfg);
}

} // namespace aiops
