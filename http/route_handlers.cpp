#include "http/route_handlers.hpp"

#include "http/routes.hpp"

namespace aiops::http {

namespace {

/// How many workers may wait at one time. A fifth of them is kept for requests
/// that do not wait.
size_t permits_for(size_t workers) {
  return workers - workers / 5;
}

/// What the handlers of all workers share.
struct shared_state {
  shared_state(http_context ctx, size_t permits)
    : context(std::move(ctx)), gate(permits) {
    // nop
  }

  http_context context;
  admission gate;
};

class routing_handler final : public request_handler {
public:
  routing_handler(std::shared_ptr<shared_state> shared, event_streams& events)
    : shared_(std::move(shared)),
      asker_(*shared_->context.system), env_{shared_->context, events, asker_} {
    // nop
  }

  http_response answer(http_request req) override {
    return dispatch(std::move(req), env_, shared_->gate);
  }

  http_response error(std::string_view target, int status,
                      std::string_view text) override {
    return error_response(dialect_of(target), status, text);
  }

  void cancel() override {
    asker_.cancel();
  }

private:
  std::shared_ptr<shared_state> shared_;
  asker asker_;
  route_env env_;
};

} // namespace

handler_factory route_handlers(http_context context,
                               const http_config& config) {
  auto shared = std::make_shared<shared_state>(std::move(context),
                                               permits_for(config.workers));
  return [shared](event_streams& events) {
    return std::make_unique<routing_handler>(shared, events);
  };
}

} // namespace aiops::http
