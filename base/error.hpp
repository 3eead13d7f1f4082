#pragma once

#include "base/caf_compat.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace aiops {

/// What can go wrong, free of any protocol. `http/error_response.cpp` maps
/// each code to HTTP.
enum class ec : uint8_t {
  /// No error.
  none,
  /// The caller sent something that cannot be meant.
  invalid_argument,
  /// There is no such thing.
  not_found,
  /// The value does not fit what has to carry it.
  too_large,
  /// The stored value changed since it was read.
  conflict,
  /// Nobody listens on the subject: the backend is not running.
  no_responders,
  /// There is no connection to NATS.
  disconnected,
  /// A queue or the store is full, or the store cannot do it now; the same
  /// request may pass in a moment.
  overloaded,
  /// The other side did not answer within the deadline. What it was asked to
  /// do may have happened.
  timeout,
  /// The other side answered something unreadable.
  bad_reply,
  /// The other side understood and refused.
  refused,
  /// A file or value that the operator gave cannot be used.
  invalid_configuration,
  /// Anything else; a fault of ours.
  internal,
  /// Number of codes; keep last.
  ec_count,
};

/// The name of a code, as it stands in logs.
std::string_view to_string(ec code);

/// Makes an error whose `text` a person outside may read: what failed, and the
/// remedy where there is one.
caf::error make_error(ec code, std::string text);

/// The code of any error, those of CAF's own included: a request that timed
/// out is `timeout`, one to an actor that is gone is `overloaded` (the
/// supervisor brings it back within moments).
ec code_of(const caf::error& err);

/// The text of an error made by `make_error`, or a plain sentence for others.
std::string text_of(const caf::error& err);

} // namespace aiops
