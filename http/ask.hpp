#pragma once

#include "base/error.hpp"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <type_traits>
#include <utility>

namespace aiops::http {

namespace detail {

template <class List>
struct single;

template <class R>
struct single<caf::detail::type_list<R>> {
  using type = R;
};

/// The type of an actor's answer to a message of these types. Does not compile
/// if the interface of the actor lacks the message.
template <class Handle, class... Ts>
using answer_t = typename single<
  caf::response_type_t<typename Handle::signatures, std::decay_t<Ts>...>>::type;

} // namespace detail

/// Sends requests to actors from a thread outside of the actor system, and
/// waits for the answers. Belongs to one thread; only `cancel` may be called by
/// others. It must be destroyed before the actor system.
///
/// A scoped actor per request would cost about as much as the request itself.
class asker {
public:
  explicit asker(caf::actor_system& sys);

  ~asker();

  asker(const asker&) = delete;

  asker& operator=(const asker&) = delete;

  /// Asks an actor. Besides the errors of the actor itself there are
  /// `overloaded` if the actor has not started yet or after `cancel`, an error
  /// that `code_of` maps to `overloaded` if the actor has ended, and `timeout`
  /// if there is no answer within the deadline. A late answer is dropped.
  template <class Handle, class... Ts>
  caf::expected<detail::answer_t<Handle, Ts...>>
  ask(const Handle& dest, std::chrono::milliseconds deadline, Ts&&... xs) {
    if (!dest)
      return starting();
    auto ptr = caf::actor_cast<caf::abstract_actor*>(dest);
    ptr->eq_impl(open(), self_, nullptr, std::forward<Ts>(xs)...);
    return extract<detail::answer_t<Handle, Ts...>>(wait(deadline));
  }

  /// Ends a wait in progress and all later ones.
  void cancel();

private:
  using reply = caf::expected<caf::mailbox_element_ptr>;

  template <class R>
  static caf::expected<R> extract(reply got) {
    if (!got)
      return std::move(got.error());
    auto& content = (*got)->content();
    if (content.template match_elements<caf::error>())
      return content.template get_as<caf::error>(0);
    if constexpr (std::is_void_v<R>) {
      if (content.empty() || content.template match_elements<caf::unit_t>())
        return caf::unit;
    } else if (content.template match_elements<R>()) {
      return std::move(content.template get_mutable_as<R>(0));
    }
    return make_error(ec::internal,
                      "an actor gave an answer of the wrong type");
  }

  static caf::error starting();

  /// Starts a request: from now on its answer is accepted.
  caf::message_id open();

  reply wait(std::chrono::milliseconds deadline);

  void accept(caf::mailbox_element_ptr element);

  caf::actor companion_;
  caf::strong_actor_ptr self_;

  std::mutex mutex_;
  std::condition_variable arrived_;
  /// Number of the current request. Answers to other ones are late.
  uint64_t current_ = 0;
  bool waiting_ = false;
  bool cancelled_ = false;
  caf::mailbox_element_ptr answer_;
};

} // namespace aiops::http
