#include "http/v1/training_json.hpp"

#include "http/v1/v1_json.hpp"

#include <algorithm>
#include <span>

namespace aiops::http {

namespace {

void write_text_or_null(object_writer& obj, std::string_view key,
                        std::string_view value) {
  if (value.empty())
    obj.null(key);
  else
    obj.text(key, value);
}

void write_remaining(object_writer& obj, const training_job* job,
                     json_time now) {
  auto remaining = job ? remaining_of(*job, now) : std::nullopt;
  if (remaining)
    obj.number("remainingSeconds", remaining->seconds);
  else
    obj.null("remainingSeconds");
  obj.flag("remainingIsEstimate", remaining && remaining->estimated);
}

void write_times(object_writer& obj, const training_job* job) {
  auto time = [&](std::string_view key, auto member) {
    obj.time(key, job ? std::optional<json_time>{job->*member} : std::nullopt);
  };
  time("startedAt", &training_job::started_at);
  time("updatedAt", &training_job::updated_at);
  time("endedAt", &training_job::ended_at);
}

void write_size(object_writer& obj, std::string_view key, size_t size) {
  obj.number(key, static_cast<int64_t>(size));
}

/// Writes the fields of a job, or of the absence of one.
void write_job(object_writer& obj, const std::optional<job_summary>& summary,
               json_time now) {
  static const job_summary empty;
  auto& lengths = summary ? *summary : empty;
  auto& x = lengths.job;
  auto job = summary ? &x : nullptr;
  write_text_or_null(obj, "id", x.id);
  obj.number("number", static_cast<int64_t>(x.number));
  obj.text("state", job ? to_string(x.state) : "none");
  write_text_or_null(obj, "action", job ? to_string(x.action) : "");
  obj.text("stage", x.statistics.stage);
  obj.number("percentage", x.statistics.percentage_completed);
  obj.number("elapsedSeconds", job ? elapsed_of(x, now) : int64_t{0});
  write_remaining(obj, job, now);
  obj.number("epoch", x.statistics.current_epoch);
  obj.number("accuracy", x.statistics.model_accuracy);
  write_times(obj, job);
  obj.flag("stalled", job && x.state == job_state::stalled);
  obj.text("reason", x.reason);
  obj.text("response", x.response);
  write_size(obj, "workloadCount", lengths.workloads);
  write_size(obj, "addedCount", lengths.added);
  write_size(obj, "removedCount", lengths.removed);
}

std::optional<job_summary> summary_of(const training_job* x) {
  return x ? std::optional{aiops::summary_of(*x)} : std::nullopt;
}

/// Writes the first `max_event_workloads` of a list.
void write_first(object_writer& obj, std::string_view key,
                 const workload_list& xs) {
  append_array(obj.field(key),
               std::span{xs}.first(std::min(xs.size(), max_event_workloads)),
               write_workload);
}

} // namespace

std::string to_json(const training_result& x, bool dry_run, json_time now) {
  std::string out;
  {
    object_writer obj{out};
    write_text_or_null(obj, "jobId", x.job_id);
    obj.text("action", to_string(x.action));
    obj.text("response", x.response);
    obj.flag("dryRun", dry_run);
    append_array(obj.field("added"), x.changes.added, write_workload);
    append_array(obj.field("removed"), x.changes.removed, write_workload);
    if (dry_run && x.running) {
      object_writer job{obj.field("running")};
      write_job(job, summary_of(&*x.running), now);
    } else if (dry_run) {
      obj.null("running");
    }
  }
  return out;
}

std::string to_json(const training_overview& x, json_time now) {
  std::string out;
  {
    object_writer obj{out};
    write_job(obj, summary_of(current_job(x.book)), now);
    write_text_or_null(obj, "modelStatus", x.book.model.status);
    obj.field("backend") += to_json(x.backend);
    obj.flag("stale", !x.stale_reason.empty());
    obj.text("staleReason", x.stale_reason);
  }
  return out;
}

std::string to_json(const job_page& x, json_time now) {
  std::string out;
  {
    object_writer obj{out};
    write_size(obj, "total", x.total);
    append_array(obj.field("jobs"), x.jobs,
                 [now](auto& job, auto& y) { write_job(job, y, now); });
    write_text_or_null(obj, "nextCursor", x.next_cursor);
  }
  return out;
}

std::string to_json(const training_job& x, json_time now) {
  std::string out;
  {
    object_writer obj{out};
    write_job(obj, summary_of(&x), now);
    append_array(obj.field("workloads"), x.workloads, write_workload);
    append_array(obj.field("added"), x.changes.added, write_workload);
    append_array(obj.field("removed"), x.changes.removed, write_workload);
  }
  return out;
}

std::string to_json(const watchlist_overview& x) {
  std::string out;
  {
    object_writer obj{out};
    write_text_or_null(obj, "jobId", x.job_id);
    obj.time("submittedAt", x.submitted_at);
    append_array(obj.field("items"), x.workloads, write_workload);
  }
  return out;
}

std::string to_json(const watchlist_change& x) {
  auto& [added, removed] = x.changes;
  std::string out;
  {
    object_writer obj{out};
    write_text_or_null(obj, "jobId", x.job_id);
    write_text_or_null(obj, "previousJobId", x.previous_job_id);
    obj.time("submittedAt", x.submitted_at);
    write_size(obj, "workloadCount", x.workloads.size());
    write_size(obj, "addedCount", added.size());
    write_size(obj, "removedCount", removed.size());
    write_first(obj, "added", added);
    write_first(obj, "removed", removed);
    obj.flag("truncated",
             std::max(added.size(), removed.size()) > max_event_workloads);
  }
  return out;
}

std::string to_json(const backend_health& x) {
  std::string out;
  {
    object_writer obj{out};
    obj.flag("reachable", x.reachable);
    obj.flag("natsConnected", x.nats_connected);
    obj.text("reason", x.reason);
  }
  return out;
}

std::string problem_json(int status, std::string_view title,
                         std::string_view detail, const training_job& running,
                         json_time now) {
  auto out = problem_json(status, title, detail);
  // Removes the closing brace.
  out.pop_back();
  out += R"(,"job":)";
  {
    object_writer job{out};
    write_job(job, summary_of(&running), now);
  }
  return out += '}';
}

} // namespace aiops::http
