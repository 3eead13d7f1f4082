#include "tests/support/deterministic.hpp"

#include <algorithm>

namespace aiops::test {

deterministic::config::config() {
  set("scheduler.policy", caf::atom("testing"));
}

deterministic::deterministic()
  : system_(config_), sched_(dynamic_cast<caf::scheduler::test_coordinator&>(
                        system_.scheduler())),
    clock_(sched_.clock()), worker_(&system_, sched_) {
  // Waiting would block, because only the test runs the actors.
  system_.await_actors_before_shutdown(false);
}

deterministic::~deterministic() {
  for (auto& handle : actors_)
    caf::anon_send_exit(handle, caf::exit_reason::kill);
  actors_.clear();
  run();
}

std::chrono::system_clock::time_point deterministic::wall_now() const {
  using std::chrono::system_clock;
  auto day = system_clock::time_point{std::chrono::sys_days{
    std::chrono::year{2026} / std::chrono::January / std::chrono::day{31}}};
  return day
         + std::chrono::duration_cast<system_clock::duration>(
           now().time_since_epoch());
}

bool deterministic::run_once() {
  if (sched_.jobs.empty())
    return false;
  auto job = sched_.jobs.front();
  sched_.jobs.pop_front();
  switch (job->resume(&worker_, 1)) {
    case caf::resumable::resume_later:
      sched_.jobs.push_front(job);
      break;
    case caf::resumable::shutdown_execution_unit:
      break;
    default:
      caf::intrusive_ptr_release(job);
  }
  return true;
}

void deterministic::run() {
  while (run_once()) {
    // nop
  }
}

void deterministic::advance(caf::timespan by) {
  run();
  auto end = clock_.current_time + by;
  auto due = [&] {
    auto& schedule = clock_.schedule();
    return !schedule.empty() && schedule.begin()->first <= end;
  };
  while (due()) {
    clock_.current_time = std::max(clock_.current_time,
                                   clock_.schedule().begin()->first);
    clock_.advance_time(caf::timespan{0});
    run();
  }
  clock_.current_time = end;
}

} // namespace aiops::test
