#include "nats/training/backend_state.hpp"

#include "base/log.hpp"
#include "nats/bus.hpp"
#include "nats/json.hpp"
#include "nats/subjects.hpp"
#include "nats/training/progress_json.hpp"

#include <algorithm>
#include <cctype>
#include <iterator>

namespace aiops::nats {

// -- errors -------------------------------------------------------------------

std::optional<std::string> decode_text(std::string_view text) {
  if (!readable(text))
    return std::nullopt;
  return std::string{text};
}

caf::error explain_backend_error(const caf::error& err,
                                 std::string_view subject) {
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

caf::error explain_doubt(const caf::error& err, std::string_view what) {
  // An actor that ended may have done it before.
  auto lost = err == caf::sec::request_receiver_down
              || code_of(err) == ec::lost_in_flight;
  if (!lost)
    return err;
  return make_error(ec::timeout, std::string{what}
                                   + " is uncertain: the connection to NATS "
                                     "was lost before the answer");
}

bool is_refusal(std::string_view text) {
  std::string lower{text.substr(0, 16)};
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  constexpr std::string_view refusal_prefixes[] = {
    "error", "fail",   "refus", "reject", "deny",   "denied", "not ",
    "no ",   "cannot", "can't", "could",  "unable", "invalid"};
  return std::any_of(std::begin(refusal_prefixes), std::end(refusal_prefixes),
                     [&](auto prefix) { return lower.starts_with(prefix); });
}

caf::error unreadable_reply(std::string_view subject) {
  return make_error(ec::bad_reply,
                    "the training backend answered something unreadable on '"
                      + std::string{subject} + '\'');
}

// -- initialization -----------------------------------------------------------

backend_state::backend_state(internal_backend_actor::pointer self)
  : self_(self) {
  // nop
}

internal_backend_actor::behavior_type
backend_state::make_behavior(bus_actor bus, kv_store_actor kv_store,
                             const backend_config& config) {
  bus_ = std::move(bus);
  kv_store_ = std::move(kv_store);
  config_ = config;
  return {
    [this](train_atom, const backend_submission& what, caf::timespan timeout) {
      return train(what, timeout);
    },
    [this](status_atom) { return status(); },
    [this](watchlist_atom) { return watchlist(); },
    [this](check_atom) { return check(); },
    [this](get_atom) { return get(); },
    [this](put_atom, const model_status& x) { return put(x); },
    [this](delete_atom) { return forget(); },
    [this](put_atom, const backend_submission& what, uint64_t expected) {
      return put_watchlist(what, expected);
    },
    [this](tick_atom) { do_what_is_due(); },
  };
}

// -- the backend --------------------------------------------------------------

void backend_state::submit(std::string payload, caf::timespan timeout,
                           submission_handler handler) {
  auto subject = subjects::train_model;
  bus_request request{std::string{subject}, std::move(payload), {}, timeout};
  // The caller does not wait longer, not even for a bus that has ended.
  self_->request(bus_, timeout, request_atom_v, std::move(request))
    .then(
      [handler, subject](const bus_reply& reply) {
        auto text = decode_text(reply.payload);
        if (!text)
          handler(unreadable_reply(subject));
        else if (is_refusal(*text))
          handler(
            make_error(ec::refused, "the training backend refused: " + *text));
        else
          handler(std::move(*text));
      },
      [handler, subject](const caf::error& err) {
        handler(
          explain_backend_error(explain_doubt(err, "the submission"), subject));
      });
}

caf::result<void> backend_state::ask_anything(std::string_view subject,
                                              std::string_view payload) {
  auto promise = self_->make_response_promise();
  bus_request request{std::string{subject},
                      std::string{payload},
                      {},
                      config_.request_timeout,
                      true};
  self_
    ->request(bus_, outlast(config_.request_timeout), request_atom_v,
              std::move(request))
    .then(
      [promise, subject](const bus_reply& reply) mutable {
        if (readable(reply.payload))
          promise.deliver(caf::unit);
        else
          promise.deliver(unreadable_reply(subject));
      },
      [promise, subject](const caf::error& err) mutable {
        promise.deliver(explain_backend_error(err, subject));
      });
  return promise;
}

void backend_state::later(caf::timespan delay, std::function<void()> what) {
  postponed_.emplace(self_->clock().now() + delay, std::move(what));
  self_->delayed_send(self_, delay, tick_atom_v);
}

void backend_state::do_what_is_due() {
  auto end = postponed_.upper_bound(self_->clock().now());
  std::multimap<time_point, std::function<void()>> due;
  while (postponed_.begin() != end)
    due.insert(postponed_.extract(postponed_.begin()));
  for (auto& [when, what] : due)
    what();
}

// -- the store ----------------------------------------------------------------

void backend_state::read_model(const place& from, model_handler on_model,
                               error_handler on_error) {
  // The store has its own deadline; this one only applies if it has ended.
  self_
    ->request(kv_store_, outlast(outlast(config_.request_timeout)), get_atom_v,
              std::string{from.bucket}, std::string{from.key})
    .then(
      [this, on_model, from](const kv_entry& entry) {
        stored_model result{{}, entry.revision, entry.created};
        if (entry.revision != 0) {
          if (auto x = decode_progress(entry.value)) {
            result.value.status = x->status.value_or("");
            if (x->statistics) {
              corrections_.report("backend", *x->statistics);
              result.value.statistics = x->statistics->over({});
            }
          } else {
            log::warning("backend", "ignores an unreadable model status",
                         {{"bucket", from.bucket}, {"key", from.key}});
          }
        }
        on_model(result);
      },
      on_error);
}

caf::result<void> backend_state::write(kv_write what) {
  auto promise = self_->make_response_promise();
  self_
    ->request(kv_store_, outlast(outlast(config_.request_timeout)), put_atom_v,
              std::move(what))
    .then([promise](uint64_t) mutable { promise.deliver(caf::unit); },
          relay(promise));
  return promise;
}

caf::result<void> backend_state::remove(const place& from) {
  auto promise = self_->make_response_promise();
  self_
    ->request(kv_store_, outlast(outlast(config_.request_timeout)),
              delete_atom_v, std::string{from.bucket}, std::string{from.key})
    .then([promise](uint64_t) mutable { promise.deliver(caf::unit); },
          relay(promise));
  return promise;
}

} // namespace aiops::nats
