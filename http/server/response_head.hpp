#pragma once

#include "http/server/message.hpp"

#include <chrono>
#include <optional>

/// @file
/// The only writer of response heads.

namespace aiops::http {

/// Asks a client that sent `Expect: 100-continue` for the body.
inline constexpr std::string_view continue_head
  = "HTTP/1.1 100 Continue\r\n\r\n";

/// Appends the head of an answer, blank line included. `Content-Length` is that
/// of `answer.body`; a stream of events has none.
/// @param keep_alive How long the connection may be idle afterwards; nothing if
///                   it closes.
void append_head(std::string& out, const http_response& answer,
                 std::string_view request_id,
                 std::optional<std::chrono::seconds> keep_alive);

/// Whether the same request may succeed in a moment, as `Retry-After` says.
constexpr bool is_transient(int status) {
  return status == 503 || status == 504;
}

/// The phrase of a status, for the status line and for titles of errors.
std::string_view reason_phrase(int status);

} // namespace aiops::http
