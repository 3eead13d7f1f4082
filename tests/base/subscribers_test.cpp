#include "base/relay.hpp"
#include "base/subscribers.hpp"

#include <doctest/doctest.h>

using namespace aiops;

namespace {

struct fixture {
  caf::actor_system_config config;
  caf::actor_system system{config};
  caf::scoped_actor self{system};
  subscribers<caf::actor> followers;

  /// An actor that passes the numbers it gets on to `self`.
  caf::actor spawn_follower() {
    auto run = [](caf::event_based_actor*, caf::actor to) -> caf::behavior {
      return {[to](int x) { caf::anon_send(to, x); }};
    };
    return system.spawn(run, caf::actor_cast<caf::actor>(self));
  }

  int received() {
    auto result = 0;
    self->receive([&](int x) { result = x; },
                  caf::after(std::chrono::seconds{10}) >>
                    [] { FAIL("no message came"); });
    return result;
  }
};

} // namespace

TEST_CASE_FIXTURE(fixture, "every subscriber gets a message, once") {
  auto x = spawn_follower();
  auto y = spawn_follower();
  followers.add(self.ptr(), x);
  followers.add(self.ptr(), y);
  followers.add(self.ptr(), x);
  CHECK(followers.size() == 2);
  followers.send(7);
  CHECK(received() == 7);
  CHECK(received() == 7);
  CHECK(!self->has_next_message());
}

TEST_CASE_FIXTURE(fixture, "a subscriber that ends is removed") {
  auto x = spawn_follower();
  followers.add(self.ptr(), x);
  CHECK(followers.contains(x));
  caf::anon_send_exit(x, caf::exit_reason::user_shutdown);
  self->receive([&](const caf::down_msg& msg) { followers.remove(msg.source); },
                caf::after(std::chrono::seconds{10}) >>
                  [] { FAIL("the end was not reported"); });
  CHECK(followers.empty());
  CHECK(!followers.contains(x));
}

TEST_CASE_FIXTURE(fixture, "an owner forgets subscribers that end") {
  struct owner_state {
    subscribers<caf::actor> followers;
  };
  auto x = spawn_follower();
  auto owner = system.spawn(
    [](caf::stateful_actor<owner_state>* ptr,
       caf::actor follower) -> caf::behavior {
      auto& known = ptr->state.followers;
      known.forget_ended(ptr);
      known.add(ptr, follower);
      return {
        [&known](caf::get_atom) { return static_cast<int>(known.size()); }};
    },
    x);
  auto count = [&] {
    auto result = -1;
    self->request(owner, std::chrono::seconds{10}, caf::get_atom::value)
      .receive([&](int n) { result = n; },
               [](const caf::error&) { FAIL("no answer"); });
    return result;
  };
  CHECK(count() == 1);
  self->monitor(x);
  caf::anon_send_exit(x, caf::exit_reason::user_shutdown);
  self->receive([](const caf::down_msg&) { /* nop */ });
  // The owner gets the same message at about this time.
  auto end = std::chrono::steady_clock::now() + std::chrono::seconds{10};
  while (count() != 0 && std::chrono::steady_clock::now() < end)
    std::this_thread::yield();
  CHECK(count() == 0);
  caf::anon_send_exit(owner, caf::exit_reason::user_shutdown);
}

TEST_CASE_FIXTURE(fixture, "an error is passed on to the caller") {
  // CAF calls a function without further arguments by a null reference.
  auto inner = system.spawn(
    [](caf::event_based_actor*, caf::unit_t) -> caf::behavior {
      return {[](int) -> caf::result<int> { return caf::sec::runtime_error; }};
    },
    caf::unit);
  auto ask = [](caf::event_based_actor* ptr,
                caf::actor callee) -> caf::behavior {
    return {[=](int x) {
      auto promise = ptr->make_response_promise<int>();
      ptr->request(callee, std::chrono::seconds{10}, x)
        .then([promise](int y) mutable { promise.deliver(y); }, relay(promise));
      return promise;
    }};
  };
  auto outer = system.spawn(ask, inner);
  caf::error got;
  self->request(outer, std::chrono::seconds{10}, 1)
    .receive([](int) { FAIL("there was no error"); },
             [&](const caf::error& err) { got = err; });
  CHECK(got == caf::sec::runtime_error);
  for (auto& x : {inner, outer})
    caf::anon_send_exit(x, caf::exit_reason::user_shutdown);
}
