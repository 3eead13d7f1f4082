#include "nats/training/kv_backend.hpp"

#include "actors/training/planted_bug.hpp"
#include "base/log.hpp"
#include "nats/json.hpp"
#include "nats/subjects.hpp"

#include <nlohmann/json.hpp>

namespace aiops::nats {

namespace {

const auto parameters_bucket = std::string{subjects::parameters_bucket};
const auto parameters_key = std::string{subjects::parameters_key};

/// Delay before a request without a responder is repeated.
constexpr auto ask_again_after = std::chrono::seconds{1};

/// The part of a submission's time that is reserved for undoing it.
caf::timespan time_to_undo(caf::timespan timeout) {
  return std::min<caf::timespan>(timeout / 5, std::chrono::seconds{2});
}

/// The job of stored parameters; empty in those of older versions.
std::string job_of(const std::string& parameters) {
  std::string result;
  read_text(parse_json(parameters), "uuid", result);
  return result;
}

} // namespace

// -- submissions --------------------------------------------------------------

caf::result<std::string> kv_backend_state::train(const backend_submission& what,
                                                 caf::timespan timeout) {
  auto x = std::make_shared<attempt>(attempt{
    self_->make_response_promise<std::string>(), encode_parameters(what),
    self_->clock().now() + timeout - time_to_undo(timeout)});
  self_
    ->request(kv_store_, until(x->end), get_atom_v, parameters_bucket,
              parameters_key)
    .then(
      [this, x](const kv_entry& entry) {
        x->before = entry.revision;
        store_parameters(x);
      },
      // The backend got no request.
      [x](const caf::error& err) {
        x->promise.deliver(make_error(ec::overloaded, text_of(err)));
      });
  return x->promise;
}

void kv_backend_state::store_parameters(const attempt_ptr& x) {
  self_
    ->request(
      kv_store_, until(x->end), put_atom_v,
      kv_write{parameters_bucket, parameters_key, x->payload, x->before})
    .then([this, x](uint64_t) { ask_backend(x); },
          [x](const caf::error& err) {
            auto reason = explain_doubt(err, "storing the submission");
            if (code_of(reason) == ec::conflict)
              reason = make_error(ec::conflict, "another program stores a "
                                                "watchlist at the same time");
            else if (may_have_happened(code_of(reason)))
              // Even if they are stored, the backend got no request.
              reason = make_error(ec::overloaded, text_of(reason));
            x->promise.deliver(reason);
          });
}

void kv_backend_state::ask_backend(const attempt_ptr& x) {
  if (self_->clock().now() >= x->end) {
    x->promise.deliver(make_error(
      ec::overloaded, "the store took the time that was left for the backend"));
    return;
  }
  submit(x->payload, until(x->end),
         [this, x](const caf::expected<std::string>& outcome) {
           if (outcome)
             x->promise.deliver(*outcome);
           else if (code_of(outcome.error()) == ec::no_responders)
             ask_again(x, outcome.error());
           else
             x->promise.deliver(outcome.error());
         });
}

void kv_backend_state::ask_again(const attempt_ptr& x,
                                 const caf::error& reason) {
  if (self_->clock().now() + ask_again_after >= x->end) {
    x->promise.deliver(reason);
    return;
  }
  later(ask_again_after, [this, x] { ask_backend(x); });
}

caf::timespan kv_backend_state::until(time_point when) const {
  return std::max<caf::timespan>(when - self_->clock().now(),
                                 std::chrono::milliseconds{1});
}

// -- requests -----------------------------------------------------------------

caf::result<backend_report> kv_backend_state::status() {
  return backend_report{};
}

caf::result<workload_list> kv_backend_state::watchlist() {
  auto promise = self_->make_response_promise<workload_list>();
  self_
    ->request(kv_store_, outlast(outlast(config_.request_timeout)), get_atom_v,
              parameters_bucket, parameters_key)
    .then(
      [promise](const kv_entry& entry) mutable {
        if (entry.revision == 0)
          promise.deliver(workload_list{});
        else if (auto xs = decode_parameters(entry.value))
          promise.deliver(std::move(*xs));
        else
          promise.deliver(make_error(
            ec::bad_reply, "what is stored under " + parameters_bucket + '/'
                             + parameters_key + " is not a watchlist"));
      },
      relay(promise));
  return promise;
}

caf::result<void> kv_backend_state::check() {
  return ask_anything(subjects::gpu_service_running,
                      subjects::gpu_service_running_payload);
}

caf::result<stored_model> kv_backend_state::get() {
  auto promise = self_->make_response_promise<stored_model>();
  auto failed = [promise](const caf::error& err) mutable {
    promise.deliver(err);
  };
  read_model(
    {subjects::statistics_bucket, subjects::statistics_key},
    [=, this](const stored_model& model) {
      self_
        ->request(kv_store_, outlast(outlast(config_.request_timeout)),
                  get_atom_v, parameters_bucket, parameters_key)
        .then(
          [promise,
           model = stored_model{model}](const kv_entry& entry) mutable {
            model.watchlist_job = job_of(entry.value);
            model.watchlist_revision = entry.revision;
            model.with_status = true;
            promise.deliver(std::move(model));
          },
          failed);
    },
    failed);
  return promise;
}

caf::result<void> kv_backend_state::put(const model_status& x) {
  return write({std::string{subjects::statistics_bucket},
                std::string{subjects::statistics_key}, encode_model(x),
                std::nullopt});
}

caf::result<void> kv_backend_state::forget() {
  return remove({subjects::statistics_bucket, subjects::statistics_key});
}

caf::result<void>
kv_backend_state::put_watchlist(const backend_submission& what,
                                uint64_t expected) {
  // The backend writes `lastModelTrained` in the same bucket.
  kv_write parameters{parameters_bucket, parameters_key, {}, expected};
  parameters.removal = what.id.empty();
  if (planted(planted_bug::unfenced_removal))
    parameters.expected.reset();
  if (!parameters.removal)
    parameters.value = encode_parameters(what);
  return write(std::move(parameters));
}

internal_backend_actor::behavior_type
kv_backend(internal_backend_actor::stateful_pointer<kv_backend_state> self,
           bus_actor bus, kv_store_actor kv_store,
           const backend_config& config) {
  return self->state.make_behavior(std::move(bus), std::move(kv_store), config);
}

} // namespace aiops::nats
