#include "tests/support/deterministic.hpp"

#include <algorithm>

namespace aiops::test {

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
  if (jobs().empty())
    return false;
  auto job = jobs().front();
  jobs().pop_front();
  if (run_job(job))
    jobs().push_front(job);
  return true;
}

void deterministic::run() {
  while (run_once()) {
    // nop
  }
}

void deterministic::advance(caf::timespan by) {
  run();
  auto end = clock().current_time + by;
  auto due = [&] {
    auto& schedule = clock().schedule();
    return !schedule.empty() && schedule.begin()->first <= end;
  };
  while (due()) {
    clock().current_time = std::max(clock().current_time,
                                    clock().schedule().begin()->first);
    clock().advance_time(caf::timespan{0});
    run();
  }
  clock().current_time = end;
}

} // namespace aiops::test
