#include "nats/training/request_reply_backend.hpp"

#include "nats/json.hpp"
#include "nats/subjects.hpp"

namespace aiops::nats {

caf::result<std::string>
request_reply_backend_state::train(const backend_submission& what,
                                   caf::timespan timeout) {
  auto promise = self_->make_response_promise<std::string>();
  submit(encode_workloads(what.workloads), timeout,
         [promise](caf::expected<std::string> outcome) mutable {
           if (outcome)
             promise.deliver(std::move(*outcome));
           else
             promise.deliver(std::move(outcome.error()));
         });
  return promise;
}

caf::result<backend_report> request_reply_backend_state::status() {
  return ask<backend_report>(subjects::model_status,
                             subjects::model_status_payload, decode_text);
}

caf::result<workload_list> request_reply_backend_state::watchlist() {
  return ask<workload_list>(subjects::workload_parameters,
                            subjects::workload_parameters_payload,
                            decode_workloads);
}

caf::result<void> request_reply_backend_state::check() {
  return ask_anything(subjects::model_status, subjects::model_status_payload);
}

caf::result<stored_model> request_reply_backend_state::get() {
  auto promise = self_->make_response_promise<stored_model>();
  read_model(
    {subjects::aggregation_bucket, subjects::statistics_key},
    [promise](const stored_model& x) mutable { promise.deliver(x); },
    relay(promise));
  return promise;
}

caf::result<void> request_reply_backend_state::put(const model_status& x) {
  return write({std::string{subjects::aggregation_bucket},
                std::string{subjects::statistics_key},
                encode_statistics(x.statistics), std::nullopt});
}

caf::result<void> request_reply_backend_state::forget() {
  return remove({subjects::aggregation_bucket, subjects::statistics_key});
}

caf::result<void>
request_reply_backend_state::put_watchlist(const backend_submission&,
                                           uint64_t) {
  return caf::unit;
}

internal_backend_actor::behavior_type request_reply_backend(
  internal_backend_actor::stateful_pointer<request_reply_backend_state> self,
  bus_actor bus, kv_store_actor kv_store, const backend_config& config) {
  return self->state.make_behavior(std::move(bus), std::move(kv_store), config);
}

} // namespace aiops::nats
