#include "nats/progress_json.hpp"

#include "nats/json.hpp"

#include <nlohmann/json.hpp>

#include <cmath>

namespace aiops {

namespace {

using nlohmann::json;

/// Reads the fields of one object and remembers what was wrong first.
class progress_reader {
public:
  progress_reader(const json& object, std::string prefix)
    : object_(object), prefix_(std::move(prefix)) {
    // nop
  }

  /// The field's value; null when it is absent.
  const json* find(const char* key) const {
    auto i = object_.find(key);
    return i == object_.end() || i->is_null() ? nullptr : &*i;
  }

  std::string text(const char* key) {
    std::string result;
    if (!read_text(object_, key, result))
      fail(key, "must be a string");
    return result;
  }

  int64_t integer(const char* key, int64_t least, int64_t most) {
    auto x = find(key);
    if (!x)
      return 0;
    auto n = integer_of(*x);
    if (!n)
      fail(key, "must be an integer");
    else if (*n < least)
      fail(key, "must be at least " + std::to_string(least));
    else if (*n > most)
      fail(key, "must be at most " + std::to_string(most));
    return n.value_or(0);
  }

  double number(const char* key) {
    auto x = find(key);
    if (!x)
      return 0.0;
    auto n = number_of(*x);
    if (!n || !std::isfinite(*n))
      fail(key, "must be a finite number");
    return n.value_or(0.0);
  }

  training_statistics statistics() {
    training_statistics result;
    result.time_elapsed = integer("timeElapsed", 0, INT64_MAX);
    result.percentage_completed = integer("percentageCompleted", 0, 100);
    result.remaining_time = integer("remainingTime", 0, INT64_MAX);
    result.current_epoch = integer("currentEpoch", INT64_MIN, INT64_MAX);
    result.model_accuracy = number("modelAccuracy");
    result.stage = text("stage");
    return result;
  }

  void fail(const char* key, std::string_view what) {
    if (problem_.empty())
      problem_ = prefix_ + key + " " + std::string{what};
  }

  /// What was wrong first; empty when all was well.
  const std::string& problem() const {
    return problem_;
  }

private:
  const json& object_;
  std::string prefix_;
  std::string problem_;
};

caf::error invalid(std::string text) {
  return make_error(ec::invalid_argument, std::move(text));
}

int grpc_code(ec code) {
  switch (code) {
    case ec::invalid_argument:
      return 3;
    case ec::timeout:
      return 4;
    case ec::not_found:
      return 5;
    case ec::too_large:
      return 8;
    case ec::conflict:
      return 10;
    case ec::no_responders:
    case ec::disconnected:
    case ec::overloaded:
      return 14;
    default:
      return 13;
  }
}

} // namespace

caf::expected<job_progress> decode_progress(std::string_view text) {
  auto object = parse_json(text);
  // The parser takes a zero byte for the end.
  if (object.is_discarded() || text.find('\0') != std::string_view::npos)
    return invalid("the message is not valid JSON");
  if (!object.is_object())
    return invalid("the message must be a JSON object");
  job_progress result;
  progress_reader fields{object, ""};
  result.id = fields.text("uuid");
  auto full = object.contains("status") || object.contains("statistics");
  if (!full) {
    result.statistics = fields.statistics();
  } else {
    if (auto status = fields.text("status"); !status.empty())
      result.status = std::move(status);
    if (auto inner = fields.find("statistics"); inner && !inner->is_object()) {
      fields.fail("statistics", "must be an object");
    } else if (inner) {
      progress_reader statistics{*inner, "statistics."};
      result.statistics = statistics.statistics();
      if (fields.problem().empty() && !statistics.problem().empty())
        return invalid(statistics.problem());
    }
  }
  if (!fields.problem().empty())
    return invalid(fields.problem());
  return result;
}

std::string encode_outcome(const caf::error& err) {
  if (!err)
    return "{}";
  return dump_json({{"code", grpc_code(code_of(err))},
                    {"message", text_of(err)},
                    {"details", json::array()}});
}

} // namespace aiops
