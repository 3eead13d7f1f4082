#include "actors/counts/log_aggregation.hpp"

#include "base/error.hpp"
#include "base/log.hpp"

#include <algorithm>
#include <utility>

namespace aiops {

namespace {

/// Minimum pause after a failed aggregation.
constexpr auto retry_pause = milliseconds{250};

/// The first pause while there are no counts yet; doubles with each
/// aggregation.
constexpr auto shortest_pause = milliseconds{1'000};

/// Consecutive failures after which one is logged while there are no counts
/// yet.
constexpr int first_failures_until_warning = 3;

} // namespace

internal_log_aggregation_actor::behavior_type
log_aggregation_state::make_behavior(log_source_actor source,
                                     counts_store_actor store,
                                     lease_actor lease, events_actor events,
                                     const log_aggregation_config& cfg) {
  source_ = std::move(source);
  store_ = std::move(store);
  lease_edge_ = std::move(lease);
  events_ = std::move(events);
  cfg_ = cfg;
  next_subscribe_ = self_->clock().now();
  if (source_)
    next_aggregation_ = next_subscribe_;
  caf::anon_send(self_, tick_atom_v);
  return {
    [this](get_atom, const std::string& id) { return get(id); },
    [this](get_atom) { return get_overview(); },
    [this](update_atom, const stored_breakdown& x) { return update(x); },
    [this](update_atom, const lease_status& x) { return handle_lease(x); },
    [this](tick_atom) { return tick(); },
  };
}

// -- serving ------------------------------------------------------------------

caf::result<log_aggregation_state::counts_answer>
log_aggregation_state::get(const std::string& cluster_id) {
  if (!loaded_)
    return wait<counts_answer>(cluster_id);
  return counts_of(cluster_id);
}

caf::result<log_aggregation_state::overview_answer>
log_aggregation_state::get_overview() {
  if (!loaded_)
    return wait<overview_answer>(std::nullopt);
  return overview();
}

template <class T>
caf::result<T>
log_aggregation_state::wait(std::optional<std::string> cluster_id) {
  if (!waiting_.has_room(cfg_.max_waiting))
    return make_error(ec::overloaded, "too many callers wait for the counts to "
                                      "be loaded, try again in a moment");
  auto promise = self_->make_response_promise();
  auto deadline = self_->clock().now() + cfg_.request_timeout;
  waiting_.enter(deadline, {std::move(cluster_id), promise});
  wake_at(deadline);
  return promise;
}

void log_aggregation_state::serve_waiting() {
  waiting_.serve_all([this](waiter& caller) {
    if (caller.cluster_id)
      caller.promise.deliver(counts_of(*caller.cluster_id));
    else
      caller.promise.deliver(overview());
  });
}

void log_aggregation_state::expire_waiting() {
  auto now = self_->clock().now();
  while (auto caller = waiting_.expired(now))
    caller->promise.deliver(make_error(ec::disconnected,
                                       "the counts were not loaded yet: no "
                                       "connection to NATS"));
}

log_aggregation_state::counts_answer
log_aggregation_state::counts_of(const std::string& cluster_id) const {
  if (counts_.value) {
    auto& clusters = counts_.value->clusters;
    if (auto i = clusters.find(cluster_id); i != clusters.end())
      return i->second;
  }
  return make_snapshot(cluster_counts{cluster_id, {}});
}

std::string log_aggregation_state::stale_reason() const {
  if (!failure_.empty())
    return failure_;
  if (!counts_.failure.empty() || !counts_.value)
    return counts_.failure;
  auto age = cfg_.wall_clock() - counts_.created;
  if (age <= cfg_.interval * stale_after_intervals)
    return {};
  return "no replica stored new counts for more than "
         + std::to_string(stale_after_intervals) + " aggregation intervals";
}

log_aggregation_state::overview_answer log_aggregation_state::overview() {
  auto reason = stale_reason();
  auto aggregating = holds_lease();
  if (!overview_ || overview_->value().reason != reason
      || overview_->value().aggregating != aggregating) {
    cluster_overview result;
    if (counts_.value) {
      result.clusters = summarize(*counts_.value);
      result.aggregated_at = counts_.created;
    }
    result.stale = !reason.empty();
    result.reason = std::move(reason);
    result.source = cfg_.source;
    result.aggregating = aggregating;
    result.aggregations = aggregations_;
    result.failures = all_failures_;
    result.took = took_;
    overview_ = make_snapshot(std::move(result));
  }
  return overview_;
}

void log_aggregation_state::publish_changes() {
  if (!events_ || !loaded_)
    return;
  if (auto now = overview(); now != published_) {
    published_ = std::move(now);
    caf::anon_send(events_, update_atom_v, event_value{published_});
  }
  if (published_->value().stale || !counts_.value)
    return;
  auto age = cfg_.wall_clock() - counts_.created;
  auto when = self_->clock().now() + cfg_.interval * stale_after_intervals - age
              + milliseconds{1};
  if (!next_stale_check_ || when < *next_stale_check_) {
    next_stale_check_ = when;
    wake_at(when);
  }
}

// -- following the store ------------------------------------------------------

void log_aggregation_state::subscribe() {
  next_subscribe_.reset();
  auto retry = [this](const caf::error& err) {
    log::warning(name, "cannot follow the counts", {{"reason", text_of(err)}});
    next_subscribe_ = self_->clock().now() + cfg_.request_timeout;
    wake_at(*next_subscribe_);
  };
  self_
    ->request(store_, cfg_.request_timeout, subscribe_atom_v,
              breakdown_listener_actor{self_})
    .then([] {}, retry);
  if (lease_edge_)
    self_
      ->request(lease_edge_, cfg_.request_timeout, subscribe_atom_v,
                lease_listener_actor{self_})
      .then([] {}, retry);
}

void log_aggregation_state::update(stored_breakdown counts) {
  if (loaded_ && (!supersedes(counts) || same(counts)))
    return;
  counts_ = std::move(counts);
  any_counts_ = any_counts_
                || (counts_.value && !counts_.value->clusters.empty());
  loaded_ = true;
  overview_ = nullptr;
  serve_waiting();
  publish_changes();
}

bool log_aggregation_state::supersedes(const stored_breakdown& counts) const {
  // The revisions of a bucket that was deleted and created again start at 1,
  // but its values are newer.
  return !counts.value || counts.revision == 0
         || counts.revision >= counts_.revision
         || counts.created > counts_.created;
}

bool log_aggregation_state::same(const stored_breakdown& counts) const {
  return counts.value == counts_.value && counts.revision == counts_.revision
         && counts.created == counts_.created
         && counts.failure == counts_.failure;
}

// -- aggregating --------------------------------------------------------------

void log_aggregation_state::tick() {
  auto now = self_->clock().now();
  expire_waiting();
  if (next_subscribe_ && *next_subscribe_ <= now)
    subscribe();
  if (next_aggregation_ && *next_aggregation_ <= now && holds_lease())
    aggregate();
  if (next_stale_check_ && *next_stale_check_ <= now)
    next_stale_check_.reset();
  publish_changes();
}

void log_aggregation_state::handle_lease(const lease_status& lease) {
  if (lease.term != lease_.term) {
    // Earlier failures no longer matter: the replica that counts reports its
    // own.
    failure_.clear();
    shared_failure_.clear();
    failures_ = 0;
    log::info(
      name, lease.held ? "starts to count the logs" : "stops counting the logs",
      {{"term", lease.term}});
  }
  lease_ = lease;
  tick();
}

bool log_aggregation_state::holds_lease() const {
  return lease_.held && self_->clock().now() < lease_.until;
}

void log_aggregation_state::aggregate() {
  next_aggregation_.reset();
  started_ = self_->clock().now();
  term_ = lease_.term;
  ++aggregations_;
  self_->request(source_, cfg_.interval * 3 / 4, count_atom_v)
    .then([this](const breakdown_ptr& counts) { store(counts); },
          [this](const caf::error& err) { failed(err); });
}

void log_aggregation_state::store(const breakdown_ptr& counts) {
  auto left = started_ + cfg_.interval * 19 / 20 - self_->clock().now();
  auto timeout = std::max<caf::timespan>(left, cfg_.interval / 5);
  self_->request(store_, timeout, put_atom_v, counts)
    .then([this](stored_breakdown& stored) { succeeded(std::move(stored)); },
          [this](const caf::error& err) { failed(err); });
}

void log_aggregation_state::succeeded(stored_breakdown counts) {
  took_ = std::chrono::duration_cast<milliseconds>(self_->clock().now()
                                                   - started_);
  if (failures_ > 0)
    log::info(name, "counts the logs again");
  failures_ = 0;
  failure_.clear();
  shared_failure_.clear();
  overview_ = nullptr;
  update(std::move(counts));
  publish_changes();
  next_aggregation_ = started_ + next_pause();
  wake_at(*next_aggregation_);
}

void log_aggregation_state::failed(const caf::error& err) {
  overview_ = nullptr;
  ++all_failures_;
  if (term_ != lease_.term || !holds_lease()) {
    // The lease has ended, so another replica counts.
    next_aggregation_ = self_->clock().now() + retry_pause;
    wake_at(*next_aggregation_);
    return publish_changes();
  }
  // When the gateway starts, the source may still be starting.
  auto limit = any_counts_ ? 1 : first_failures_until_warning;
  if (++failures_ == limit)
    log::warning(name, "cannot count the logs", {{"reason", text_of(err)}});
  failure_ = text_of(err);
  // For the other replicas. New counts clear it.
  if (shared_failure_ != failure_) {
    shared_failure_ = failure_;
    caf::anon_send(store_, put_atom_v, failure_);
  }
  next_aggregation_ = started_ + next_pause();
  // Before the first counts, a failed aggregation may take longer than the
  // pause.
  if (!any_counts_)
    next_aggregation_ = std::max(*next_aggregation_,
                                 self_->clock().now() + retry_pause);
  wake_at(*next_aggregation_);
  publish_changes();
}

milliseconds log_aggregation_state::next_pause() {
  if (any_counts_)
    return cfg_.interval;
  return first_pause_.fail(shortest_pause, cfg_.interval);
}

void log_aggregation_state::wake_at(clock::time_point when) {
  self_->scheduled_send(self_, when, tick_atom_v);
}

internal_log_aggregation_actor::behavior_type log_aggregation(
  internal_log_aggregation_actor::stateful_pointer<log_aggregation_state> self,
  log_source_actor source, counts_store_actor store, lease_actor lease,
  events_actor events, const log_aggregation_config& cfg) {
  return self->state.make_behavior(std::move(source), std::move(store),
                                   std::move(lease), std::move(events), cfg);
}

} // namespace aiops
