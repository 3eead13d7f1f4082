#include "tools/misbehaviour.hpp"

namespace aiops::tools {

namespace {

constexpr auto unknown_job = "00000000-0000-4000-8000-000000000000";

} // namespace

const std::map<std::string, manner>& manners_by_name() {
  static const std::map<std::string, manner> result{
    {"rubbish", manner::rubbish},
    {"silent", manner::silent},
    {"slow", manner::slow},
    {"die", manner::die},
    {"repeat", manner::repeat},
    {"backwards", manner::backwards},
    {"late", manner::late},
    {"older-job", manner::older_job},
    {"null-statistics", manner::null_statistics},
    {"strings", manner::strings},
    {"lose-completion", manner::lose_completion},
  };
  return result;
}

planned_reports plan_reports(const simulated_training& job,
                             simulated_training::time_point now,
                             const manners& how,
                             std::chrono::milliseconds late_by, int64_t count) {
  if (how.contains(manner::late))
    now -= late_by;
  planned_reports result;
  result.last = job.due(now);
  if (result.last && how.contains(manner::lose_completion))
    return result;
  report_style style;
  style.strings = how.contains(manner::strings);
  style.null_statistics = how.contains(manner::null_statistics);
  auto add = [&](simulated_training::time_point when) {
    result.bodies.push_back(job.report(when, style));
  };
  add(now);
  if (how.contains(manner::repeat))
    add(now);
  if (count % now_and_then != now_and_then - 1)
    return result;
  auto earlier = job.started() + (now - job.started()) / 2;
  if (how.contains(manner::backwards))
    add(earlier);
  if (how.contains(manner::older_job)) {
    style.id = job.earlier_id().empty() ? unknown_job : job.earlier_id();
    add(earlier);
  }
  return result;
}

} // namespace aiops::tools
