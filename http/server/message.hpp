#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace aiops::http {

class event_slot;

inline constexpr std::string_view json_type = "application/json; charset=utf-8";

inline constexpr std::string_view problem_type = "application/problem+json";

/// The text format of Prometheus.
inline constexpr std::string_view metrics_type = "text/plain; version=0.0.4";

/// Without a charset: it is always UTF-8.
inline constexpr std::string_view event_stream_type = "text/event-stream";

/// What a route handler gets of a request.
struct http_request {
  std::string_view method;
  /// The path of the target as it was sent, percent-encoded.
  std::string_view path;
  std::string_view body;
  /// The part of the target after the question mark, as it was sent.
  std::string_view query;
  /// `If-None-Match` as it was sent, empty for none.
  std::string_view if_none_match;
  /// `Last-Event-ID` as it was sent, empty for none.
  std::string_view last_event_id;
  /// Whether the client accepts an answer that is compressed with gzip.
  bool accepts_gzip = false;
  /// The path segment that matches `{id}` of the route, decoded.
  std::string id;
  /// The decoded parameters of the query: only those that the route takes,
  /// each at most once. Empty for routes that ignore the query.
  std::vector<std::pair<std::string, std::string>> parameters;

  /// The value of a parameter; empty when it is absent.
  std::string_view parameter(std::string_view name) const {
    for (auto& [key, value] : parameters)
      if (key == name)
        return value;
    return {};
  }
};

/// What a route handler answers.
struct http_response {
  int status = 200;
  std::string body;
  std::string_view content_type = json_type;
  /// The methods of the `Allow` header; empty for none.
  std::string allow;
  /// Further headers.
  std::vector<std::pair<std::string_view, std::string>> headers;
  /// Whether clients may ask for the same body again. If so, it gets an
  /// `ETag`, is compressed for clients that accept that, and is omitted for
  /// clients that have it.
  bool recurring = false;
  /// If set, the body is the stream of events. It has no length and ends with
  /// the connection.
  std::shared_ptr<event_slot> slot;
  /// Text for the log that must not be sent to the client.
  std::string detail;
};

} // namespace aiops::http
