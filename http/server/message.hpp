#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace aiops::http {

class event_seat;

/// Not plain `application/json`: httplib compresses that, at a price of
/// seconds for large answers.
inline constexpr std::string_view json_type = "application/json; charset=utf-8";

inline constexpr std::string_view problem_type = "application/problem+json";

/// The text format of Prometheus.
inline constexpr std::string_view metrics_type = "text/plain; version=0.0.4";

/// Without a charset: it is always UTF-8.
inline constexpr std::string_view event_stream_type = "text/event-stream";

/// What a route handler gets to see of a request.
struct http_request {
  std::string_view method;
  /// The target's path as it was sent, percent-encoded.
  std::string_view path;
  std::string_view body;
  /// What follows the target's question mark, as it was sent.
  std::string_view query;
  /// `If-None-Match` as it was sent, empty for none.
  std::string_view if_none_match;
  /// `Last-Event-ID` as it was sent, empty for none.
  std::string_view last_event_id;
  /// Whether the client takes an answer that is compressed with gzip.
  bool accepts_gzip = false;
  /// The path segment that the route's `{id}` stands for, decoded.
  std::string id;
  /// The query's parameters, decoded; only those that the route takes, each at
  /// most once. Empty for routes that ignore the query.
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
  /// Whether the same body may come again: then it gets an `ETag`, is
  /// compressed for those who want it, and left out for those who have it.
  bool recurring = false;
  /// If set, the body is the stream of events: it begins behind the head, has
  /// no length, and ends with the connection.
  std::shared_ptr<event_seat> seat;
  /// What the log says beside it, and nobody outside may read.
  std::string detail;
};

} // namespace aiops::http
