#pragma once

#include "actors/actors.hpp"
#include "base/error.hpp"
#include "tests/support/stepped_system.hpp"

#include <chrono>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace aiops::test {

using namespace std::chrono_literals;

/// The answer to a request that a test sent.
template <class T>
struct answer {
  std::optional<T> value;
  caf::error error;
  /// Virtual time of arrival.
  caf::actor_clock::time_point at;

  bool done() const {
    return value || error;
  }

  /// The code of the error; `ec::none` without one.
  ec code() const {
    return code_of(error);
  }
};

template <class T>
using answer_ptr = std::shared_ptr<const answer<T>>;

/// An actor system in which actors run only when the test calls `run`, and the
/// clock moves only when it calls `advance`. It has one thread.
class deterministic : public stepped_system {
public:
  deterministic() = default;

  /// Kills the actors of the test, so that none waits without end.
  ~deterministic();

  /// The virtual wall clock, which starts at an arbitrary day.
  std::chrono::system_clock::time_point wall_now() const;

  /// Runs the actors until all mailboxes are empty.
  void run();

  /// Moves the clock, and runs the actors at each timeout before its end.
  void advance(caf::timespan by);

  /// Spawns an actor that ends with the test.
  template <class F, class... Ts>
  auto spawn(F fun, Ts&&... xs) {
    auto handle = system().spawn(fun, std::forward<Ts>(xs)...);
    end_with_test(caf::actor_cast<caf::actor>(handle));
    return handle;
  }

  void end_with_test(caf::actor handle) {
    actors_.push_back(std::move(handle));
  }

  /// Kills an actor and runs the others.
  template <class Handle>
  void kill(const Handle& handle) {
    caf::anon_send_exit(handle, caf::exit_reason::kill);
    run();
  }

  /// Sends a request and runs the actors. The answer may arrive later.
  template <class Handle, class... Ts>
  auto ask(const Handle& to, Ts... xs) {
    using outputs =
      typename caf::response_type<typename Handle::signatures, Ts...>::type;
    using value = caf::detail::tl_head_t<outputs>;
    if constexpr (std::is_void_v<value>) {
      auto result = std::make_shared<answer<caf::unit_t>>();
      send(
        result, [this, result] { keep(*result, caf::unit); }, to, xs...);
      return answer_ptr<caf::unit_t>{result};
    } else {
      auto result = std::make_shared<answer<value>>();
      send(
        result, [this, result](value& x) { keep(*result, std::move(x)); }, to,
        xs...);
      return answer_ptr<value>{result};
    }
  }

private:
  template <class T>
  void keep(answer<T>& result, T value) {
    result.value.emplace(std::move(value));
    result.at = now();
  }

  template <class T, class OnValue, class Handle, class... Ts>
  void send(std::shared_ptr<answer<T>> result, OnValue on_value,
            const Handle& to, Ts... xs) {
    auto on_error = [this, result](caf::error& err) {
      result->error = std::move(err);
      result->at = now();
    };
    auto asker = [=](caf::event_based_actor* self, int) {
      self->request(to, 3600s, xs...).then(on_value, on_error);
    };
    spawn(asker, 0);
    run();
  }

  bool run_once();

  std::vector<caf::actor> actors_;
};

} // namespace aiops::test
