#include "tools/misbehaviour.hpp"

namespace aiops::tools {

namespace {

constexpr auto unknown_job = "00000000-0000-4000-8000-000000000000";

} // namespace

const std::map<std::string, fault>& faults_by_name() {
  static const std::map<std::string, fault> result{
    {"rubbish", fault::rubbish},
    {"silent", fault::silent},
    {"slow", fault::slow},
    {"die", fault::die},
    {"repeat", fault::repeat},
    {"backwards", fault::backwards},
    {"late", fault::late},
    {"older-job", fault::older_job},
    {"null-statistics", fault::null_statistics},
    {"strings", fault::strings},
    {"lose-completion", fault::lose_completion},
  };
  return result;
}

planned_reports plan_reports(const simulated_training& job,
                             simulated_training::time_point now,
                             const faults& how,
                             std::chrono::milliseconds late_by, int64_t count) {
  if (how.contains(fault::late))
    now -= late_by;
  planned_reports result;
  result.last = job.due(now);
  if (result.last && how.contains(fault::lose_completion))
    return result;
  report_style style;
  style.strings = how.contains(fault::strings);
  style.null_statistics = how.contains(fault::null_statistics);
  auto add = [&](simulated_training::time_point when) {
    result.bodies.push_back(job.report(when, style));
  };
  add(now);
  if (how.contains(fault::repeat))
    add(now);
  if (count % occasional_interval != occasional_interval - 1)
    return result;
  auto earlier = job.started() + (now - job.started()) / 2;
  if (how.contains(fault::backwards))
    add(earlier);
  if (how.contains(fault::older_job)) {
    style.id = job.earlier_id().empty() ? unknown_job : job.earlier_id();
    add(earlier);
  }
  return result;
}

} // namespace aiops::tools
