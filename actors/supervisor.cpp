#include "actors/supervisor.hpp"

#include "base/log.hpp"

#include <algorithm>
#include <exception>
#include <utility>

namespace aiops {

internal_supervisor_actor::behavior_type
supervisor_state::make_behavior(std::vector<child_spec> specs, directory* known,
                                const supervisor_config& cfg,
                                give_up_fun give_up) {
  for (auto& spec : specs)
    children_.push_back({std::move(spec), nullptr, {}});
  directory_ = known;
  cfg_ = cfg;
  give_up_ = std::move(give_up);
  self_->set_down_handler([this](caf::down_msg& msg) { down(msg); });
  self_->set_exit_handler([this](caf::exit_msg& msg) { exit(msg); });
  restart_at_ = self_->clock().now();
  caf::anon_send(self_, restart_atom_v);
  return {
    [this](restart_atom) { tick(); },
  };
}

void supervisor_state::tick() {
  auto now = self_->clock().now();
  if (restart_at_ && *restart_at_ <= now)
    start_children();
  if (!stopping_ || stopping_->deadline > now)
    return;
  auto& last = children_[running_ - 1];
  if (!stopping_->killed) {
    log::warning(name, "kills a child that does not stop in time",
                 {{"child", last.spec.name}});
    return stop_last(caf::exit_reason::kill);
  }
  log::error(name, "abandons a child that cannot be killed",
             {{"child", last.spec.name}});
  self_->demonitor(last.handle);
  last.handle = nullptr;
  stopping_.reset();
  stop_next();
}

// -- starting -----------------------------------------------------------------

void supervisor_state::start_children() {
  restart_at_.reset();
  keep_ = children_.size();
  auto known = *directory_->get();
  while (running_ < children_.size()) {
    auto& next = children_[running_];
    next.before = known;
    if (!start(next, known))
      return stop_from(running_);
    ++running_;
  }
  directory_->set(std::move(known));
}

bool supervisor_state::start(child& x, gateway_actors& known) {
  // Spawning may fail for lack of threads or memory.
  try {
    x.handle = x.spec.start(self_->system(), known);
  } catch (const std::exception& err) {
    last_death_ = x.spec.name + " cannot start: " + err.what();
    log::error(name, "cannot start a child",
               {{"child", x.spec.name}, {"reason", err.what()}});
    return false;
  }
  if (x.handle)
    self_->monitor(x.handle);
  log::debug(name, "started a child", {{"child", x.spec.name}});
  return true;
}

// -- stopping -----------------------------------------------------------------

void supervisor_state::down(const caf::down_msg& msg) {
  auto same = [&](const child& x) {
    return x.handle && x.handle.address() == msg.source;
  };
  auto i = std::find_if(children_.begin(), children_.end(), same);
  if (i == children_.end())
    return;
  i->handle = nullptr;
  auto index = static_cast<size_t>(i - children_.begin());
  if (index + 1 == running_ && stopping_) {
    stopping_.reset();
    return stop_next();
  }
  last_death_ = i->spec.name + " ended: " + self_->system().render(msg.reason);
  log::error(
    name, "a child ended unexpectedly",
    {{"child", i->spec.name}, {"reason", self_->system().render(msg.reason)}});
  stop_from(index);
}

void supervisor_state::exit(const caf::exit_msg& msg) {
  if (exit_reason_)
    return;
  exit_reason_ = msg.reason;
  stop_from(0);
}

void supervisor_state::stop_from(size_t index) {
  if (index < keep_ || index == 0) {
    keep_ = index;
    restart_at_.reset();
    directory_->set(children_.empty() ? gateway_actors{}
                                      : children_[keep_].before);
  }
  if (!stopping_)
    stop_next();
}

void supervisor_state::stop_next() {
  while (running_ > keep_ && !children_[running_ - 1].handle)
    --running_;
  if (running_ > keep_)
    stop_last(caf::exit_reason::user_shutdown);
  else if (exit_reason_)
    self_->quit(*exit_reason_);
  else if (!restart_at_ && !gave_up_)
    schedule_restart();
}

void supervisor_state::stop_last(caf::exit_reason reason) {
  auto deadline = self_->clock().now() + cfg_.stop_timeout;
  stopping_ = stopping{deadline, reason == caf::exit_reason::kill};
  self_->send_exit(children_[running_ - 1].handle, reason);
  self_->scheduled_send(self_, deadline, restart_atom_v);
}

void supervisor_state::schedule_restart() {
  auto now = self_->clock().now();
  restarts_.push_back(now);
  while (restarts_.front() + cfg_.window <= now)
    restarts_.pop_front();
  if (restarts_.size() > cfg_.max_restarts) {
    gave_up_ = true;
    log::error(name, "too many restarts", {{"last", last_death_}});
    return give_up_("too many restarts; " + last_death_);
  }
  auto pause = cfg_.min_backoff;
  for (size_t i = 1; i < restarts_.size() && pause < cfg_.max_backoff; ++i)
    pause *= 2;
  restart_at_ = now + std::min(pause, cfg_.max_backoff);
  self_->scheduled_send(self_, *restart_at_, restart_atom_v);
}

internal_supervisor_actor::behavior_type
supervisor(internal_supervisor_actor::stateful_pointer<supervisor_state> self,
           std::vector<child_spec> specs, directory* known,
           const supervisor_config& cfg,
           supervisor_state::give_up_fun give_up) {
  return self->state.make_behavior(std::move(specs), known, cfg,
                                   std::move(give_up));
}

} // namespace aiops
