#include "base/log.hpp"

#include "base/time.hpp"
#include "base/utf8.hpp"

#include <spdlog/fmt/fmt.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <memory>

namespace aiops::log {

namespace {

struct level_names {
  std::string_view name;
  /// Padded, so that the columns of a text log are aligned.
  std::string_view column;
  /// The syslog priority, as the journal expects it.
  char priority;
  spdlog::level::level_enum spdlog_level;
};

constexpr std::array<level_names, 4> levels = {{
  {"debug", "debug  ", '7', spdlog::level::debug},
  {"info", "info   ", '6', spdlog::level::info},
  {"warning", "warning", '4', spdlog::level::warn},
  {"error", "error  ", '3', spdlog::level::err},
}};

const level_names& names_of(level lvl) {
  return levels[static_cast<size_t>(lvl)];
}

struct output {
  spdlog::logger logger{"aiops-gateway",
                        std::make_shared<spdlog::sinks::stderr_sink_mt>()};
  std::atomic<format> how = format::text;

  output() {
    logger.set_pattern("%v");
  }
};

/// Never destroyed: threads of the libraries log until the process ends.
output& out() {
  static auto& instance = *new output;
  return instance;
}

std::string now() {
  return to_rfc3339(std::chrono::system_clock::now());
}

/// Appends any `text` such that it is one line and valid inside the quotes of
/// JSON: logs repeat untrusted input.
void append_escaped(std::string& to, std::string_view text,
                    bool within_quotes = true) {
  while (!text.empty()) {
    auto rest = text;
    auto point = next_code_point(rest);
    if (point < 0) {
      to += "\\ufffd";
      text.remove_prefix(1);
      continue;
    }
    if (within_quotes && (point == '"' || point == '\\')) {
      to += '\\';
      to += static_cast<char>(point);
    } else if (point < 0x20 || (point >= 0x7f && point < 0xa0)) {
      to += fmt::format("\\u{:04x}", point);
    } else {
      to += text.substr(0, text.size() - rest.size());
    }
    text = rest;
  }
}

void append_quoted(std::string& to, std::string_view text) {
  to += '"';
  append_escaped(to, text);
  to += '"';
}

void append_value(std::string& to, std::string_view text) {
  auto plain = !text.empty()
               && std::all_of(text.begin(), text.end(), [](char c) {
                    return c > ' ' && c <= '~' && c != '"' && c != '\\'
                           && c != '=';
                  });
  if (plain)
    to += text;
  else
    append_quoted(to, text);
}

std::string render_json(level lvl, std::string_view component,
                        std::string_view message, const fields& more) {
  auto result = std::string{"{"};
  auto add = [&](std::string_view key, std::string_view value) {
    if (result.size() > 1)
      result += ',';
    append_quoted(result, key);
    result += ':';
    append_quoted(result, value);
  };
  add("time", now());
  add("level", names_of(lvl).name);
  add("component", component);
  add("message", message);
  for (auto& [key, value] : more)
    add(key, value);
  return result + "}";
}

} // namespace

void configure(level minimum, format how) {
  out().logger.set_level(names_of(minimum).spdlog_level);
  out().how = how;
}

bool enabled(level lvl) {
  return out().logger.should_log(names_of(lvl).spdlog_level);
}

void write(level lvl, std::string_view component, std::string_view message,
           const fields& more) {
  if (enabled(lvl))
    out().logger.log(names_of(lvl).spdlog_level,
                     render(out().how, lvl, component, message, more));
}

void announce(std::string_view component, std::string_view message) {
  out().logger.log(spdlog::level::critical,
                   render(out().how, level::info, component, message, {}));
}

std::string render(format how, level lvl, std::string_view component,
                   std::string_view message, const fields& more) {
  if (how == format::json)
    return render_json(lvl, component, message, more);
  auto result = std::string{};
  if (how == format::journal) {
    result = {'<', names_of(lvl).priority, '>'};
  } else {
    result = now();
    result += ' ';
    result += names_of(lvl).column;
    result += ' ';
  }
  result += component;
  result += ": ";
  append_escaped(result, message, false);
  for (auto& [key, value] : more) {
    result += ' ';
    result += key;
    result += '=';
    append_value(result, value);
  }
  return result;
}

} // namespace aiops::log
