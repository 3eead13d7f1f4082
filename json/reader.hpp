#pragma once

#include "actors/training/progress.hpp"
#include "base/error.hpp"

#include <nlohmann/json_fwd.hpp>

#include <optional>
#include <string>
#include <string_view>

/// @file
/// Reads JSON objects that others send, without throwing. An error is
/// `invalid_argument` and names the field. Follows the proto3 mapping: numbers
/// may stand in strings, null is a field's default, unknown fields are ignored.

namespace aiops {

/// Which numbers a text may hold.
enum class json_numbers {
  /// Those of JSON.
  finite,
  /// Also the bare `NaN`, `Infinity` and `-Infinity` that Python writes; they
  /// are read as strings of that text.
  python,
};

/// Parses an object, which errors call `what`.
caf::expected<nlohmann::json>
read_object(std::string_view text, std::string_view what,
            json_numbers numbers = json_numbers::finite);

/// Reads the fields of one object and remembers what was wrong first.
class field_reader {
public:
  /// @param prefix stands before a field's name in errors.
  field_reader(const nlohmann::json& object, std::string prefix)
    : object_(object), prefix_(std::move(prefix)) {
    // nop
  }

  /// The field's value; null when it is absent or null.
  const nlohmann::json* find(std::string_view key) const;

  std::string text(std::string_view key);

  /// A name of a cluster, namespace or deployment.
  std::string name(std::string_view key);

  /// Nothing when the field is absent.
  std::optional<reported_number> number(std::string_view key);

  void fail(std::string_view key, std::string_view what);

  /// What was wrong first; empty when all was well.
  const std::string& problem() const {
    return problem_;
  }

private:
  const nlohmann::json& object_;
  std::string prefix_;
  std::string problem_;
};

} // namespace aiops
