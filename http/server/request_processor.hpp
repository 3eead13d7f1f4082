#pragma once

#include "config/config.hpp"
#include "http/server/event_follower.hpp"
#include "http/server/request_handler.hpp"
#include "http/server/request_head.hpp"

#include <random>

namespace aiops::http {

/// The other end of a connection.
struct peer_address {
  std::string ip;
  int port = 0;
};

/// Turns complete requests into the bytes of answers, and logs them. Belongs to
/// one worker thread.
class request_processor {
public:
  request_processor(const http_config& config,
                    std::unique_ptr<request_handler> handler);

  /// Appends the answer to `out`.
  /// @param close Whether the connection closes after it.
  /// @returns the slot of a client that follows the events: its connection has
  ///          to be handed over when the answer is sent. Else null.
  std::shared_ptr<event_slot> process(const request_head& head,
                                      std::string_view body,
                                      const peer_address& peer, bool close,
                                      std::string& out);

  /// Appends the answer to a request that is refused. The connection closes
  /// after it.
  void refuse(const refusal& reason, const peer_address& peer,
              std::string& out);

  /// Ends a wait for actors. @thread-safe
  void cancel();

private:
  /// What the log says of a request.
  struct access;

  http_response answer(const request_head& head, std::string_view body);

  std::string next_request_id();

  static void log_access(const access& x);

  std::chrono::seconds keep_alive_;
  std::unique_ptr<request_handler> handler_;
  std::mt19937_64 random_{std::random_device{}()};
};

} // namespace aiops::http
