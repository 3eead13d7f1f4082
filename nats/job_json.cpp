#include "nats/job_json.hpp"

#include "nats/json.hpp"

#include <nlohmann/json.hpp>

namespace aiops {

namespace {

using nlohmann::json;
using time_point = training_job::time_point;

// -- writing ------------------------------------------------------------------

json job_to_json(const training_job& x) {
  return {{"id", x.id},
          {"number", x.number},
          {"state", to_string(x.state)},
          {"action", to_string(x.action)},
          {"workloads", workloads_to_json(x.workloads)},
          {"added", workloads_to_json(x.changes.added)},
          {"removed", workloads_to_json(x.changes.removed)},
          {"startedAt", encode_time(x.started_at)},
          {"updatedAt", encode_time(x.updated_at)},
          {"endedAt", x.ended_at ? json(encode_time(*x.ended_at)) : json()},
          {"reason", x.reason},
          {"response", x.response},
          {"statistics", statistics_to_json(x.statistics)},
          {"progressed", x.progressed},
          {"confirmed", x.confirmed},
          {"contested", x.contested}};
}

json job_to_json(const std::optional<training_job>& x) {
  return x ? job_to_json(*x) : json();
}

// -- reading ------------------------------------------------------------------

std::optional<training_action> action_of(std::string_view text) {
  for (auto action : {training_action::train, training_action::update,
                      training_action::reset, training_action::none})
    if (text == to_string(action))
      return action;
  return std::nullopt;
}

/// Reads the members of an object one after another and remembers whether all
/// could be read.
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
        out = decode_time(x.template get_ref<const std::string&>());
      return x.is_string();
    });
  }

  /// Reads what `decode` makes of the text or value.
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

std::optional<training_job> job_from_json(const json& object) {
  training_job x;
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
  members.read("contested", x.contested);
  if (!members.good())
    return std::nullopt;
  return x;
}

} // namespace

std::string encode_job(const training_job& x) {
  return dump_json(job_to_json(x));
}

std::optional<training_job> decode_job(std::string_view text) {
  return job_from_json(parse_json(text));
}

std::string encode_book(const training_book& x) {
  return dump_json({{"job", job_to_json(x.job)},
                    {"before", job_to_json(x.before)},
                    {"lastNumber", x.last_number},
                    {"model", model_to_json(x.model)}});
}

std::optional<training_book> decode_book(std::string_view text) {
  auto object = parse_json(text);
  training_book x;
  member_reader members{object};
  members.read("job", x.job, job_from_json);
  members.read("before", x.before, job_from_json);
  members.read("lastNumber", x.last_number);
  members.read("model", x.model, model_from_json);
  if (!members.good())
    return std::nullopt;
  return x;
}

} // namespace aiops
