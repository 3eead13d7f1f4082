#pragma once

#include "base/error.hpp"
#include "http/server/message.hpp"

namespace aiops::http {

/// The format of an error.
enum class dialect {
  /// The compatibility API: gRPC code, message, details.
  compat,
  /// The paths under `/api/`: problem details of RFC 9457.
  problem,
};

/// The dialect of the errors of a path.
dialect dialect_of(std::string_view path);

/// How an error code is answered.
struct error_row {
  ec code;
  /// HTTP status.
  int status;
  /// Whether clients may see the text of the error. If not, it is only logged.
  bool text_is_public;
};

const error_row& error_row_of(ec code);

/// The gRPC code that the compatibility API sends with an HTTP status.
int grpc_code_of(int status);

/// The answer to a request that failed.
http_response error_response(dialect how, const caf::error& err);

/// The answer to a request with this status, for errors that have no code.
http_response error_response(dialect how, int status, std::string_view text);

} // namespace aiops::http
