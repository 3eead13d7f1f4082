#include "actors/gpu_info.hpp"

#include "base/error.hpp"
#include "base/log.hpp"

#include <algorithm>
#include <utility>

namespace aiops {

namespace {

constexpr auto min_backoff = milliseconds{500};

} // namespace

internal_gpu_info_actor::behavior_type
gpu_info_state::make_behavior(gpu_probe_actor probe, events_actor events,
                              const gpu_info_config& cfg) {
  probe_ = std::move(probe);
  events_ = std::move(events);
  cfg_ = cfg;
  if (cfg_.refresh.count() > 0) {
    next_scan_ = self_->clock().now();
    caf::anon_send(self_, tick_atom_v);
  }
  return {
    [this](get_atom) { return get(list_); },
    [this](overview_atom) { return get(inventory_); },
    [this](tick_atom) { tick(); },
  };
}

// -- serving ------------------------------------------------------------------

template <class T>
caf::result<snapshot_ptr<T>> gpu_info_state::get(const snapshot_ptr<T>& known) {
  auto in_background = cfg_.refresh.count() > 0;
  if (in_background && known)
    return known;
  // Nothing is known, and no scan is running.
  if (in_background && failure_ && !scanning_)
    return failure_;
  if (!waiting_.has_room(cfg_.max_waiting))
    return make_error(ec::overloaded, "too many callers wait for the GPUs, try "
                                      "again in a moment");
  auto promise = self_->make_response_promise<snapshot_ptr<T>>();
  auto deadline = self_->clock().now() + cfg_.request_timeout;
  waiting_.enter(deadline, {promise});
  if (!scanning_ && !in_background)
    scan();
  else
    wake_at(deadline);
  return promise;
}

void gpu_info_state::serve_waiting() {
  auto answer = [this](auto& promise, const auto& known) {
    if (known)
      promise.deliver(known);
    else
      promise.deliver(failure_);
  };
  waiting_.serve_all([&](waiter& caller) {
    if (auto promise = std::get_if<list_promise>(&caller.promise))
      answer(*promise, list_);
    else
      answer(std::get<inventory_promise>(caller.promise), inventory_);
  });
}

// -- scanning -----------------------------------------------------------------

void gpu_info_state::tick() {
  auto now = self_->clock().now();
  if (next_scan_ && *next_scan_ <= now)
    scan();
  while (auto caller = waiting_.expired(now))
    std::visit(
      [](auto& promise) {
        promise.deliver(make_error(ec::timeout,
                                   "the first scan of the GPUs has "
                                   "not ended yet"));
      },
      caller->promise);
}

void gpu_info_state::scan() {
  if (!probe_)
    return succeed({});
  scanning_ = true;
  next_scan_.reset();
  self_->request(probe_, cfg_.scan_timeout, get_atom_v)
    .then([this](gpu_list& xs) { succeed(std::move(xs)); },
          [this](const caf::error& err) { fail(err); });
}

void gpu_info_state::succeed(gpu_list gpus) {
  scanning_ = false;
  backoff_.reset();
  if (std::exchange(failure_, {}))
    log::info(name, "scans the GPUs again");
  gpu_inventory seen;
  seen.gpus = std::move(gpus);
  seen.observed_at = cfg_.wall_clock();
  seen.source = cfg_.source;
  gpu_list listed;
  std::copy_if(seen.gpus.begin(), seen.gpus.end(), std::back_inserter(listed),
               [this](auto& x) { return x.name.starts_with(cfg_.listed); });
  // An equal answer keeps its encoded bytes.
  if (!list_ || list_->value() != listed)
    list_ = make_snapshot(std::move(listed));
  inventory_ = make_snapshot(std::move(seen));
  publish();
  if (cfg_.refresh.count() > 0)
    wake_at(*(next_scan_ = self_->clock().now() + cfg_.refresh));
  serve_waiting();
}

void gpu_info_state::fail(const caf::error& err) {
  scanning_ = false;
  if (!failure_)
    log::warning(name, "cannot scan the GPUs", {{"reason", text_of(err)}});
  failure_ = err;
  if (inventory_) {
    auto old = inventory_->value();
    old.stale = true;
    old.reason = text_of(err);
    inventory_ = make_snapshot(std::move(old));
    publish();
  }
  if (cfg_.refresh.count() > 0) {
    next_scan_ = self_->clock().now()
                 + backoff_.fail(min_backoff, cfg_.refresh);
    wake_at(*next_scan_);
  }
  serve_waiting();
}

void gpu_info_state::publish() const {
  if (events_)
    caf::anon_send(events_, update_atom_v, event_value{inventory_});
}

void gpu_info_state::wake_at(clock::time_point when) {
  self_->scheduled_send(self_, when, tick_atom_v);
}

internal_gpu_info_actor::behavior_type
gpu_info(internal_gpu_info_actor::stateful_pointer<gpu_info_state> self,
         gpu_probe_actor probe, events_actor events,
         const gpu_info_config& cfg) {
  return self->state.make_behavior(std::move(probe), std::move(events), cfg);
}

} // namespace aiops
