#pragma once

#include "http/ask.hpp"
#include "http/context.hpp"
#include "http/error_response.hpp"
#include "http/server/event_streams.hpp"
#include "http/server/message.hpp"

#include <array>
#include <atomic>
#include <span>

namespace aiops::http {

/// Limits the number of requests that wait for other programs, so that workers
/// remain for the others. @thread-safe
class admission {
public:
  explicit admission(size_t permits) : permits_(static_cast<int64_t>(permits)) {
    // nop
  }

  bool enter() {
    if (permits_.fetch_sub(1) > 0)
      return true;
    leave();
    return false;
  }

  void leave() {
    permits_.fetch_add(1);
  }

private:
  std::atomic<int64_t> permits_;
};

/// What a route handler works with. One object per worker.
struct route_env {
  const http_context& context;
  event_streams& events;
  asker& actors;

  /// The actors that are alive now.
  std::shared_ptr<const gateway_actors> alive() const {
    return context.actors->get();
  }

  /// Asks an actor to read or store something.
  template <class Handle, class... Ts>
  auto ask(const Handle& dest, Ts&&... xs) {
    return actors.ask(dest, context.deadlines.http, std::forward<Ts>(xs)...);
  }

  /// Asks an actor for its state. Health checks and metrics are frequent and
  /// must not wait for other programs.
  template <class Handle, class... Ts>
  auto check(const Handle& dest, Ts&&... xs) {
    return actors.ask(dest, milliseconds{500}, std::forward<Ts>(xs)...);
  }
};

using route_handler = http_response (*)(const http_request&, route_env&);

struct route {
  std::string_view method;
  /// `{id}` matches one segment, which is an id or a name.
  std::string_view pattern;
  route_handler handler;
  /// Whether the handler waits for other programs.
  bool waits;
  /// The query parameters that the route takes. Paths under `/api/` refuse
  /// others; all other routes ignore the query.
  std::array<std::string_view, 4> parameters = {};
};

/// All routes.
std::span<const route> routes();

/// Finds the route of a request and runs its handler.
http_response dispatch(http_request req, route_env& env, admission& gate);

/// Decodes a percent-encoded path segment; nothing if it is malformed.
std::optional<std::string> decode_segment(std::string_view text);

/// Parses a query such as `a=b&c=d` (a plus sign is a space). An error is
/// `invalid_argument`: the query is malformed, or a parameter is not in `known`
/// or is repeated.
caf::expected<std::vector<std::pair<std::string, std::string>>>
read_query(std::string_view query, std::span<const std::string_view> known);

} // namespace aiops::http
