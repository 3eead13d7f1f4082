#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

/// @file
/// The guard before httplib: reads the head of a request strictly, and refuses
/// everything that two programs could read in two ways.

namespace aiops::http {

/// Largest head of a request in bytes, request line and blank line included.
inline constexpr size_t max_head = 32 * 1024;

/// Largest line of a head in bytes, line break included. httplib has the same
/// limit and would answer without a body.
inline constexpr size_t max_line = 8 * 1024;

/// What the connection has to know of a request.
struct request_head {
  /// Bytes of the head.
  size_t size = 0;
  std::string method;
  /// The target as it was sent.
  std::string target;
  /// Bytes of the body that follow.
  size_t content_length = 0;
  /// Whether the client waits for a `100 Continue` before it sends the body.
  bool expects_continue = false;
  /// Whether the client wants to send more requests after this one.
  bool keep_alive = true;
  /// `X-Request-Id` of the client, empty if it has none that we would repeat.
  std::string request_id;
  /// `Accept-Encoding` and `If-None-Match` as they came (httplib would decode
  /// percent signs in them); several of a kind are joined by commas.
  std::string accept_encoding;
  std::string if_none_match;
  /// `Last-Event-ID` as it came, the last one of several.
  std::string last_event_id;
  /// What httplib gets to read: without the query, and without the headers
  /// that are settled here or that we do not want it to act on.
  std::string filtered;

  /// The target up to the query.
  std::string_view path() const;

  /// The target behind the first question mark.
  std::string_view query() const;
};

/// Why a request is not served; the connection closes after the answer.
struct refusal {
  /// HTTP status.
  int status;
  /// gRPC code for the compatibility surface.
  int grpc;
  std::string text;
  /// The target, as far as it could be read.
  std::string target;
};

/// Where the head ends (one past the blank line), if it does. Looks from
/// `from` on, before which there is no end.
std::optional<size_t> find_head_end(std::string_view bytes, size_t from);

/// Tells whether a head that has no end yet is too large already.
std::optional<refusal> check_partial_head(std::string_view bytes);

/// Reads a whole head, blank line included.
std::variant<request_head, refusal> parse_head(std::string_view head,
                                               size_t max_body);

} // namespace aiops::http
