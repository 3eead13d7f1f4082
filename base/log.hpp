#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

/// @file
/// Structured logs on standard error: a component, a sentence with that
/// component as its subject, and fields. @thread-safe

namespace aiops::log {

enum class level { debug, info, warning, error };

enum class format {
  /// `2026-01-31T12:00:00.000Z info  bus: connected server=...`
  text,
  /// One JSON object per line.
  json,
  /// Text without a time and with a `<N>` priority for the systemd journal.
  journal,
};

/// A field of a log line: its name and value.
struct field {
  std::string_view key;
  std::string value;

  field(std::string_view k, std::string v) : key(k), value(std::move(v)) {
    // nop
  }
  field(std::string_view k, std::string_view v) : key(k), value(v) {
    // nop
  }
  field(std::string_view k, const char* v) : key(k), value(v) {
    // nop
  }
  template <class T, class = std::enable_if_t<std::is_arithmetic_v<T>>>
  field(std::string_view k, T v) : key(k), value(std::to_string(v)) {
    // nop
  }
};

using fields = std::vector<field>;

/// Sets the minimum level and the format. Until then, `info` and above are
/// written as text.
void configure(level minimum, format how);

/// Whether a line of that level would be written.
bool enabled(level lvl);

void write(level lvl, std::string_view component, std::string_view message,
           const fields& more = {});

/// Writes a line of level `info` even if the minimum level is higher: programs
/// that start the gateway wait for it.
void announce(std::string_view component, std::string_view message);

/// One log line as it is written, without the line break; a pure function of
/// its arguments apart from the time. @private (for tests)
std::string render(format how, level lvl, std::string_view component,
                   std::string_view message, const fields& more);

inline void debug(std::string_view component, std::string_view message,
                  const fields& more = {}) {
  if (enabled(level::debug))
    write(level::debug, component, message, more);
}

inline void info(std::string_view component, std::string_view message,
                 const fields& more = {}) {
  write(level::info, component, message, more);
}

inline void warning(std::string_view component, std::string_view message,
                    const fields& more = {}) {
  write(level::warning, component, message, more);
}

inline void error(std::string_view component, std::string_view message,
                  const fields& more = {}) {
  write(level::error, component, message, more);
}

} // namespace aiops::log
