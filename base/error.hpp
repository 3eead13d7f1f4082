#pragma once

#include "base/caf_compat.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace aiops {

/// Error codes, independent of any protocol. `http/error_response.cpp` maps
/// each code to HTTP.
enum class ec : uint8_t {
  /// No error.
  none,
  /// The caller sent an invalid value.
  invalid_argument,
  /// The requested object does not exist.
  not_found,
  /// The value is larger than the store or the message allows.
  too_large,
  /// The stored value changed since it was read.
  conflict,
  /// The subject has no subscriber: the backend is not running.
  no_responders,
  /// There is no connection to NATS; nothing was sent.
  disconnected,
  /// The connection to NATS was lost after sending. The operation may have
  /// happened.
  lost_in_flight,
  /// A queue or the store is full, or the store is unavailable for now; the
  /// same request may succeed a moment later.
  overloaded,
  /// The other side did not answer within the deadline. The operation may
  /// have happened.
  timeout,
  /// The answer of the other side is unreadable.
  bad_reply,
  /// The other side understood the request and refused it.
  refused,
  /// A file or value that the operator gave cannot be used.
  invalid_configuration,
  /// Any other failure; a bug in the gateway.
  internal,
  /// Number of codes; keep last.
  ec_count,
};

/// Whether an operation that failed with this code may have been carried out
/// nevertheless. The caller then has to read the state before it repeats or
/// undoes the operation.
bool may_have_happened(ec code);

/// The name of a code, as it is logged.
std::string_view to_string(ec code);

/// Makes an error. Clients see `text`: it says what failed, and the remedy if
/// there is one.
caf::error make_error(ec code, std::string text);

/// The code of any error, including those of CAF: a request that timed out is
/// `timeout`, a request to an actor that has ended is `overloaded` (the
/// supervisor restarts it within moments).
ec code_of(const caf::error& err);

/// The text of an error made by `make_error`, or a general sentence for other
/// errors.
std::string text_of(const caf::error& err);

} // namespace aiops
