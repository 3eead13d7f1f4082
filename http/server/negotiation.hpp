#pragma once

#include "http/server/message.hpp"

#include <optional>

/// @file
/// How one body is sent to clients that have it already, or that take it
/// compressed.

namespace aiops::http {

/// Bodies smaller than this are not worth compressing, in bytes.
inline constexpr size_t min_compressed = 1024;

/// Whether an `Accept-Encoding` admits gzip. Without the header or with a
/// malformed weight it does not.
bool accepts_gzip(std::string_view accept_encoding);

/// A weak entity tag made of the bytes of a body.
std::string etag_of(std::string_view body);

/// Whether an `If-None-Match` (a list of tags, or `*`) names the tag. Weak and
/// strong tags are the same here.
bool etag_matches(std::string_view if_none_match, std::string_view etag);

/// The bytes as a gzip file; nothing when there is not enough memory.
std::optional<std::string> gzip(std::string_view bytes);

/// Gives a recurring answer its headers, and leaves out or compresses its body
/// as the request asks for.
void negotiate(const http_request& req, http_response& res);

} // namespace aiops::http
