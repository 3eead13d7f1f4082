#pragma once

#include "http/server/message.hpp"

#include <functional>

namespace aiops::http {

class event_streams;

/// Makes the answers to requests: what the server needs from the routes. One
/// object per worker; only `cancel` may be called by other threads.
class request_handler {
public:
  virtual ~request_handler() = default;

  /// The answer to a complete request.
  virtual http_response answer(http_request req) = 0;

  /// The answer to a request that the server refuses, or that failed.
  /// @param target The target of the request, empty if it could not be read.
  virtual http_response error(std::string_view target, int status,
                              std::string_view text)
    = 0;

  /// Ends a wait in progress and all later ones. @thread-safe
  virtual void cancel() = 0;
};

/// Makes the handler of one worker. The streams outlive it.
using handler_factory
  = std::function<std::unique_ptr<request_handler>(event_streams& events)>;

} // namespace aiops::http
