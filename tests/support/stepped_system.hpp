#pragma once

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/scheduler/test_coordinator.hpp>

namespace aiops::test {

/// An actor system without threads and with a virtual clock. Actors run only
/// when a derived class takes their jobs and runs them.
class stepped_system {
public:
  stepped_system(const stepped_system&) = delete;
  stepped_system& operator=(const stepped_system&) = delete;

  caf::actor_system& system() {
    return system_;
  }

  caf::actor_clock::time_point now() const {
    return clock_.current_time;
  }

protected:
  stepped_system()
    : system_(config_), sched_(dynamic_cast<caf::scheduler::test_coordinator&>(
                          system_.scheduler())),
      clock_(sched_.clock()), worker_(&system_, sched_) {
    // Waiting would block, because only the derived class runs the actors.
    system_.await_actors_before_shutdown(false);
  }

  ~stepped_system() = default;

  /// The actors that have messages.
  auto& jobs() {
    return sched_.jobs;
  }

  caf::detail::test_actor_clock& clock() {
    return clock_;
  }

  /// Runs a job for one message.
  /// @returns whether it has to run again. Otherwise it must not be used.
  bool run_job(caf::resumable* job) {
    switch (job->resume(&worker_, 1)) {
      case caf::resumable::resume_later:
        return true;
      case caf::resumable::shutdown_execution_unit:
        return false;
      default:
        caf::intrusive_ptr_release(job);
        return false;
    }
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
    config() {
      set("scheduler.policy", caf::atom("testing"));
    }
  };

  config config_;
  caf::actor_system system_;
  caf::scheduler::test_coordinator& sched_;
  caf::detail::test_actor_clock& clock_;
  /// Must outlive the actors, which store a pointer to it.
  worker worker_;
};

} // namespace aiops::test
