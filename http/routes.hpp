#pragma once

#include "http/ask.hpp"
#include "http/context.hpp"
#include "http/error_response.hpp"
#include "http/server/message.hpp"

#include <array>
#include <atomic>
#include <span>

namespace aiops::http {

/// Admits a bounded number of requests that wait for somebody else, so that
/// the others always find a worker. @thread-safe
class admission {
public:
  explicit admission(size_t seats) : seats_(static_cast<int64_t>(seats)) {
    // nop
  }

  bool enter() {
    if (seats_.fetch_sub(1) > 0)
      return true;
    leave();
    return false;
  }

  void leave() {
    seats_.fetch_add(1);
  }

private:
  std::atomic<int64_t> seats_;
};

/// What a route handler works with: one a worker thread.
struct route_env {
  const http_context& context;
  asker& actors;

  /// The actors that are alive now.
  std::shared_ptr<const gateway_actors> alive() const {
    return context.actors->get();
  }

  /// Asks an actor for something that is read or stored.
  template <class Handle, class... Ts>
  auto ask(const Handle& dest, Ts&&... xs) {
    return actors.ask(dest, context.deadlines.request + margin,
                      std::forward<Ts>(xs)...);
  }

  /// Asks an actor how things stand. Health checks and metrics are asked for
  /// often and must not wait for anybody.
  template <class Handle, class... Ts>
  auto check(const Handle& dest, Ts&&... xs) {
    return actors.ask(dest, milliseconds{500}, std::forward<Ts>(xs)...);
  }

  /// The actors' own deadlines have to come first: their errors say more.
  static constexpr milliseconds margin{250};
};

using route_handler = http_response (*)(const http_request&, route_env&);

struct route {
  std::string_view method;
  /// `{id}` stands for one segment that holds an id or name.
  std::string_view pattern;
  route_handler handler;
  /// Whether the handler waits for somebody outside of this process.
  bool waits;
  /// The query's parameters that the route takes. Our own surface refuses
  /// others, all other routes ignore the query.
  std::array<std::string_view, 4> parameters = {};
};

/// Every route there is.
std::span<const route> routes();

/// Finds the route of a request and runs its handler.
http_response dispatch(http_request req, route_env& env, admission& gate);

/// Decodes a percent-encoded path segment; nothing when it is malformed.
std::optional<std::string> decode_segment(std::string_view text);

/// Reads a query such as `a=b&c=d` (a plus sign is a space). Refuses what is
/// malformed, and parameters that are not in `known` or stand twice.
caf::expected<std::vector<std::pair<std::string, std::string>>>
read_query(std::string_view query, std::span<const std::string_view> known);

// -- handlers -----------------------------------------------------------------

http_response post_train(const http_request&, route_env&);
http_response put_statistics(const http_request&, route_env&);
http_response put_current_status(const http_request&, route_env&);
http_response get_model_status(const http_request&, route_env&);
http_response get_training_parameters(const http_request&, route_env&);
http_response get_workload_aggregation(const http_request&, route_env&);
http_response get_gpu_info(const http_request&, route_env&);

http_response get_ai_settings(const http_request&, route_env&);
http_response get_ai_upgrade(const http_request&, route_env&);
http_response get_runtime_classes(const http_request&, route_env&);
http_response refuse_to_install(const http_request&, route_env&);

http_response get_clusters(const http_request&, route_env&);
http_response get_workloads(const http_request&, route_env&);
http_response get_history(const http_request&, route_env&);

http_response get_gpus(const http_request&, route_env&);

http_response post_training(const http_request&, route_env&);
http_response get_training(const http_request&, route_env&);
http_response delete_training(const http_request&, route_env&);
http_response get_training_jobs(const http_request&, route_env&);
http_response get_training_job(const http_request&, route_env&);
http_response get_watchlist(const http_request&, route_env&);

/// Answers a seat instead of a body.
http_response get_events(const http_request&, route_env&);

http_response get_livez(const http_request&, route_env&);
http_response get_readyz(const http_request&, route_env&);
http_response get_version(const http_request&, route_env&);
http_response get_metrics(const http_request&, route_env&);

} // namespace aiops::http
