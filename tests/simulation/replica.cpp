#include "tests/simulation/replica.hpp"

#include "actors/events.hpp"
#include "actors/training/training.hpp"
#include "actors/training/training_hooks.hpp"
#include "actors/training/training_jobs.hpp"
#include "actors/training/training_status.hpp"
#include "actors/training/watchlist.hpp"
#include "nats/buckets.hpp"
#include "nats/kv_store.hpp"
#include "nats/lease.hpp"
#include "nats/subjects.hpp"
#include "nats/training/job_store.hpp"
#include "nats/training/kv_backend.hpp"
#include "nats/training/progress_feed.hpp"
#include "nats/training/request_reply_backend.hpp"

#include <algorithm>
#include <cstdio>

namespace aiops::simulation {

using namespace nats;

namespace {

/// Forwards all requests to the backend actor, and reports submissions.
backend_actor::behavior_type observed_backend(backend_actor::pointer self,
                                              backend_actor real, size_t index,
                                              gateway_observer* observer) {
  return {
    [=](train_atom, const backend_submission& what, caf::timespan timeout) {
      observer->on_submission(index, what);
      return self->delegate(real, train_atom_v, what, timeout);
    },
    [=](status_atom) { return self->delegate(real, status_atom_v); },
    [=](watchlist_atom) { return self->delegate(real, watchlist_atom_v); },
    [=](check_atom) { return self->delegate(real, check_atom_v); },
    [=](get_atom) { return self->delegate(real, get_atom_v); },
    [=](put_atom, const model_status& x) {
      return self->delegate(real, put_atom_v, x);
    },
    [=](delete_atom) { return self->delegate(real, delete_atom_v); },
    [=](put_atom, const backend_submission& x, uint64_t expected) {
      return self->delegate(real, put_atom_v, x, expected);
    },
  };
}

job_hook_actor::behavior_type recording_hook(job_hook_actor::pointer,
                                             size_t index, faults* what,
                                             gateway_observer* observer) {
  return {
    [=](put_atom, const training_job& x) -> caf::result<void> {
      if (what->happens(fault::hook_failure))
        return make_error(ec::disconnected, "the hook cannot be reached");
      observer->on_hook(index, x);
      return caf::unit;
    },
  };
}

lease_listener_actor::behavior_type
lease_watch(lease_listener_actor::pointer self, lease_actor lease, size_t index,
            gateway_observer* observer) {
  caf::anon_send(lease, subscribe_atom_v, lease_listener_actor{self});
  return {
    [=](update_atom, const lease_status& x) { observer->on_lease(index, x); },
  };
}

book_listener_actor::behavior_type book_watch(book_listener_actor::pointer self,
                                              training_jobs_actor jobs,
                                              size_t index,
                                              gateway_observer* observer) {
  caf::anon_send(jobs, subscribe_atom_v, book_listener_actor{self});
  return {
    [=](update_atom, const stored_book& x) {
      observer->on_book_shown(index, x);
    },
  };
}

std::vector<std::string> bucket_names(backend_protocol protocol) {
  std::vector<std::string> result{std::string{subjects::gateway_bucket},
                                  std::string{subjects::aggregation_bucket}};
  if (protocol == backend_protocol::kv) {
    result.emplace_back(subjects::statistics_bucket);
    result.emplace_back(subjects::parameters_bucket);
  }
  return result;
}

} // namespace

replica::replica(timeline& time, faults& what, network& net,
                 const setup& config, size_t index, gateway_observer& observer)
  : time_(time), faults_(what), net_(net), config_(config), index_(index),
    observer_(observer), clock_offset_(config.clock_offsets[index]) {
  list_children();
}

std::chrono::system_clock::time_point replica::wall_now() const {
  using std::chrono::system_clock;
  return system_clock::time_point{seconds{1'800'000'000}} + clock_offset_
         + std::chrono::duration_cast<system_clock::duration>(
           time_.now().time_since_epoch());
}

// -- start and end ------------------------------------------------------------

void replica::start() {
  if (alive_)
    return;
  alive_ = true;
  start_from(0);
}

void replica::crash() {
  if (!alive_)
    return;
  resume();
  ++disturbances_;
  ++deaths_;
  alive_ = false;
  missing_from_.reset();
  kill_from(0);
}

void replica::kill_one(uint64_t which) {
  if (!alive_ || paused_)
    return;
  ++disturbances_;
  ++deaths_;
  auto first = which % children_.size();
  kill_from(first);
  auto pending = missing_from_.has_value();
  missing_from_ = std::min(first, missing_from_.value_or(first));
  if (pending)
    return;
  time_.after(milliseconds{100}, [=, this] {
    if (alive_ && missing_from_)
      start_from(*missing_from_);
  });
}

void replica::start_from(size_t first) {
  missing_from_.reset();
  ++generation_;
  for (auto i = first; i < children_.size(); ++i)
    if (!children_[i].handle)
      children_[i].handle = children_[i].start();
}

void replica::kill_from(size_t first) {
  std::vector<caf::actor> dying;
  for (auto i = first; i < children_.size(); ++i)
    if (children_[i].handle)
      dying.push_back(std::exchange(children_[i].handle, nullptr));
  if (first <= 1)
    net_.detach(index_);
  time_.kill(dying);
  ++generation_;
  // Clients cannot send to an actor that has ended.
  auto gone = [this](auto& handle) {
    auto same = [&](auto& x) { return x.handle == handle; };
    if (std::none_of(children_.begin(), children_.end(), same))
      handle = nullptr;
  };
  gone(training);
  gone(training_jobs);
  gone(training_status);
  gone(watchlist);
}

void replica::pause() {
  if (!alive_ || paused_)
    return;
  ++disturbances_;
  paused_ = true;
  time_.pause(index_);
}

void replica::resume() {
  if (!paused_)
    return;
  ++disturbances_;
  paused_ = false;
  time_.resume(index_);
}

// -- children -----------------------------------------------------------------

void replica::add(std::string name, std::function<caf::actor()> start) {
  children_.push_back({std::move(name), std::move(start), nullptr});
}

void replica::list_children() {
  list_edges();
  list_lifecycle();
  list_hooks();
}

void replica::list_edges() {
  auto until = deadlines::of(config_.request_timeout, config_.train_timeout);
  auto request = until.bus;
  add("events", [this] {
    events_ = spawn(events, events_config{});
    return caf::actor_cast<caf::actor>(events_);
  });
  add("bus", [this] {
    auto bus = spawn(simulated_bus, &net_, index_);
    bus_ = bus;
    net_.attach(index_, bus);
    return caf::actor_cast<caf::actor>(bus_);
  });
  add("kv-store", [=, this] {
    kv_store_config cfg;
    cfg.request_timeout = request;
    kv_store_ = spawn(kv_store, bus_, cfg);
    return caf::actor_cast<caf::actor>(kv_store_);
  });
  add("buckets", [=, this] {
    return caf::actor_cast<caf::actor>(
      spawn(buckets, bus_, kv_store_,
            buckets_config{bucket_names(config_.protocol), until.bucket()}));
  });
  add("job-store", [=, this] {
    job_store_config cfg;
    cfg.request_timeout = until.store;
    cfg.make_id = [this] { return fresh_id(); };
    job_store_ = spawn(job_store, kv_store_, cfg);
    return caf::actor_cast<caf::actor>(job_store_);
  });
  add("backend", [=, this] {
    backend_config cfg{request};
    if (config_.protocol == backend_protocol::kv)
      backend_ = spawn(kv_backend, bus_, kv_store_, cfg);
    else
      backend_ = spawn(request_reply_backend, bus_, kv_store_, cfg);
    return caf::actor_cast<caf::actor>(backend_);
  });
  add("observed-backend", [this] {
    observed_backend_ = spawn(observed_backend, backend_, index_, &observer_);
    return caf::actor_cast<caf::actor>(observed_backend_);
  });
}

std::string replica::fresh_id() {
  char text[40];
  std::snprintf(text, sizeof(text), "%08x-0000-4000-8000-%012llx",
                static_cast<unsigned>(index_),
                static_cast<unsigned long long>(++last_id_));
  return text;
}

void replica::list_lifecycle() {
  auto until = deadlines::of(config_.request_timeout, config_.train_timeout);
  auto request = until.domain;
  auto kv = config_.protocol == backend_protocol::kv;
  auto idle_text = std::string{kv ? kv_idle_text : request_reply_idle_text};
  auto clock = [this] { return wall_now(); };
  auto make_id = [this] { return fresh_id(); };
  add("training-jobs", [=, this] {
    training_jobs_config cfg;
    cfg.request_timeout = request;
    cfg.stall_after = config_.stall_after;
    cfg.idle_text = idle_text;
    cfg.outcome_time = until.outcome;
    cfg.wall_clock = clock;
    cfg.make_id = make_id;
    if (kv)
      cfg.initial = kv_initial_statistics();
    training_jobs = spawn(aiops::training_jobs, job_store_, observed_backend_,
                          cfg);
    return caf::actor_cast<caf::actor>(training_jobs);
  });
  add("book-watch", [this] {
    return caf::actor_cast<caf::actor>(
      spawn(book_watch, training_jobs, index_, &observer_));
  });
  add("training-status", [=, this] {
    training_status_config cfg;
    cfg.request_timeout = request;
    cfg.poll_interval = config_.poll_interval;
    cfg.idle_text = idle_text;
    cfg.wall_clock = clock;
    training_status = spawn(aiops::training_status, backend_, training_jobs,
                            bus_, events_, cfg);
    return caf::actor_cast<caf::actor>(training_status);
  });
  add("training", [=, this] {
    training_config cfg;
    cfg.request_timeout = request;
    cfg.train_timeout = config_.train_timeout;
    cfg.make_id = make_id;
    cfg.compare_by_book = kv;
    training = spawn(aiops::training, observed_backend_, training_jobs,
                     job_store_, cfg);
    return caf::actor_cast<caf::actor>(training);
  });
  add("watchlist", [=, this] {
    watchlist = spawn(aiops::watchlist, backend_, training_jobs,
                      watchlist_config{request});
    return caf::actor_cast<caf::actor>(watchlist);
  });
  add("progress-feed", [=, this] {
    progress_feed_config cfg;
    cfg.request_timeout = until.progress;
    progress_feed_ = spawn(progress_feed, bus_, training_status, cfg);
    return caf::actor_cast<caf::actor>(progress_feed_);
  });
}

void replica::list_hooks() {
  add("hook", [this] {
    hook_ = spawn(recording_hook, index_, &faults_, &observer_);
    return caf::actor_cast<caf::actor>(hook_);
  });
  add("hooks-lease", [this] {
    lease_config cfg;
    cfg.bucket = std::string{subjects::gateway_bucket};
    cfg.key = std::string{subjects::hooks_lease_key};
    cfg.owner = "replica-" + std::to_string(index_) + '-'
                + std::to_string(generation_);
    cfg.duration = config_.lease;
    lease_ = spawn(lease, kv_store_, cfg);
    return caf::actor_cast<caf::actor>(lease_);
  });
  add("lease-watch", [this] {
    return caf::actor_cast<caf::actor>(
      spawn(lease_watch, lease_, index_, &observer_));
  });
  add("training-hooks", [this] {
    training_hooks_config cfg;
    cfg.request_timeout = deadlines::of(config_.request_timeout,
                                        config_.train_timeout)
                            .notification(milliseconds{0});
    cfg.last_backoff = seconds{4};
    return caf::actor_cast<caf::actor>(
      spawn(training_hooks, training_jobs, job_store_, lease_,
            std::vector<job_hook_actor>{hook_}, cfg));
  });
}

} // namespace aiops::simulation
