#include "json/progress.hpp"

#include "json/reader.hpp"

#include <nlohmann/json.hpp>

namespace aiops {

namespace {

reported_statistics statistics_of(field_reader& fields) {
  reported_statistics result;
  for (auto& field : integer_fields)
    if (auto n = fields.number(field.name); n && !result.set(field, *n))
      fields.fail(field.name, "must be an integer");
  if (auto n = fields.number(accuracy_field))
    result.set_accuracy(*n);
  result.stage = fields.text("stage");
  return result;
}

} // namespace

caf::expected<job_progress> read_progress(std::string_view text,
                                          progress_form form,
                                          std::string_view what) {
  auto invalid = [](std::string problem) {
    return make_error(ec::invalid_argument, std::move(problem));
  };
  auto object = read_object(text, what, json_numbers::python);
  if (!object)
    return std::move(object.error());
  job_progress result;
  field_reader fields{*object, ""};
  result.id = fields.text("uuid");
  if (form == progress_form::either)
    form = object->contains("status") || object->contains("statistics")
             ? progress_form::status
             : progress_form::statistics;
  if (form == progress_form::statistics) {
    result.statistics = statistics_of(fields);
  } else {
    // An empty text is what proto3 writes for none.
    if (auto status = fields.text("status"); !status.empty())
      result.status = std::move(status);
    if (auto inner = fields.find("statistics"); inner && inner->is_object()) {
      field_reader statistics{*inner, "statistics."};
      result.statistics = statistics_of(statistics);
      if (fields.problem().empty() && !statistics.problem().empty())
        return invalid(statistics.problem());
    } else if (inner) {
      fields.fail("statistics", "must be an object");
    }
  }
  if (!fields.problem().empty())
    return invalid(fields.problem());
  return result;
}

} // namespace aiops
