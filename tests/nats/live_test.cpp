#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include "tests/nats/live_stack.hpp"

#include <doctest/doctest.h>

#include <fstream>
#include <thread>

using namespace aiops;
using namespace aiops::test;
using namespace std::chrono_literals;

namespace {

std::string text_file(const nats_server& server, const std::string& name,
                      std::string_view text) {
  auto path = server.directory() / name;
  std::ofstream{path} << text;
  return path.string();
}

} // namespace

TEST_CASE("requests are answered, refused for want of listeners, or time out") {
  nats_server server;
  live_stack s{to(server)};
  REQUIRE(s.connects());
  CHECK(s.request("nobody.here") == ec::no_responders);
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

TEST_CASE("a payload that the server would refuse is refused here") {
  nats_server server{"max_payload: 1024"};
  live_stack s{to(server)};
  REQUIRE(s.connects());
  auto big = bus_request{"echo", std::string(2048, 'x'), {}, 1s};
  auto reply = s.ask<bus_reply>(s.bus_handle, request_atom_v, big);
  CHECK(code_of(reply.error()) == ec::too_large);
  CHECK(s.status().max_payload == 1024);
}

TEST_CASE("a server that dies is noticed, and found again with all listeners") {
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
  CHECK(s.request("mute", 20s) == ec::disconnected);
  killer.join();
}

TEST_CASE("a server that stands still is a timeout, not a hang") {
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

TEST_CASE("the bus finds a server that starts late") {
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

TEST_CASE("a bucket that an operator made is used and left as it is") {
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

TEST_CASE("a server without JetStream is named as such") {
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

TEST_CASE("an NKey seed is all that is needed, for many logins") {
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
