#pragma once

#include "http/ask.hpp"
#include "http/context.hpp"
#include "http/routes.hpp"
#include "http/server/request_head.hpp"

#include <httplib.h>

#include <random>

namespace aiops::http {

/// The other end of a connection.
struct peer_address {
  std::string ip;
  int port = 0;
};

/// Makes answers of whole requests by means of httplib and the route table.
/// Belongs to one worker thread.
class request_processor : private httplib::Server {
public:
  using dispatcher = http_response (*)(http_request, route_env&, admission&);

  request_processor(const http_context& context, const http_config& config,
                    admission& gate, dispatcher answer = dispatch);

  /// Appends the answer to `out`.
  /// @param close Whether the connection closes after it.
  /// @returns the seat of a client that follows the events: its connection
  ///          has to be handed over when the answer is sent. Else null.
  std::shared_ptr<event_seat> process(const request_head& head,
                                      std::string_view body,
                                      const peer_address& peer, bool close,
                                      std::string& out);

  /// Appends the answer to a request that is not served and ends the
  /// connection.
  void refuse(const refusal& why, const peer_address& peer, std::string& out);

  /// Ends a wait for actors. @thread-safe
  void cancel();

private:
  /// What httplib reads from and writes to.
  class memory_stream;

  HandlerResponse handle(httplib::Response& res);

  void fail(httplib::Response& res, const std::exception_ptr& reason);

  void fill(httplib::Response& res, http_response answer);

  /// The head of an answer whose body is the stream of events, as far as the
  /// connection has no say in it.
  std::string stream_head(const http_response& answer) const;

  std::string next_request_id();

  void log_access(std::string_view method, std::string_view path,
                  const peer_address& peer,
                  std::chrono::steady_clock::time_point start) const;

  asker asker_;
  route_env env_;
  admission& gate_;
  dispatcher answer_;
  std::mt19937_64 random_{std::random_device{}()};

  // The request at hand.
  const request_head* head_ = nullptr;
  std::string_view body_;
  std::string request_id_;
  int status_ = 0;
  std::string detail_;
  /// Set when the answer is the stream of events; then httplib's is void.
  std::shared_ptr<event_seat> seat_;
  std::string stream_head_;
};

} // namespace aiops::http
