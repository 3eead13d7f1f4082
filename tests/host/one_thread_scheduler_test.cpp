#include "host/one_thread_scheduler.hpp"
#include "tests/support/live_system.hpp"

#include <doctest/doctest.h>

#include <sys/socket.h>
#include <unistd.h>

#include <future>
#include <thread>

using namespace aiops;
using namespace aiops::test;
using namespace std::chrono_literals;

namespace {

struct one_thread : live_system {
  one_thread() : live_system(host::one_thread_scheduler::use) {
    // nop
  }
};

using thread_ids = std::shared_ptr<mailbox_of<std::thread::id>>;

/// Hands on what is left of a number, and notes where it runs.
caf::behavior counter(caf::event_based_actor* self, thread_ids seen) {
  return {
    [=](int left) -> caf::result<int> {
      seen->push(std::this_thread::get_id());
      if (left == 0)
        return 0;
      auto promise = self->make_response_promise<int>();
      self->request(self->spawn(counter, seen), 30s, left - 1)
        .then([=](int x) mutable { promise.deliver(x); });
      return promise;
    },
  };
}

/// Never answers.
caf::behavior mute(caf::event_based_actor* self, caf::unit_t) {
  return {
    [=](int) { return self->make_response_promise<int>(); },
  };
}

/// Sends a request to `mute`.
caf::behavior impatient(caf::event_based_actor* self, caf::unit_t) {
  return {
    [=](caf::timespan patience) -> caf::result<std::string> {
      auto promise = self->make_response_promise<std::string>();
      self->request(self->spawn(mute, caf::unit), patience, 1)
        .then([=](int) mutable { promise.deliver(std::string{"answer"}); },
              [=](const caf::error& err) mutable {
                promise.deliver(std::string{
                  err == caf::sec::request_timeout ? "timeout" : "error"});
              });
      return promise;
    },
  };
}

/// Notes in which order delayed messages come.
caf::behavior sleeper(caf::event_based_actor* self,
                      std::shared_ptr<mailbox_of<int>> seen) {
  for (int i : {3, 1, 2})
    self->delayed_send(self, i * 10ms, i);
  return {
    [=](int i) { seen->push(i); },
    [=](caf::get_atom) { return static_cast<int>(seen->all().size()); },
  };
}

/// One end of a pair of sockets, which collects what comes.
class collector : public watched_socket {
public:
  explicit collector(int fd) : fd_(fd) {
    // nop
  }

  int descriptor() const override {
    return fd_;
  }

  bool flush() override {
    return false;
  }

  void read() override {
    char c;
    if (::recv(fd_, &c, 1, MSG_DONTWAIT) == 1)
      got_.set_value({c, std::this_thread::get_id()});
    fd_ = -1;
  }

  auto got() {
    return got_.get_future();
  }

private:
  int fd_;
  std::promise<std::pair<char, std::thread::id>> got_;
};

} // namespace

TEST_CASE("all actors run on one thread") {
  one_thread s;
  auto seen = std::make_shared<mailbox_of<std::thread::id>>();
  auto first = s.spawn(counter, seen);
  REQUIRE(s.ask<int>(first, 100));
  auto ids = seen->all();
  CHECK(ids.size() == 101);
  for (auto id : ids)
    CHECK(id == ids.front());
  CHECK(ids.front() != std::this_thread::get_id());
}

TEST_CASE("many threads may ask at the same time") {
  one_thread s;
  auto seen = std::make_shared<mailbox_of<std::thread::id>>();
  auto first = s.spawn(counter, seen);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      for (int j = 0; j < 200; ++j)
        CHECK(s.ask<int>(first, 1));
    });
  for (auto& thread : threads)
    thread.join();
  CHECK(seen->all().size() == 1600);
}

TEST_CASE("a deadline passes, and delayed messages come in order") {
  one_thread s;
  CHECK(s.ask<std::string>(s.spawn(impatient, caf::unit), caf::timespan{5ms})
          .cvalue()
        == "timeout");
  auto seen = std::make_shared<mailbox_of<int>>();
  auto order = s.spawn(sleeper, seen);
  while (*s.ask<int>(order, caf::get_atom::value) < 3)
    std::this_thread::yield();
  CHECK(seen->all() == std::vector<int>{1, 2, 3});
}

TEST_CASE("a socket is read on the thread of the actors") {
  int fds[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
  std::shared_ptr<socket_watcher> watcher;
  {
    one_thread s;
    auto seen = std::make_shared<mailbox_of<std::thread::id>>();
    REQUIRE(s.ask<int>(s.spawn(counter, seen), 0));
    watcher = s.watcher();
    CHECK_FALSE(watcher->here());
    auto socket = std::make_shared<collector>(fds[0]);
    auto got = socket->got();
    watcher->watch(socket);
    REQUIRE(::send(fds[1], "x", 1, MSG_NOSIGNAL) == 1);
    CHECK(got.get() == std::pair{'x', seen->all().front()});
  }
  // It may outlive the actors.
  watcher->look_again();
  watcher->watch(std::make_shared<collector>(fds[1]));
  ::close(fds[0]);
  ::close(fds[1]);
}
