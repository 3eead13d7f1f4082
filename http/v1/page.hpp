#pragma once

#include "http/server/message.hpp"

#include <caf/expected.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

/// @file
/// What all lists with pages share.

namespace aiops::http {

inline constexpr size_t default_page_size = 100;
inline constexpr size_t max_page_size = 1000;

/// Reads the parameter `limit`. An error is `invalid_argument`.
caf::expected<size_t> read_limit(const http_request& req);

/// The encoding of cursors, without padding.
std::string encode_base64url(std::string_view bytes);

/// Nothing if `text` is not an output of `encode_base64url`.
std::optional<std::string> decode_base64url(std::string_view text);

} // namespace aiops::http
