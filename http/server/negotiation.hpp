#pragma once

#include "http/server/message.hpp"

#include <optional>

/// @file
/// Conditional requests (`ETag`) and compression.

namespace aiops::http {

/// Size in bytes of the smallest body that is compressed.
inline constexpr size_t min_compressed = 1024;

/// Whether an `Accept-Encoding` allows gzip; false if it is absent or has a
/// malformed weight.
bool accepts_gzip(std::string_view accept_encoding);

/// A weak entity tag, computed from the bytes of a body.
std::string etag_of(std::string_view body);

/// Whether an `If-None-Match` (a list of tags, or `*`) matches the tag. Weak
/// and strong tags are compared alike.
bool etag_matches(std::string_view if_none_match, std::string_view etag);

/// The bytes as a gzip file; nothing if they are too many or memory is short.
std::optional<std::string> gzip(std::string_view bytes);

/// Adds the headers of a recurring answer, and omits or compresses its body if
/// the request allows that.
void negotiate(const http_request& req, http_response& res);

} // namespace aiops::http
