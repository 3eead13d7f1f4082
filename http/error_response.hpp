#pragma once

#include "base/error.hpp"
#include "http/server/message.hpp"

namespace aiops::http {

/// How an error looks on the wire.
enum class dialect {
  /// The compatibility surface: gRPC code, message, details.
  compat,
  /// Our own surface: RFC 9457 problem details.
  problem,
};

/// The dialect that a path's errors are told in.
dialect dialect_of(std::string_view path);

/// What the world outside is told of an error.
struct error_row {
  ec code;
  /// HTTP status.
  int status;
  /// gRPC status code, as the compatibility surface has it.
  int grpc;
  /// Whether the error's own text is for people outside. The others go into
  /// the log.
  bool text_is_public;
};

const error_row& error_row_of(ec code);

/// The answer to a request that failed.
http_response error_response(dialect how, const caf::error& err);

/// Likewise, for what HTTP itself forbids.
http_response error_response(dialect how, int status, int grpc,
                             std::string_view text);

/// Whether the same request may pass in a moment, which `Retry-After` says.
constexpr bool may_pass_later(int status) {
  return status == 503 || status == 504;
}

/// The words that stand beside a status.
std::string_view reason_phrase(int status);

} // namespace aiops::http
