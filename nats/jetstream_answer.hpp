#pragma once

#include "base/error.hpp"

#include <nlohmann/json_fwd.hpp>

#include <string>
#include <string_view>

namespace aiops::nats {

/// What an answer of JetStream means for the request. The codes are those of
/// `server/errors.json` in nats-server 2.9 to 2.12.
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
  /// The value is larger than the stream or the server takes.
  too_large,
  /// The configuration of the stream or account does not allow it.
  forbidden,
  /// There is no such stream.
  no_stream,
  /// The stream has no such message.
  no_message,
  /// There is a stream of that name already.
  stream_exists,
  /// Fewer nodes can take the stream than are to keep a copy.
  too_few_nodes,
  /// The same message is being stored right now.
  duplicate,
  /// The request itself is at fault.
  refused,
  /// This is no answer of JetStream.
  unreadable,
};

struct jetstream_verdict {
  jetstream_outcome outcome = jetstream_outcome::done;
  /// In the server's words; empty when it was carried out.
  std::string description = {};
  /// With `try_again`: part of the cluster may have stored it all the same.
  bool uncertain = false;
};

jetstream_verdict judge(const nlohmann::json& answer);

/// Makes an error of a verdict that is not `done`; `what` failed.
caf::error to_error(const jetstream_verdict& verdict, std::string_view what);

} // namespace aiops::nats
