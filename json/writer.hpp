#pragma once

#include "actors/workload.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

/// @file
/// How JSON is written: appended to a string, piece by piece. Nothing here
/// fails, whatever the strings hold.

namespace aiops {

/// A JSON string, quotes included. Invalid UTF-8 is replaced.
void append_quoted(std::string& out, std::string_view text);

void append_number(std::string& out, int64_t x);

/// What JSON has no number for is zero.
void append_number(std::string& out, double x);

/// Null for nothing.
void append_number(std::string& out, const std::optional<int64_t>& x);

using json_time = std::chrono::system_clock::time_point;

/// Null for nothing.
void append_time(std::string& out, const std::optional<json_time>& when);

/// Whole seconds since then, at least 0; null for nothing.
void append_age(std::string& out, const std::optional<json_time>& since,
                json_time now);

/// Writes one object, field by field.
class object_writer {
public:
  explicit object_writer(std::string& out) : out_(out) {
    out_ += '{';
  }

  object_writer(const object_writer&) = delete;

  ~object_writer() {
    out_ += '}';
  }

  /// Opens a field whose value the caller appends.
  std::string& field(std::string_view key) {
    if (!first_)
      out_ += ',';
    first_ = false;
    out_ += '"';
    out_ += key;
    out_ += "\":";
    return out_;
  }

  void text(std::string_view key, std::string_view value) {
    append_quoted(field(key), value);
  }

  template <class T>
  void number(std::string_view key, T value) {
    append_number(field(key), value);
  }

  void flag(std::string_view key, bool value) {
    field(key) += value ? "true" : "false";
  }

  void time(std::string_view key, const std::optional<json_time>& value) {
    append_time(field(key), value);
  }

  void null(std::string_view key) {
    field(key) += "null";
  }

  /// A 64-bit integer, as the proto3 mapping has it.
  void int64_text(std::string_view key, int64_t value) {
    field(key) += '"';
    append_number(out_, value);
    out_ += '"';
  }

private:
  std::string& out_;
  bool first_ = true;
};

/// Writes an array, element by element.
template <class Ts, class Write>
void append_array(std::string& out, const Ts& xs, Write write) {
  out += '[';
  auto first = true;
  for (auto&& x : xs) {
    if (!first)
      out += ',';
    first = false;
    object_writer obj{out};
    write(obj, x);
  }
  out += ']';
}

/// The three names of a workload.
void write_workload(object_writer& obj, const workload& x);

/// A list that is the field `items` of an object.
template <class Ts, class Write>
std::string items_json(const Ts& xs, size_t bytes_each, Write write) {
  std::string out;
  out.reserve(16 + xs.size() * bytes_each);
  {
    object_writer obj{out};
    append_array(obj.field("items"), xs, write);
  }
  return out;
}

/// A JSON string, quotes included.
std::string json_string(std::string_view text);

} // namespace aiops
