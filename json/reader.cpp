#include "json/reader.hpp"

#include "actors/workload.hpp"

#include <nlohmann/json.hpp>

#include <cctype>
#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

namespace aiops {

namespace {

using nlohmann::json;

constexpr int max_depth = 32;

/// Numbers that JSON does not have, as proto3 JSON and Python write them.
constexpr std::pair<std::string_view, double> not_finite[] = {
  {"NaN", std::numeric_limits<double>::quiet_NaN()},
  {"Infinity", std::numeric_limits<double>::infinity()},
  {"-Infinity", -std::numeric_limits<double>::infinity()},
};

/// Calls `f` with the position of each character that is not part of a string,
/// quotes included, until it answers false.
template <class F>
void outside_of_strings(std::string_view text, F f) {
  auto in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    auto c = text[i];
    if (in_string && c == '\\')
      ++i;
    else if (c == '"')
      in_string = !in_string;
    else if (!in_string && !f(i))
      return;
  }
}

/// Whether the text nests deeper than any request does. Checked before parsing,
/// so that no sender makes us build a tree of a million brackets.
bool too_deep(std::string_view text) {
  auto depth = 0;
  outside_of_strings(text, [&](size_t i) {
    if (text[i] == '[' || text[i] == '{')
      ++depth;
    else if (text[i] == ']' || text[i] == '}')
      --depth;
    return depth <= max_depth;
  });
  return depth > max_depth;
}

/// Puts quotes around the numbers that JSON does not have.
std::string quote_not_finite(std::string_view text) {
  std::string result;
  size_t copied = 0;
  outside_of_strings(text, [&](size_t i) {
    auto before = static_cast<unsigned char>(i == 0 ? ' ' : text[i - 1]);
    if (i < copied || std::isalnum(before))
      return true;
    for (auto& [word, value] : not_finite)
      if (text.substr(i).starts_with(word)) {
        result.append(text.substr(copied, i - copied));
        result.append("\"").append(word).append("\"");
        copied = i + word.size();
      }
    return true;
  });
  return result.append(text.substr(copied));
}

caf::error invalid(std::string text) {
  return make_error(ec::invalid_argument, std::move(text));
}

template <class T>
std::optional<T> whole_text(const std::string& text) {
  T result;
  auto last = text.data() + text.size();
  auto [ptr, err] = std::from_chars(text.data(), last, result);
  if (err != std::errc{} || ptr != last)
    return std::nullopt;
  return result;
}

std::optional<reported_number> number_of_text(const std::string& text) {
  for (auto& [word, value] : not_finite)
    if (text == word)
      return value;
  if (auto n = whole_text<int64_t>(text))
    return *n;
  // This also reads `nan` and `inf`, which no mapping has.
  if (auto n = whole_text<double>(text); n && std::isfinite(*n))
    return *n;
  return std::nullopt;
}

} // namespace

caf::expected<json> read_object(std::string_view text, std::string_view what,
                                json_numbers numbers) {
  auto about = std::string{what};
  if (too_deep(text))
    return invalid(about + " nests too deeply");
  auto result = json::parse(text, nullptr, false);
  if (result.is_discarded() && numbers == json_numbers::python)
    result = json::parse(quote_not_finite(text), nullptr, false);
  // The parser takes a zero byte for the end.
  if (result.is_discarded() || text.find('\0') != std::string_view::npos)
    return invalid(about + " is not valid JSON");
  if (!result.is_object())
    return invalid(about + " must be a JSON object");
  return result;
}

const json* field_reader::find(std::string_view key) const {
  auto i = object_.find(key);
  return i == object_.end() || i->is_null() ? nullptr : &*i;
}

std::string field_reader::text(std::string_view key) {
  auto x = find(key);
  if (x && x->is_string())
    return x->get<std::string>();
  if (x)
    fail(key, "must be a string");
  return {};
}

std::string field_reader::name(std::string_view key) {
  auto result = text(key);
  if (!valid_name(result))
    fail(key, "must be a name of 1 to 253 characters without control "
              "characters");
  return result;
}

std::optional<reported_number> field_reader::number(std::string_view key) {
  auto x = find(key);
  if (!x)
    return std::nullopt;
  // Unsigned numbers above the range of `int64_t` become doubles.
  if (x->is_number_integer()
      && (!x->is_number_unsigned()
          || std::in_range<int64_t>(x->get<uint64_t>())))
    return x->get<int64_t>();
  if (x->is_number())
    return x->get<double>();
  std::optional<reported_number> result;
  if (x->is_string())
    result = number_of_text(x->get_ref<const std::string&>());
  if (!result)
    fail(key, "must be a number");
  return result;
}

void field_reader::fail(std::string_view key, std::string_view what) {
  if (problem_.empty())
    problem_ = prefix_ + std::string{key} + ' ' + std::string{what};
}

} // namespace aiops
