#pragma once

#include "actors/actors.hpp"
#include "tests/simulation/random.hpp"

#include <caf/scheduler/test_coordinator.hpp>

#include <functional>
#include <map>
#include <unordered_map>
#include <utility>
#include <vector>

namespace aiops::simulation {

using time_point = caf::actor_clock::time_point;

/// One thread, one clock, and every choice by the seed: which actor runs next,
/// and with that in which order messages are handled that came at the same
/// time. Each actor takes its own messages in order, as in the real program.
class timeline {
public:
  explicit timeline(uint64_t seed);

  ~timeline();

  timeline(const timeline&) = delete;
  timeline& operator=(const timeline&) = delete;

  caf::actor_system& system() {
    return system_;
  }

  time_point now() const {
    return clock_.current_time;
  }

  /// Time since the begin.
  milliseconds elapsed() const {
    return std::chrono::duration_cast<milliseconds>(now() - begin_);
  }

  void at(time_point when, std::function<void()> what) {
    events_.emplace(when, std::move(what));
  }

  void after(caf::timespan delay, std::function<void()> what) {
    at(now() + delay, std::move(what));
  }

  /// Calls `what` after that many further steps of actors, between two of
  /// them.
  void after_steps(uint64_t steps, std::function<void()> what) {
    interruptions_.emplace(steps_ + steps, std::move(what));
  }

  /// Lets everything happen that happens until then.
  void run_until(time_point end);

  void run_for(caf::timespan time) {
    run_until(now() + time);
  }

  /// Ends all actors.
  void end();

  /// Nothing happens any more.
  void stop() {
    stopped_ = true;
  }

  bool stopped() const {
    return stopped_;
  }

  /// Enters something in the trace, by which two runs are compared.
  void trace(uint64_t x) {
    trace_ = mix(trace_ ^ x);
  }

  uint64_t trace() const {
    return trace_;
  }

  uint64_t steps() const {
    return steps_;
  }

  /// @param owner Who is paused together.
  template <class F, class... Ts>
  auto spawn(size_t owner, F fun, Ts&&... xs) {
    auto handle = system_.spawn(fun, std::forward<Ts>(xs)...);
    adopt(owner, caf::actor_cast<caf::actor>(handle));
    return handle;
  }

  /// Kills actors at once: none of them handles another message.
  void kill(const std::vector<caf::actor>& actors);

  /// Nothing that this owner has runs until `resume`.
  void pause(size_t owner);

  void resume(size_t owner);

  /// The owner of what never stops: clients and the backend.
  static constexpr size_t outside = 99;

  /// Sends a request from outside. Exactly one of the two is called, unless
  /// the run ends before.
  template <class T, class Handle, class... Ts>
  void ask(const Handle& to, std::function<void(T&)> on_value,
           std::function<void(caf::error&)> on_error, Ts... xs) {
    auto asker = [=](caf::event_based_actor* self, int) {
      auto request = self->request(to, seconds{3600}, xs...);
      if constexpr (std::is_same_v<T, caf::unit_t>)
        request.then(
          [on_value] {
            caf::unit_t nothing;
            on_value(nothing);
          },
          on_error);
      else
        request.then([on_value](T& x) { on_value(x); }, on_error);
    };
    spawn(outside, asker, 0);
  }

private:
  class worker : public caf::execution_unit {
  public:
    worker(caf::actor_system* sys, caf::scheduler::test_coordinator& sched)
      : execution_unit(sys), sched_(sched) {
      // nop
    }

    void exec_later(caf::resumable* job) override {
      sched_.jobs.push_back(job);
    }

  private:
    caf::scheduler::test_coordinator& sched_;
  };

  struct config : caf::actor_system_config {
    config();
  };

  void adopt(size_t owner, caf::actor handle);

  /// Lets all actors work until their mailboxes are empty.
  void run_actors();

  /// Runs a job for one message.
  void run(caf::resumable* job);

  size_t owner_of(caf::resumable* job) const;

  config config_;
  caf::actor_system system_;
  caf::scheduler::test_coordinator& sched_;
  caf::detail::test_actor_clock& clock_;
  /// Lives as long as the actors: they remember who ran them last.
  worker worker_;
  random_source random_;
  time_point begin_;
  std::multimap<time_point, std::function<void()>> events_;
  std::multimap<uint64_t, std::function<void()>> interruptions_;
  std::vector<caf::actor> actors_;
  std::unordered_map<caf::actor_id, size_t> owners_;
  std::map<size_t, std::vector<caf::resumable*>> paused_;
  uint64_t trace_ = 0;
  uint64_t steps_ = 0;
  bool stopped_ = false;
};

} // namespace aiops::simulation
