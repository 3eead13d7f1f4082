#pragma once

#include "http/server/message.hpp"

#include <caf/expected.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

/// @file
/// What all pages of lists have in common.

namespace aiops::http {

inline constexpr size_t default_page_size = 100;
inline constexpr size_t max_page_size = 1000;

/// Reads the parameter `limit`. The error is `invalid_argument`.
caf::expected<size_t> read_limit(const http_request& req);

/// As cursors are written: without padding.
std::string encode_base64url(std::string_view bytes);

/// Nothing when `text` is not what `encode_base64url` writes.
std::optional<std::string> decode_base64url(std::string_view text);

} // namespace aiops::http
