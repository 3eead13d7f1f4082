#pragma once

#include "base/error.hpp"

#include <nlohmann/json_fwd.hpp>

#include <string>
#include <string_view>

namespace aiops::nats {

/// The meaning of an answer of JetStream for the request. The codes are those
/// of `server/errors.json` in nats-server 2.9 to 2.12.
enum class jetstream_outcome {
  /// It was carried out.
  done,
  /// The key's revision is not the expected one.
  conflict,
  /// The server cannot do it now: no leader, no quorum, too many requests. The
  /// same request may pass in a moment.
  try_again,
  /// A limit of the stream, the account or the server is reached.
  full,
  /// The value is larger than the stream or the server accepts.
  too_large,
  /// The configuration of the stream or account does not allow it.
  forbidden,
  /// There is no such stream.
  no_stream,
  /// The stream has no such message.
  no_message,
  /// There is already a stream with this name.
  stream_exists,
  /// Fewer nodes can host the stream than copies are required.
  too_few_nodes,
  /// The same message is being stored right now.
  duplicate,
  /// The request is invalid.
  refused,
  /// It is not an answer of JetStream.
  unreadable,
};

struct jetstream_verdict {
  jetstream_outcome outcome = jetstream_outcome::done;
  /// The text of the server; empty when the request was carried out.
  std::string description = {};
  /// With `try_again`: part of the cluster may have stored it nevertheless.
  bool uncertain = false;
};

jetstream_verdict judge(const nlohmann::json& answer);

/// Converts a verdict other than `done` to an error; `what` failed.
caf::error to_error(const jetstream_verdict& verdict, std::string_view what);

} // namespace aiops::nats
