#pragma once

#include "config/config_options.hpp"
#include "config/config_values.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <optional>
#include <utility>

/// @file
/// Functions that make options, one per kind of value. `field` returns a field
/// of a configuration, which may be constant. @private

namespace aiops {

inline std::string range_problem(bool fits, const std::string& value,
                                 const std::string& minimum,
                                 const std::string& maximum) {
  if (fits)
    return {};
  return "'" + value + "' is out of range; give " + minimum + " to " + maximum;
}

template <class Field>
option duration(option x, Field field, std::chrono::milliseconds minimum,
                std::chrono::milliseconds maximum) {
  x.placeholder = "DURATION";
  x.expected = "a duration with a unit: ms, s, m or h, for example 30s";
  x.set = [field](gateway_config& cfg, const std::string& text) {
    auto value = read_duration(text);
    if (value)
      field(cfg) = *value;
    return value.has_value();
  };
  x.get = [field](const gateway_config& cfg) {
    return write_duration(field(cfg));
  };
  x.check = [=, get = x.get](const gateway_config& cfg) {
    return range_problem(minimum <= field(cfg) && field(cfg) <= maximum,
                         get(cfg), write_duration(minimum),
                         write_duration(maximum));
  };
  return x;
}

template <class Field>
option number(option x, Field field, int64_t minimum, int64_t maximum,
              std::optional<int64_t> (*read)(std::string_view),
              std::string (*write)(int64_t)) {
  x.set = [=](gateway_config& cfg, const std::string& text) {
    auto value = read(text);
    if (!value || *value < 0)
      return false;
    field(cfg) = static_cast<std::decay_t<decltype(field(cfg))>>(*value);
    return true;
  };
  x.get = [=](const gateway_config& cfg) {
    return write(static_cast<int64_t>(field(cfg)));
  };
  x.check = [=, get = x.get](const gateway_config& cfg) {
    auto value = static_cast<int64_t>(field(cfg));
    return range_problem(minimum <= value && value <= maximum, get(cfg),
                         write(minimum), write(maximum));
  };
  return x;
}

template <class Field>
option count(option x, Field field, int64_t minimum, int64_t maximum) {
  x.placeholder = "NUMBER";
  x.expected = "a whole number";
  return number(std::move(x), field, minimum, maximum, read_number,
                [](int64_t value) { return std::to_string(value); });
}

template <class Field>
option size(option x, Field field, int64_t minimum, int64_t maximum) {
  x.placeholder = "SIZE";
  x.expected = "bytes, or with a unit KiB, MiB or GiB, for example 1MiB";
  return number(std::move(x), field, minimum, maximum, read_size, write_size);
}

template <class Field>
option text(option x, Field field) {
  x.expected = "a text";
  x.set = [field](gateway_config& cfg, const std::string& value) {
    field(cfg) = value;
    return true;
  };
  x.get = [field](const gateway_config& cfg) { return field(cfg); };
  return x;
}

inline std::string file_problem(const std::filesystem::path& path) {
  std::error_code ignored;
  if (path.empty())
    return {};
  errno = 0;
  auto directory = std::filesystem::is_directory(path, ignored);
  if (!directory && std::ifstream{path})
    return {};
  return "cannot read '" + path.string()
         + "': " + std::strerror(directory ? EISDIR : errno)
         + "; correct the path or its permissions";
}

/// A name without a slash may be a credential of systemd (LoadCredential=).
inline std::filesystem::path find_credential(const std::string& name) {
  auto directory = std::getenv("CREDENTIALS_DIRECTORY");
  if (directory && !name.empty() && name.find('/') == std::string::npos) {
    auto path = std::filesystem::path{directory} / name;
    std::error_code ignored;
    if (std::filesystem::exists(path, ignored))
      return path;
  }
  return name;
}

template <class Field>
option file(option x, Field field) {
  x.placeholder = "FILE";
  x.expected = "the path of a file";
  x.set = [field](gateway_config& cfg, const std::string& value) {
    field(cfg) = find_credential(value);
    return true;
  };
  x.get = [field](const gateway_config& cfg) { return field(cfg).string(); };
  x.check = [field](const gateway_config& cfg) {
    return file_problem(field(cfg));
  };
  return x;
}

template <class T>
using choices = std::vector<std::pair<std::string, T>>;

/// One of some words. Those from the position `absent` on are not part of this
/// version.
template <class Field, class T>
option choice(option x, Field field, choices<T> words, size_t absent) {
  std::string usable;
  for (size_t i = 0; i < absent; ++i)
    usable += (i == 0 ? "" : i + 1 < absent ? ", " : " or ") + words[i].first;
  x.expected = usable;
  x.set = [=](gateway_config& cfg, const std::string& value) {
    for (auto& [word, meaning] : words) {
      if (word == value) {
        field(cfg) = meaning;
        return true;
      }
    }
    return false;
  };
  x.get = [=](const gateway_config& cfg) {
    auto means = [&](auto& word) { return word.second == field(cfg); };
    return std::find_if(words.begin(), words.end(), means)->first;
  };
  x.check = [=, get = x.get](const gateway_config& cfg) {
    auto present = [&](auto& word) { return word.second == field(cfg); };
    auto end = words.begin() + static_cast<ptrdiff_t>(absent);
    if (std::any_of(words.begin(), end, present))
      return std::string{};
    return "'" + get(cfg) + "' is not built into this version; use " + usable;
  };
  return x;
}

} // namespace aiops
