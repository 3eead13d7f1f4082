#pragma once

#include "config/config.hpp"
#include "tools/nats_link.hpp"

#include <cstdint>
#include <memory>
#include <string>

namespace httplib {

class Client;

} // namespace httplib

namespace aiops::tools {

/// The outcome of a report.
enum class outcome : uint8_t {
  stored,
  /// The gateway understood and refused it.
  refused,
  /// It may not have arrived.
  lost,
};

struct report_result {
  outcome what = outcome::lost;
  /// Why it was not stored.
  std::string reason = {};
};

/// How a training backend reports its progress to the gateway.
class progress_channel {
public:
  virtual ~progress_channel() = default;

  /// Blocks until the gateway has answered, for 10 s at most.
  virtual report_result send(const std::string& body) = 0;
};

/// An HTTP client with short deadlines.
std::unique_ptr<httplib::Client> make_client(const std::string& gateway_url);

/// `PUT` to the path of the protocol.
std::unique_ptr<progress_channel>
progress_by_http(const std::string& gateway_url, backend_protocol protocol);

/// Requests on `aiops.training.progress`, with its own connection.
std::unique_ptr<progress_channel> progress_by_nats(nats_link_options options);

} // namespace aiops::tools
