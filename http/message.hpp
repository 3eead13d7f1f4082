#pragma once

#include <string>
#include <string_view>

namespace aiops {

/// Not plain `application/json`: httplib compresses that, at a price of
/// seconds for large answers.
inline constexpr std::string_view json_type = "application/json; charset=utf-8";

inline constexpr std::string_view problem_type = "application/problem+json";

/// What a route handler gets to see of a request.
struct http_request {
  std::string_view method;
  /// The target's path as it was sent, percent-encoded.
  std::string_view path;
  std::string_view body;
  /// The path segment that the route's `{id}` stands for, decoded.
  std::string id;
};

/// What a route handler answers.
struct http_response {
  int status = 200;
  std::string body;
  std::string_view content_type = json_type;
  /// The methods of the `Allow` header; empty for none.
  std::string allow;
  /// What the log says beside it, and nobody outside may read.
  std::string detail;
};

} // namespace aiops
