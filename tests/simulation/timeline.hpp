#pragma once

#include "actors/actors.hpp"
#include "tests/simulation/random.hpp"
#include "tests/support/stepped_system.hpp"

#include <functional>
#include <map>
#include <unordered_map>
#include <utility>
#include <vector>

namespace aiops::simulation {

using time_point = caf::actor_clock::time_point;

/// An actor system with one thread and one virtual clock. The seed determines
/// which actor runs next, and so the order in which messages of the same time
/// are handled. Each actor handles its messages in order, as in the real
/// program.
class timeline : public test::stepped_system {
public:
  explicit timeline(uint64_t seed);

  ~timeline();

  /// Time since the beginning.
  milliseconds elapsed() const {
    return std::chrono::duration_cast<milliseconds>(now() - begin_);
  }

  void at(time_point when, std::function<void()> what) {
    events_.emplace(when, std::move(what));
  }

  void after(caf::timespan delay, std::function<void()> what) {
    at(now() + delay, std::move(what));
  }

  /// Calls `what` after that many further steps of actors.
  void after_steps(uint64_t steps, std::function<void()> what) {
    interruptions_.emplace(steps_ + steps, std::move(what));
  }

  /// Runs everything that is due until then.
  void run_until(time_point end);

  void run_for(caf::timespan time) {
    run_until(now() + time);
  }

  /// Ends all actors.
  void end();

  /// Nothing runs any more.
  void stop() {
    stopped_ = true;
  }

  bool stopped() const {
    return stopped_;
  }

  /// Adds a value to the trace, which serves to compare two runs.
  void trace(uint64_t x) {
    trace_ = mix(trace_ ^ x);
  }

  uint64_t trace() const {
    return trace_;
  }

  uint64_t steps() const {
    return steps_;
  }

  /// @param owner Actors with the same owner are paused together.
  template <class F, class... Ts>
  auto spawn(size_t owner, F fun, Ts&&... xs) {
    auto handle = system().spawn(fun, std::forward<Ts>(xs)...);
    adopt(owner, caf::actor_cast<caf::actor>(handle));
    return handle;
  }

  /// Kills actors immediately: none of them handles another message.
  void kill(const std::vector<caf::actor>& actors);

  /// No actor of this owner runs until `resume`.
  void pause(size_t owner);

  void resume(size_t owner);

  /// The owner of actors that are never paused: clients and the backend.
  static constexpr size_t outside = 99;

  /// Sends a request from outside. Exactly one of the two functions is called,
  /// unless the run ends before.
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
  void adopt(size_t owner, caf::actor handle);

  /// Runs all actors until their mailboxes are empty.
  void run_actors();

  /// Runs a job for one message.
  void step(caf::resumable* job);

  size_t owner_of(caf::resumable* job) const;

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
