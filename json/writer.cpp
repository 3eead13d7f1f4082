#include "json/writer.hpp"

#include "base/time.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace aiops {

void append_quoted(std::string& out, std::string_view text) {
  auto plain = [](unsigned char c) {
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
  };
  if (std::all_of(text.begin(), text.end(), plain)) {
    out += '"';
    out += text;
    out += '"';
    return;
  }
  // Invalid UTF-8 is replaced: a broken name must not cost the whole answer.
  using nlohmann::json;
  out += json(text).dump(-1, ' ', false, json::error_handler_t::replace);
}

void append_number(std::string& out, int64_t x) {
  char buf[24];
  out.append(buf, std::to_chars(buf, buf + sizeof(buf), x).ptr);
}

void append_number(std::string& out, double x) {
  char buf[32];
  if (!std::isfinite(x))
    x = 0.0;
  out.append(buf, std::to_chars(buf, buf + sizeof(buf), x).ptr);
}

void append_time(std::string& out, const std::optional<json_time>& when) {
  out += when ? '"' + to_rfc3339(*when) + '"' : "null";
}

void append_age(std::string& out, const std::optional<json_time>& since,
                json_time now) {
  // It may come from another clock, which is ahead of ours.
  if (since)
    append_number(
      out, std::max(int64_t{0}, (now - *since) / std::chrono::seconds{1}));
  else
    out += "null";
}

void append_number(std::string& out, const std::optional<int64_t>& x) {
  if (x)
    append_number(out, *x);
  else
    out += "null";
}

void write_workload(object_writer& obj, const workload& x) {
  obj.text("clusterId", x.cluster_id);
  obj.text("namespace", x.namespace_name);
  obj.text("deployment", x.deployment);
}

std::string json_string(std::string_view text) {
  std::string out;
  append_quoted(out, text);
  return out;
}

} // namespace aiops
