#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

/// @file
/// The parser of request heads. It is strict: it refuses whatever two programs
/// could interpret differently.

namespace aiops::http {

/// Largest head of a request in bytes, request line and blank line included.
inline constexpr size_t max_head = 32 * 1024;

/// Largest line of a head in bytes, line break included.
inline constexpr size_t max_line = 8 * 1024;

/// The head of a request, as far as the server uses it.
struct request_head {
  /// Bytes of the head.
  size_t size = 0;
  std::string method;
  /// The target as it was sent.
  std::string target;
  /// Bytes of the body that follow.
  size_t content_length = 0;
  /// Whether the client waits for `100 Continue` before it sends the body.
  bool expects_continue = false;
  /// Whether the connection stays open after the answer.
  bool keep_alive = true;
  /// `X-Request-Id` of the client; empty if it is absent or not safe to repeat.
  std::string request_id;
  /// `Accept-Encoding` and `If-None-Match` as they were sent. Several headers
  /// of one name are joined by commas.
  std::string accept_encoding;
  std::string if_none_match;
  /// `Last-Event-ID` as it was sent, the last one of several.
  std::string last_event_id;

  /// The target without the query.
  std::string_view path() const;

  /// The part of the target after the first question mark.
  std::string_view query() const;
};

/// Why a request is refused. The connection closes after the answer.
struct refusal {
  /// HTTP status.
  int status;
  std::string text;
  /// The target of the request, empty if it could not be read.
  std::string target;
};

/// The index after the blank line that ends the head; nothing if there is none.
/// @param from Where the search starts. The head must not end before it.
std::optional<size_t> find_head_end(std::string_view bytes, size_t from);

/// Whether an incomplete head is too large already.
std::optional<refusal> check_partial_head(std::string_view bytes);

/// Parses a complete head, blank line included.
std::variant<request_head, refusal> parse_head(std::string_view head,
                                               size_t max_body);

} // namespace aiops::http
