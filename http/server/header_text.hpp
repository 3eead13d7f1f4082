#pragma once

#include <algorithm>
#include <string_view>

/// @file
/// What the parsers of headers share.

namespace aiops::http {

/// The text without leading and trailing spaces and tabs.
inline std::string_view trim(std::string_view text) {
  auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos)
    return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

/// Whether two texts are equal if the case of ASCII letters is ignored.
inline bool equal_ignoring_case(std::string_view x, std::string_view y) {
  auto lower = [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
  };
  return std::equal(x.begin(), x.end(), y.begin(), y.end(),
                    [&](char a, char b) { return lower(a) == lower(b); });
}

} // namespace aiops::http
