#include "nats/backend.hpp"

#include "actors/error.hpp"
#include "nats/json.hpp"
#include "nats/subjects.hpp"

namespace aiops {

namespace {

std::optional<std::string> decode_text(std::string_view text) {
  if (!readable(text))
    return std::nullopt;
  return std::string{text};
}

/// Says in the backend's terms what the bus found.
caf::error explain(const caf::error& err, std::string_view subject) {
  auto quoted = '\'' + std::string{subject} + '\'';
  switch (code_of(err)) {
    case ec::no_responders:
      return make_error(ec::no_responders,
                        "no training backend answers on " + quoted
                          + "; is it running and connected to NATS?");
    case ec::timeout:
      return make_error(ec::timeout, "the training backend did not answer on "
                                       + quoted + " in time");
    default:
      return err;
  }
}

} // namespace

backend_state::backend_state(backend_actor::pointer self) : self_(self) {
  // nop
}

void backend_state::init(bus_actor bus, backend_config config) {
  bus_ = std::move(bus);
  config_ = config;
}

backend_actor::behavior_type backend_state::make_behavior() {
  return {
    [this](train_atom, const workload_list& xs, caf::timespan timeout) {
      return train(xs, timeout);
    },
    [this](status_atom) { return status(); },
    [this](watchlist_atom) { return watchlist(); },
  };
}

template <class T, class Decode>
caf::result<T> backend_state::ask(std::string_view subject, std::string payload,
                                  caf::timespan timeout, Decode decode) {
  auto promise = self_->make_response_promise<T>();
  bus_request request{std::string{subject}, std::move(payload), {}, timeout};
  // The bus answers by the deadline; ours only guards against its death.
  self_->request(bus_, timeout * 2, request_atom_v, std::move(request))
    .then(
      [promise, subject, decode](const bus_reply& reply) mutable {
        if (auto result = decode(reply.payload))
          promise.deliver(std::move(*result));
        else
          promise.deliver(
            make_error(ec::bad_reply, "the training backend answered something "
                                      "unreadable on '"
                                        + std::string{subject} + '\''));
      },
      [promise, subject](const caf::error& err) mutable {
        promise.deliver(explain(err, subject));
      });
  return promise;
}

caf::result<std::string> backend_state::train(const workload_list& xs,
                                              caf::timespan timeout) {
  return ask<std::string>(subjects::train_model, encode_workloads(xs), timeout,
                          decode_text);
}

caf::result<std::string> backend_state::status() {
  return ask<std::string>(subjects::model_status,
                          std::string{subjects::model_status_payload},
                          config_.request_timeout, decode_text);
}

caf::result<workload_list> backend_state::watchlist() {
  return ask<workload_list>(subjects::workload_parameters,
                            std::string{subjects::workload_parameters_payload},
                            config_.request_timeout, decode_workloads);
}

backend_actor::behavior_type
backend(backend_actor::stateful_pointer<backend_state> self, bus_actor bus,
        backend_config config) {
  self->state.init(std::move(bus), config);
  return self->state.make_behavior();
}

} // namespace aiops
