#pragma once

#include "actors/actors.hpp"
#include "base/deadlines.hpp"
#include "base/error.hpp"
#include "base/relay.hpp"

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace aiops::nats {

struct backend_config {
  /// How long the backend may take to answer a question, and the store to read
  /// or write a value. A submission brings its own deadline.
  caf::timespan request_timeout = std::chrono::seconds{5};
};

/// INTERNAL: also a message of BACKEND to itself.
using internal_backend_actor = backend_actor::extend<
  // Asks a backend again that could not be reached.
  caf::replies_to<tick_atom>::with<void>>;

/// The common part of both protocols: sends requests to the backend, interprets
/// its answers, and reads and writes values of the store. A subclass defines
/// the requests and the keys.
class backend_state {
public:
  explicit backend_state(internal_backend_actor::pointer self);

  virtual ~backend_state() = default;

  internal_backend_actor::behavior_type
  make_behavior(bus_actor bus, kv_store_actor kv_store,
                const backend_config& config);

protected:
  using time_point = caf::actor_clock::time_point;

  /// Where a value is stored.
  struct place {
    std::string_view bucket;
    std::string_view key;
  };

  // -- what differs -----------------------------------------------------------

  virtual caf::result<std::string>
  train(const backend_submission& what, caf::timespan timeout) = 0;

  virtual caf::result<backend_report> status() = 0;

  virtual caf::result<workload_list> watchlist() = 0;

  virtual caf::result<void> check() = 0;

  virtual caf::result<stored_model> get() = 0;

  virtual caf::result<void> put(const model_status& x) = 0;

  virtual caf::result<void> forget() = 0;

  virtual caf::result<void>
  put_watchlist(const backend_submission& what, uint64_t expected) = 0;

  // -- the backend ------------------------------------------------------------

  /// Gets the outcome of a submission: the backend's answer or an error. With
  /// `timeout` and `bad_reply` the backend may have received the submission.
  using submission_handler
    = std::function<void(caf::expected<std::string> outcome)>;

  /// Sends a watchlist in the format of the backend.
  void submit(std::string payload, caf::timespan timeout,
              submission_handler handler);

  /// Sends a request and returns the result of `decode` for the reply: an
  /// optional, empty when the reply is unreadable.
  template <class T, class Decode>
  caf::result<T> ask(std::string_view subject, std::string_view payload,
                     Decode decode);

  /// Sends a request whose reply only shows that the backend is running.
  caf::result<void> ask_anything(std::string_view subject,
                                 std::string_view payload);

  // -- the store --------------------------------------------------------------

  using model_handler = std::function<void(const stored_model&)>;
  using error_handler = std::function<void(const caf::error&)>;

  /// Reads a model or, without a status, statistics. An unreadable value counts
  /// as zeros: the next write replaces it, and an error would block all
  /// clients.
  void read_model(const place& from, model_handler on_model,
                  error_handler on_error);

  caf::result<void> write(kv_write what);

  /// Removes a value.
  caf::result<void> remove(const place& from);

  /// Calls a function after a delay.
  void later(caf::timespan delay, std::function<void()> what);

  // -- member variables -------------------------------------------------------

  internal_backend_actor::pointer self_;
  bus_actor bus_;
  kv_store_actor kv_store_;
  backend_config config_;

private:
  void do_what_is_due();

  /// By time.
  std::multimap<time_point, std::function<void()>> postponed_;
  correction_log corrections_;
};

/// The text of a reply; nothing when it cannot be displayed.
std::optional<std::string> decode_text(std::string_view text);

/// Whether the backend refused the watchlist: the answer begins like `error`,
/// `failed`, `not …`. Known backends answer `training job submitted` and `model
/// reset`; any other answer counts as acceptance, too.
bool is_refusal(std::string_view text);

/// Converts an error of the bus to one that describes the backend.
caf::error explain_backend_error(const caf::error& err,
                                 std::string_view subject);

/// For an operation that must not be repeated: converts an error after which
/// the operation may have happened to `timeout`.
caf::error explain_doubt(const caf::error& err, std::string_view what);

// -- implementation -----------------------------------------------------------

caf::error unreadable_reply(std::string_view subject);

template <class T, class Decode>
caf::result<T> backend_state::ask(std::string_view subject,
                                  std::string_view payload, Decode decode) {
  auto promise = self_->make_response_promise<T>();
  bus_request request{
    std::string{subject}, std::string{payload}, {}, config_.request_timeout};
  // The bus has its own deadline; this one only applies if the bus has ended.
  self_
    ->request(bus_, outlast(config_.request_timeout), request_atom_v,
              std::move(request))
    .then(
      [promise, subject, decode](const bus_reply& reply) mutable {
        if (auto result = decode(reply.payload))
          promise.deliver(T{std::move(*result)});
        else
          promise.deliver(unreadable_reply(subject));
      },
      [promise, subject](const caf::error& err) mutable {
        promise.deliver(explain_backend_error(err, subject));
      });
  return promise;
}

} // namespace aiops::nats
