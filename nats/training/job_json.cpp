#include "nats/training/job_json.hpp"

#include "base/time.hpp"
#include "nats/json.hpp"

#include <nlohmann/json.hpp>

namespace aiops::nats {

namespace {

using nlohmann::json;
using time_point = training_job::time_point;

// -- writing ------------------------------------------------------------------

json facts_to_json(const training_job& x) {
  return {{"id", x.id},
          {"number", x.number},
          {"state", to_string(x.state)},
          {"action", to_string(x.action)},
          {"startedAt", to_rfc3339(x.started_at)},
          {"updatedAt", to_rfc3339(x.updated_at)},
          {"endedAt", x.ended_at ? json(to_rfc3339(*x.ended_at)) : json()},
          {"reason", x.reason},
          {"response", x.response},
          {"statistics", statistics_to_json(x.statistics)},
          {"progressed", x.progressed},
          {"confirmed", x.confirmed},
          {"contested", x.may_receive_stale_progress},
          {"adopted", x.adopted}};
}

json record_to_json(const training_job& x) {
  auto result = facts_to_json(x);
  // Usually they have the id of the job.
  if (x.list_id != x.id)
    result["list"] = x.list_id;
  if (x.base_id == base_list_id(x.id))
    result["ownBase"] = true;
  else if (!x.base_id.empty())
    result["base"] = x.base_id;
  result["workloadCount"] = x.workloads.size();
  result["addedCount"] = x.changes.added.size();
  result["removedCount"] = x.changes.removed.size();
  if (x.stale_progress_elapsed != 0 && !ended(x.state))
    result["contestedElapsed"] = x.stale_progress_elapsed;
  if (!x.reported_status.empty() && !ended(x.state))
    result["told"] = x.reported_status;
  if (x.completion_reported)
    result["completionTold"] = true;
  return result;
}

json record_to_json(const std::optional<training_job>& x) {
  return x ? record_to_json(*x) : json();
}

json list_to_json(const accepted_watchlist& x) {
  return {{"job", x.job_id},
          {"number", x.number},
          {"action", to_string(x.action)},
          {"submittedAt", to_rfc3339(x.submitted_at)},
          {"list", x.list_id},
          {"givenUp", x.cancelled}};
}

// -- reading ------------------------------------------------------------------

std::optional<training_action> action_of(std::string_view text) {
  for (auto action : {training_action::train, training_action::update,
                      training_action::reset, training_action::none})
    if (text == to_string(action))
      return action;
  return std::nullopt;
}

/// Reads the members of an object and remembers whether all could be read.
class member_reader {
public:
  explicit member_reader(const json& object)
    : object_(object), good_(object.is_object()) {
    // nop
  }

  bool good() const noexcept {
    return good_;
  }

  void read(const char* key, std::string& out) {
    good_ = good_ && read_text(object_, key, out);
  }

  void read(const char* key, uint64_t& out) {
    with(key, [&](auto& x) {
      auto n = integer_of(x);
      out = static_cast<uint64_t>(n.value_or(0));
      return n && *n >= 0;
    });
  }

  void read(const char* key, bool& out) {
    with(key, [&](auto& x) {
      out = x.is_boolean() && x.template get<bool>();
      return x.is_boolean();
    });
  }

  void read(const char* key, time_point& out) {
    std::optional<time_point> when;
    read(key, when);
    out = when.value_or(out);
  }

  void read(const char* key, std::optional<time_point>& out) {
    with(key, [&](auto& x) {
      if (x.is_string())
        out = from_rfc3339(x.template get_ref<const std::string&>());
      return x.is_string();
    });
  }

  /// Reads the result of `decode` for the text or value.
  template <class T, class Decode>
  void read(const char* key, T& out, Decode decode) {
    with(key, [&](auto& x) {
      auto value = decode(x);
      if (value)
        out = std::move(*value);
      return value.has_value();
    });
  }

private:
  /// Calls `f` with the member if there is one that is not null.
  template <class F>
  void with(const char* key, F f) {
    if (!good_)
      return;
    auto i = object_.find(key);
    if (i != object_.end() && !i->is_null())
      good_ = f(*i);
  }

  const json& object_;
  bool good_;
};

template <class Decode>
auto of_text(Decode decode) {
  return [decode](const json& x) -> decltype(decode(std::string_view{})) {
    if (!x.is_string())
      return std::nullopt;
    return decode(x.get_ref<const std::string&>());
  };
}

std::optional<job_summary> record_from_json(const json& object) {
  job_summary result;
  auto& x = result.job;
  member_reader members{object};
  members.read("id", x.id);
  members.read("number", x.number);
  members.read("state", x.state, of_text(job_state_of));
  members.read("action", x.action, of_text(action_of));
  members.read("workloads", x.workloads, workloads_from_json);
  members.read("added", x.changes.added, workloads_from_json);
  members.read("removed", x.changes.removed, workloads_from_json);
  members.read("startedAt", x.started_at);
  members.read("updatedAt", x.updated_at);
  members.read("endedAt", x.ended_at);
  members.read("reason", x.reason);
  members.read("response", x.response);
  members.read("statistics", x.statistics, statistics_from_json);
  members.read("progressed", x.progressed);
  members.read("confirmed", x.confirmed);
  members.read("contested", x.may_receive_stale_progress);
  members.read("adopted", x.adopted);
  auto own_base = false;
  members.read("ownBase", own_base);
  // An older version kept the lists with the job.
  if (members.good() && object.contains("workloadCount"))
    x.list_id = x.id;
  members.read("list", x.list_id);
  if (own_base)
    x.base_id = base_list_id(x.id);
  members.read("base", x.base_id);
  members.read("contestedElapsed", x.stale_progress_elapsed,
               [](const json& y) { return integer_of(y); });
  members.read("told", x.reported_status);
  members.read("completionTold", x.completion_reported);
  result.workloads = x.workloads.size();
  result.added = x.changes.added.size();
  result.removed = x.changes.removed.size();
  members.read("workloadCount", result.workloads);
  members.read("addedCount", result.added);
  members.read("removedCount", result.removed);
  if (!members.good())
    return std::nullopt;
  return result;
}

std::optional<training_job> job_from_json(const json& object) {
  auto result = record_from_json(object);
  return result ? std::optional{std::move(result->job)} : std::nullopt;
}

std::optional<accepted_watchlist> list_from_json(const json& object) {
  accepted_watchlist x;
  member_reader members{object};
  members.read("job", x.job_id);
  members.read("number", x.number);
  members.read("action", x.action, of_text(action_of));
  members.read("submittedAt", x.submitted_at);
  members.read("list", x.list_id);
  members.read("givenUp", x.cancelled);
  if (!members.good())
    return std::nullopt;
  return x;
}

std::optional<std::vector<training_job>> jobs_from_json(const json& array) {
  if (!array.is_array())
    return std::nullopt;
  std::vector<training_job> result;
  for (auto& x : array) {
    auto job = job_from_json(x);
    if (!job)
      return std::nullopt;
    result.push_back(std::move(*job));
  }
  return result;
}

/// The lists of a job get the ids under which the next write stores them.
void name_lists(training_job& x) {
  if (!x.workloads.empty())
    x.list_id = x.id;
  if (!base_of(x).empty())
    x.base_id = base_list_id(x.id);
}

/// Whether the outcome of a submission was not known yet.
bool had_no_outcome(const training_job& x) {
  return x.state == job_state::submitted && x.response.empty()
         && x.reason.empty() && !x.adopted;
}

/// Separates what older versions stored as one: the last submission, and the
/// one before it until that was in the history.
void convert(training_book& book, std::optional<training_job> job,
             std::optional<training_job> before) {
  for (auto* x : {&job, &before})
    if (*x) {
      name_lists(**x);
      (*x)->adopted = (*x)->action == training_action::train
                      && (*x)->changes.added.empty();
    }
  if (!job)
    return;
  auto accept = [&](const training_job& x) {
    book.watchlist = {x.id,
                      x.number,
                      x.action,
                      x.started_at,
                      x.workloads,
                      x.list_id,
                      x.state == job_state::cancelled};
  };
  if (had_no_outcome(*job)) {
    if (before)
      accept(*before);
    if (before && before->action == training_action::train) {
      // It counted as superseded, but its outcome was not known.
      if (before->state == job_state::superseded) {
        before->state = before->progressed ? job_state::training
                                           : job_state::submitted;
        before->ended_at.reset();
        before->reason.clear();
      }
      book.training = std::exchange(before, std::nullopt);
    }
    book.submission = std::move(job);
  } else if (job->action == training_action::train) {
    accept(*job);
    book.training = std::move(job);
  } else {
    accept(*job);
    if (before && before->action == training_action::train)
      book.training = std::exchange(before, std::nullopt);
    book.leaving.push_back(std::move(*job));
  }
  if (before)
    book.leaving.push_back(std::move(*before));
}

} // namespace

std::string encode_job(const training_job& x) {
  auto result = facts_to_json(x);
  result["workloads"] = workloads_to_json(x.workloads);
  result["added"] = workloads_to_json(x.changes.added);
  result["removed"] = workloads_to_json(x.changes.removed);
  return dump_json(result);
}

std::string encode_record(const training_job& x) {
  return dump_json(record_to_json(x));
}

std::optional<job_summary> decode_record(std::string_view text) {
  return record_from_json(parse_json(text));
}

std::string encode_book(const training_book& x, const std::string& write,
                        const std::string& previous,
                        const std::string& origin) {
  auto leaving = json::array();
  for (auto& job : x.leaving)
    leaving.push_back(record_to_json(job));
  return dump_json({{"watchlist", list_to_json(x.watchlist)},
                    {"training", record_to_json(x.training)},
                    {"submission", record_to_json(x.submission)},
                    {"leaving", std::move(leaving)},
                    {"lastNumber", x.last_number},
                    {"model", model_to_json(x.model)},
                    {"write", write},
                    {"previous", previous},
                    {"origin", origin}});
}

std::optional<book_record> decode_book(std::string_view text) {
  auto object = parse_json(text);
  book_record result;
  auto& x = result.book;
  std::optional<training_job> job;
  std::optional<training_job> before;
  member_reader members{object};
  members.read("watchlist", x.watchlist, list_from_json);
  members.read("training", x.training, job_from_json);
  members.read("submission", x.submission, job_from_json);
  members.read("leaving", x.leaving, jobs_from_json);
  members.read("job", job, job_from_json);
  members.read("before", before, job_from_json);
  members.read("lastNumber", x.last_number);
  members.read("model", x.model, model_from_json);
  members.read("write", result.write);
  members.read("previous", result.previous);
  members.read("origin", result.origin);
  if (!members.good())
    return std::nullopt;
  convert(x, std::move(job), std::move(before));
  return result;
}

} // namespace aiops::nats
