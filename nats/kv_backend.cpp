#include "nats/kv_backend.hpp"

#include "actors/log.hpp"
#include "nats/json.hpp"
#include "nats/subjects.hpp"

namespace aiops {

namespace {

const auto parameters_bucket = std::string{subjects::parameters_bucket};
const auto parameters_key = std::string{subjects::parameters_key};

/// How much of a submission's time is kept for taking it back.
caf::timespan time_to_undo(caf::timespan timeout) {
  return std::min<caf::timespan>(timeout / 5, std::chrono::seconds{2});
}

/// Whether the other side may have got what failed so.
bool uncertain(const caf::error& err) {
  auto code = code_of(err);
  return code == ec::timeout || code == ec::bad_reply;
}

} // namespace

// -- submissions --------------------------------------------------------------

caf::result<std::string> kv_backend_state::train(const backend_submission& what,
                                                 caf::timespan timeout) {
  auto now = self_->clock().now();
  auto x = std::make_shared<attempt>(attempt{
    self_->make_response_promise<std::string>(), encode_parameters(what),
    now + timeout - time_to_undo(timeout), now + timeout});
  self_
    ->request(kv_store_, until(x->last_word), get_atom_v, parameters_bucket,
              parameters_key)
    .then(
      [this, x](kv_entry& entry) {
        x->before = std::move(entry);
        store_parameters(x);
      },
      [x](const caf::error& err) { x->promise.deliver(err); });
  return x->promise;
}

void kv_backend_state::store_parameters(const attempt_ptr& x) {
  auto refuse = [this, x](const caf::error& err) {
    auto reason = explain_doubt(err, "storing the submission");
    // The backend was not asked, so what may have been stored must go.
    if (uncertain(reason))
      undo(x, reason);
    else if (code_of(reason) == ec::conflict)
      x->promise.deliver(make_error(
        ec::conflict, "somebody else submits a watchlist at the same time"));
    else
      x->promise.deliver(reason);
  };
  self_
    ->request(kv_store_, until(x->last_word), put_atom_v,
              kv_write{parameters_bucket, parameters_key, x->payload,
                       x->before.revision})
    .then([this, x](uint64_t) { ask_backend(x); }, refuse);
}

void kv_backend_state::ask_backend(const attempt_ptr& x) {
  if (self_->clock().now() >= x->last_word)
    return undo(
      x, make_error(ec::timeout, "the store left no time to ask the backend"));
  submit(x->payload, until(x->last_word),
         [this, x](caf::expected<std::string> outcome) {
           if (outcome)
             x->promise.deliver(std::move(*outcome));
           else if (uncertain(outcome.error()))
             x->promise.deliver(std::move(outcome.error()));
           else
             undo(x, outcome.error());
         });
}

void kv_backend_state::undo(const attempt_ptr& x, const caf::error& reason) {
  self_
    ->request(kv_store_, until(x->deadline), get_atom_v, parameters_bucket,
              parameters_key)
    .then(
      [this, x, reason](const kv_entry& found) { put_back(x, found, reason); },
      [this, x, reason](const caf::error& err) { fail_undo(x, reason, err); });
}

void kv_backend_state::put_back(const attempt_ptr& x, const kv_entry& found,
                                const caf::error& reason) {
  // The job's id makes our value unlike any other: what differs is newer, or
  // ours was never stored.
  if (found.value != x->payload) {
    x->promise.deliver(reason);
    return;
  }
  auto done = [x, reason](uint64_t) { x->promise.deliver(reason); };
  auto failed = [this, x, reason](const caf::error& err) {
    // Somebody else has stored theirs in the meantime.
    if (code_of(err) == ec::conflict)
      x->promise.deliver(reason);
    else
      fail_undo(x, reason, err);
  };
  if (x->before.revision != 0)
    self_
      ->request(kv_store_, until(x->deadline), put_atom_v,
                kv_write{parameters_bucket, parameters_key, x->before.value,
                         found.revision})
      .then(done, failed);
  else
    // A removal names no revision; that the key was ours a moment ago has to
    // do. Only a first submission ever comes here.
    self_
      ->request(kv_store_, until(x->deadline), delete_atom_v, parameters_bucket,
                parameters_key)
      .then(done, failed);
}

void kv_backend_state::fail_undo(const attempt_ptr& x, const caf::error& reason,
                                 const caf::error& problem) {
  log::warning(name,
               "cannot put back the parameters of before a submission "
               "that failed",
               {{"bucket", parameters_bucket},
                {"key", parameters_key},
                {"error", text_of(problem)}});
  x->promise.deliver(reason);
}

caf::timespan kv_backend_state::until(time_point when) const {
  return std::max<caf::timespan>(when - self_->clock().now(),
                                 std::chrono::milliseconds{1});
}

// -- questions ----------------------------------------------------------------

caf::result<backend_report> kv_backend_state::status() {
  return backend_report{};
}

caf::result<workload_list> kv_backend_state::watchlist() {
  auto promise = self_->make_response_promise<workload_list>();
  self_
    ->request(kv_store_, config_.request_timeout * 3, get_atom_v,
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
                             + parameters_key + " is no watchlist"));
      },
      [promise](const caf::error& err) mutable { promise.deliver(err); });
  return promise;
}

caf::result<void> kv_backend_state::check() {
  return ask_anything(subjects::gpu_service_running,
                      subjects::gpu_service_running_payload);
}

caf::result<stored_model> kv_backend_state::get() {
  return read_model({subjects::statistics_bucket, subjects::statistics_key});
}

caf::result<void> kv_backend_state::put(const model_status& x) {
  return write({subjects::statistics_bucket, subjects::statistics_key},
               encode_model(x));
}

caf::result<void> kv_backend_state::forget() {
  // `lastModelTrained`, beside the parameters, is the backend's.
  return remove({{subjects::parameters_bucket, subjects::parameters_key},
                 {subjects::statistics_bucket, subjects::statistics_key}});
}

backend_actor::behavior_type
kv_backend(backend_actor::stateful_pointer<kv_backend_state> self,
           bus_actor bus, kv_store_actor kv_store,
           const backend_config& config) {
  return self->state.make_behavior(std::move(bus), std::move(kv_store), config);
}

} // namespace aiops
