#pragma once

#include "config/config.hpp"
#include "tools/broker.hpp"

#include <cstdint>
#include <memory>
#include <string>

namespace httplib {

class Client;

} // namespace httplib

namespace aiops::tools {

/// What became of a report.
enum class outcome : uint8_t {
  stored,
  /// The gateway understood and will not have it.
  refused,
  /// It may not have arrived.
  lost,
};

struct report_result {
  outcome what = outcome::lost;
  /// Why it was not stored, for a person.
  std::string reason = {};
};

/// A way on which a training backend tells the gateway of its progress.
class progress_channel {
public:
  virtual ~progress_channel() = default;

  /// Blocks until the gateway answered, 10 s at most.
  virtual report_result send(const std::string& body) = 0;
};

/// An HTTP client with short deadlines.
std::unique_ptr<httplib::Client> make_client(const std::string& gateway_url);

/// `PUT` to the path of the protocol.
std::unique_ptr<progress_channel>
progress_by_http(const std::string& gateway_url, backend_protocol protocol);

/// Requests on `aiops.training.progress`, on a connection of its own.
std::unique_ptr<progress_channel> progress_by_nats(broker_options broker);

} // namespace aiops::tools
