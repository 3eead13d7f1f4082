#include "nats/buckets.hpp"
#include "tests/nats/live_stack.hpp"

#include <doctest/doctest.h>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <future>
#include <memory>
#include <thread>

using namespace aiops;
using namespace aiops::nats;
using namespace aiops::test;
using namespace std::chrono_literals;

namespace {

std::string text_file(const nats_server& server, const std::string& name,
                      std::string_view text) {
  auto path = server.directory() / name;
  std::ofstream{path} << text;
  return path.string();
}

/// A server that greets, answers the first PING, and then closes the connection
/// after `pause`. Of a hundred attempts some end before the library's thread
/// has reported the connection.
class closing_server {
public:
  explicit closing_server(int closings) : left_(closings) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    auto size = static_cast<socklen_t>(sizeof(addr_));
    addr_.sin_family = AF_INET;
    addr_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ::bind(listener_, generic(), size);
    ::getsockname(listener_, generic(), &size);
    ::listen(listener_, 16);
    thread_ = std::thread{[this] { serve(); }};
  }

  ~closing_server() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }

  nats_config where() const {
    nats_config result;
    result.urls = {"nats://127.0.0.1:" + std::to_string(ntohs(addr_.sin_port))};
    return result;
  }

  /// Whether it has closed enough connections and keeps the next one.
  bool keeps() const {
    return keeps_;
  }

private:
  sockaddr* generic() {
    return reinterpret_cast<sockaddr*>(&addr_);
  }

  void serve() {
    int fd;
    while ((fd = ::accept(listener_, nullptr, nullptr)) >= 0) {
      talk(fd, left_ > 0);
      ::close(fd);
    }
  }

  /// A test opens one connection at a time.
  void talk(int fd, bool once) {
    std::string_view greeting
      = "INFO {\"server_id\":\"x\",\"version\":\"2.9.10\",\"proto\":1,"
        "\"headers\":true,\"max_payload\":1048576}\r\n";
    ::send(fd, greeting.data(), greeting.size(), MSG_NOSIGNAL);
    std::string heard;
    char buffer[4096];
    ssize_t count;
    while ((count = ::recv(fd, buffer, sizeof(buffer), 0)) > 0) {
      heard.append(buffer, static_cast<size_t>(count));
      if (heard.find("PING\r\n") == std::string::npos)
        continue;
      heard.clear();
      ::send(fd, "PONG\r\n", 6, MSG_NOSIGNAL);
      if (!once) {
        keeps_ = true;
        continue;
      }
      auto until = std::chrono::steady_clock::now()
                   + std::chrono::microseconds{left_ % 40 * 10};
      while (std::chrono::steady_clock::now() < until)
        std::this_thread::yield();
      --left_;
      return;
    }
  }

  /// Number of connections to close.
  std::atomic<int> left_;
  std::atomic<bool> keeps_{false};
  int listener_ = -1;
  sockaddr_in addr_{};
  std::thread thread_;
};

} // namespace

TEST_CASE("requests are answered, fail without a responder, or time out") {
  nats_server server;
  live_stack s{to(server)};
  REQUIRE(s.connects());
  CHECK(s.request("no.responder") == ec::no_responders);
  responder answering{server, "echo", "reply"};
  auto reply = s.ask<bus_reply>(s.bus_handle, request_atom_v,
                                bus_request{"echo", "x", {}, 5s});
  REQUIRE(reply);
  CHECK(reply->payload == "reply");
  // A subscriber that never answers.
  auto seen = std::make_shared<mailbox_of<std::string>>();
  s.ask<caf::unit_t>(s.bus_handle, subscribe_atom_v, std::string{"mute"},
                     s.spawn(sink, seen));
  CHECK(s.request("mute", 100ms) == ec::timeout);
  CHECK(eventually([&] {
    return seen->all() == std::vector<std::string>{"(connected)", "x"};
  }));
}

TEST_CASE("a payload that the server would refuse is not sent") {
  nats_server server{"max_payload: 1024"};
  live_stack s{to(server)};
  REQUIRE(s.connects());
  auto big = bus_request{"echo", std::string(2048, 'x'), {}, 1s};
  auto reply = s.ask<bus_reply>(s.bus_handle, request_atom_v, big);
  CHECK(code_of(reply.error()) == ec::too_large);
  CHECK(s.status().max_payload == 1024);
}

TEST_CASE(
  "the bus detects a dead server and subscribes again after its restart") {
  nats_server server;
  live_stack s{to(server)};
  REQUIRE(s.connects());
  auto seen = std::make_shared<mailbox_of<std::string>>();
  s.ask<caf::unit_t>(s.bus_handle, subscribe_atom_v, std::string{"news"},
                     s.spawn(sink, seen));
  server.kill();
  REQUIRE(eventually([&] { return !s.status().connected; }));
  CHECK(s.request("news") == ec::disconnected);
  CHECK(s.put("lost").error() == make_error(ec::disconnected, ""));
  server.start();
  REQUIRE(s.connects());
  CHECK(s.status().connects == 2);
  s.request("news", 50ms);
  CHECK(eventually([&] {
    return seen->all()
           == std::vector<std::string>{"(connected)", "(connected)", "x"};
  }));
}

TEST_CASE("a connection that its server closes at once is never kept") {
  closing_server server{300};
  live_system s;
  auto cfg = quick(server.where());
  cfg.first_backoff = cfg.last_backoff = 1ms;
  auto handle = s.spawn_detached(bus, cfg);
  auto connected = [&] {
    return s.ask<bus_status>(handle, status_atom_v).cvalue().connected;
  };
  CHECK(eventually([&] { return server.keeps() && connected(); }, 60s));
  CHECK(s.ask<caf::unit_t>(handle, put_atom_v, bus_message{"subject", "x"}));
}

TEST_CASE("a connection that its server closes at once is never kept, with "
          "the library's threads off") {
  closing_server server{300};
  auto cfg = quick(server.where());
  cfg.first_backoff = cfg.last_backoff = 1ms;
  live_stack s{cfg};
  CHECK(
    eventually([&] { return server.keeps() && s.status().connected; }, 60s));
  CHECK(
    s.ask<caf::unit_t>(s.bus_handle, put_atom_v, bus_message{"subject", "x"}));
}

TEST_CASE("each request gets its own reply after late replies to others") {
  nats_server server;
  live_stack s{to(server)};
  REQUIRE(s.connects());
  // Answers twice; the second answer is too late.
  responder twice{server, "twice", "first"};
  responder again{server, "twice", "second"};
  responder echo{server, "echo", "reply"};
  // A subscriber that never answers.
  auto seen = std::make_shared<mailbox_of<std::string>>();
  s.ask<caf::unit_t>(s.bus_handle, subscribe_atom_v, std::string{"mute"},
                     s.spawn(sink, seen));
  for (int i = 0; i < 20; ++i) {
    CHECK(s.request("twice") == ec::none);
    CHECK(s.request("no.responder") == ec::no_responders);
    CHECK(s.request("mute", 5ms) == ec::timeout);
    auto reply = s.ask<bus_reply>(s.bus_handle, request_atom_v,
                                  bus_request{"echo", "x", {}, 5s});
    REQUIRE(reply);
    CHECK(reply->payload == "reply");
  }
}

TEST_CASE("replies to a request that has its reply are limited") {
  nats_server server;
  live_stack s{to(server)};
  REQUIRE(s.connects());
  auto noticed = std::make_shared<mailbox_of<std::string>>();
  s.ask<caf::unit_t>(s.bus_handle, subscribe_atom_v, std::string{"news"},
                     s.spawn(sink, noticed));
  // The subject for replies, which the first request shows.
  auto inbox = std::make_shared<mailbox_of<std::string>>();
  auto note_inbox = [=](bus_sink_actor::pointer,
                        int) -> bus_sink_actor::behavior_type {
    return {
      [=](const bus_message& msg) { inbox->push(msg.reply); },
      [](connect_atom) { /* nop */ },
    };
  };
  s.ask<caf::unit_t>(s.bus_handle, subscribe_atom_v, std::string{"echo"},
                     s.spawn(note_inbox, 0));
  responder echo{server, "echo", "reply"};
  REQUIRE(s.request("echo") == ec::none);
  REQUIRE(eventually([&] { return !inbox->all().empty(); }));
  natsConnection* publisher = nullptr;
  REQUIRE(natsConnection_ConnectTo(&publisher, server.url().c_str())
          == NATS_OK);
  auto subject = inbox->all().front();
  for (auto i = 0; i < 10'000; ++i)
    natsConnection_PublishString(publisher, subject.c_str(), "late");
  CHECK(natsConnection_Flush(publisher) == NATS_OK);
  natsConnection_Destroy(publisher);
  // The library dropped most of them, which is reported to every sink.
  CHECK(eventually([&] { return noticed->all().size() == 2; }));
  for (auto i = 0; i < 20; ++i)
    CHECK(s.request("echo") == ec::none);
}

TEST_CASE("large values are stored and read completely") {
  nats_server server{"jetstream: enabled\nmax_payload: 8MB"};
  live_stack s{to(server)};
  REQUIRE(s.connects());
  for (auto size : {1, 32'767, 32'768, 1'000'000, 5'000'000}) {
    auto value = std::string(static_cast<size_t>(size), 'x');
    REQUIRE(s.put(value));
    CHECK(s.get()->value == value);
  }
}

TEST_CASE("a flood of messages is limited, and its sink is notified") {
  nats_server server;
  live_stack s{to(server)};
  REQUIRE(s.connects());
  std::promise<void> gate;
  auto open = gate.get_future().share();
  auto handled = std::make_shared<std::atomic<int>>(0);
  auto caught_up = std::make_shared<std::atomic<int>>(0);
  auto busy = [=](bus_sink_actor::pointer,
                  int) -> bus_sink_actor::behavior_type {
    return {
      [=](const bus_message&) {
        open.wait();
        ++*handled;
      },
      [=](connect_atom) { ++*caught_up; },
    };
  };
  s.ask<caf::unit_t>(s.bus_handle, subscribe_atom_v, std::string{"flood"},
                     s.spawn_detached(busy, 0));
  REQUIRE(s.flushed());
  natsConnection* publisher = nullptr;
  REQUIRE(natsConnection_ConnectTo(&publisher, server.url().c_str())
          == NATS_OK);
  for (auto i = 0; i < 20'000; ++i)
    natsConnection_PublishString(publisher, "flood", "x");
  CHECK(natsConnection_Flush(publisher) == NATS_OK);
  natsConnection_Destroy(publisher);
  // Other requests do not wait.
  CHECK(s.request("no.responder") == ec::no_responders);
  gate.set_value();
  CHECK(eventually([&] { return *caught_up == 2; }));
  CHECK(*handled >= 1024);
  CHECK(*handled < 20'000);
}

TEST_CASE("requests in flight fail with the connection") {
  nats_server server;
  live_stack s{to(server)};
  REQUIRE(s.connects());
  auto seen = std::make_shared<mailbox_of<std::string>>();
  s.ask<caf::unit_t>(s.bus_handle, subscribe_atom_v, std::string{"mute"},
                     s.spawn(sink, seen));
  auto killer = std::thread{[&] {
    eventually([&] { return seen->all().size() == 2; });
    server.kill();
  }};
  CHECK(s.request("mute", 20s) == ec::lost_in_flight);
  killer.join();
}

TEST_CASE("a suspended server causes a timeout") {
  nats_server server;
  live_stack s{to(server)};
  REQUIRE(s.connects());
  REQUIRE(s.put("before"));
  server.pause();
  CHECK(s.request("echo", 200ms) == ec::timeout);
  server.resume();
  CHECK(s.request("echo") == ec::no_responders);
  CHECK(s.get()->value == "before");
}

TEST_CASE("the bus connects to a server that starts late") {
  nats_server server;
  server.kill();
  live_stack s{to(server)};
  CHECK(s.request("echo") == ec::disconnected);
  server.start();
  CHECK(s.connects());
}

TEST_CASE("values are stored, guarded by revision, and survive a crash") {
  nats_server server;
  live_stack s{to(server)};
  REQUIRE(s.connects());
  CHECK(s.get()->revision == 0);
  auto first = s.put("one");
  REQUIRE(first);
  CHECK(s.get()->value == "one");
  CHECK(s.get()->revision == *first);
  auto age = std::chrono::system_clock::now() - s.get()->created;
  CHECK(age < 60s);
  CHECK(age > -60s);
  CHECK(code_of(s.put("two", *first + 7).error()) == ec::conflict);
  CHECK(code_of(s.put("two", 0).error()) == ec::conflict);
  auto second = s.put("two", *first);
  REQUIRE(second);
  CHECK(*second > *first);
  server.kill();
  server.start();
  REQUIRE(eventually([&] { return s.get() && s.get()->value == "two"; }));
}

TEST_CASE("a bucket that an operator created is used and not changed") {
  nats_server server;
  live_stack s{to(server)};
  REQUIRE(s.connects());
  auto made = s.ask<bus_reply>(
    s.bus_handle, request_atom_v,
    bus_request{"$JS.API.STREAM.CREATE.KV_bucket",
                R"({"name":"KV_bucket","subjects":["$KV.bucket.>"],)"
                R"("max_msgs_per_subject":5,"description":"mine",)"
                R"("storage":"memory","retention":"limits","num_replicas":1})",
                {},
                5s});
  REQUIRE(made);
  CHECK(s.put("one"));
  auto info = s.ask<bus_reply>(
    s.bus_handle, request_atom_v,
    bus_request{"$JS.API.STREAM.INFO.KV_bucket", "", {}, 5s});
  REQUIRE(info);
  CHECK(info->payload.find("\"description\":\"mine\"") != std::string::npos);
  CHECK(info->payload.find("\"max_msgs_per_subject\":5") != std::string::npos);
}

TEST_CASE(
  "three replicas that start together create the buckets of a new server") {
  for (auto round = 0; round < 5; ++round) {
    nats_server server;
    std::vector<std::unique_ptr<live_stack>> stacks;
    buckets_config cfg;
    cfg.names = {"one", "two"};
    cfg.request_timeout = 10s;
    auto seen = std::make_shared<mailbox_of<std::string>>();
    for (auto i = 0; i < 3; ++i) {
      auto& s = *stacks.emplace_back(std::make_unique<live_stack>(to(server)));
      s.spawn(buckets, s.bus_handle, s.kv, cfg);
      // Reads at the same time, like all followers of keys.
      s.ask<caf::unit_t>(s.kv, subscribe_atom_v, std::string{"one"},
                         std::string{"key"}, s.spawn(listener, seen));
    }
    for (auto& s : stacks)
      CHECK(eventually([&] {
        for (auto name : {"KV_one", "KV_two"}) {
          auto info = s->ask<bus_reply>(
            s->bus_handle, request_atom_v,
            bus_request{
              std::string{"$JS.API.STREAM.INFO."} + name, "", {}, 5s});
          if (!info || info->payload.find("\"config\"") == std::string::npos)
            return false;
        }
        return true;
      }));
    // The server is running, and there was no reconnect.
    for (auto& s : stacks)
      CHECK(s->status().connects == 1);
  }
}

TEST_CASE("a follower sees every writer's changes, also over a crash") {
  nats_server server;
  live_stack s{to(server)};
  live_stack other{to(server)};
  REQUIRE(s.connects());
  REQUIRE(other.connects());
  auto seen = std::make_shared<mailbox_of<std::string>>();
  s.ask<caf::unit_t>(s.kv, subscribe_atom_v, std::string{"bucket"},
                     std::string{"key"},
                     kv_listener_actor{s.spawn(listener, seen)});
  REQUIRE(eventually([&] { return seen->all().size() == 1; }));
  CHECK(seen->all().front() == "(none)");
  auto shows = [&](const std::string& value) {
    return eventually([&] { return seen->all().back() == value; });
  };
  REQUIRE(other.put("one"));
  CHECK(shows("one"));
  REQUIRE(s.put("two"));
  CHECK(shows("two"));
  server.kill();
  server.start();
  REQUIRE(other.connects());
  REQUIRE(eventually([&] { return bool{other.put("three")}; }));
  CHECK(shows("three"));
}

TEST_CASE("a server without JetStream causes an error that says so") {
  nats_server server{""};
  live_stack s{to(server)};
  REQUIRE(s.connects());
  auto result = s.put("x");
  CHECK(code_of(result.error()) == ec::disconnected);
  CHECK(text_of(result.error()).find("JetStream") != std::string::npos);
}

TEST_CASE("several servers are tried until one answers") {
  nats_server dead;
  dead.kill();
  nats_server server;
  nats_config nats;
  nats.urls = {dead.url(), server.url()};
  live_stack s{nats};
  CHECK(s.connects());
  CHECK(s.status().server == server.url());
}

TEST_CASE("user and password, also after the password changed") {
  nats_server server{"authorization { user: u, password: secret }"};
  auto nats = to(server);
  nats.user = "u";
  nats.password_file = text_file(server, "password", "wrong\n");
  live_stack s{nats};
  REQUIRE(eventually([&] {
    return s.status().reason.find("uthorization") != std::string::npos;
  }));
  text_file(server, "password", "secret\n");
  CHECK(s.connects());
  CHECK(s.status().server.find("secret") == std::string::npos);
}

TEST_CASE("an NKey seed suffices for many logins") {
  constexpr auto seed
    = "SUAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H776Y";
  nats_server server{
    "authorization { users: [ { nkey: "
    "UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLKK } ] }"};
  auto nats = to(server);
  nats.nkey_seed_file = text_file(server, "user.nk", seed);
  live_stack s{nats};
  CHECK(s.connects());
}

TEST_CASE("a missing credentials file is an error that names it") {
  nats_server server;
  auto nats = to(server);
  nats.nkey_seed_file = "/does/not/exist.nk";
  live_stack s{nats};
  CHECK(eventually([&] {
    return s.status().reason.find("/does/not/exist.nk") != std::string::npos;
  }));
}
