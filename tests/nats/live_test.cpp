#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include "nats/backend.hpp"
#include "nats/bus.hpp"
#include "nats/kv_store.hpp"
#include "nats/store.hpp"
#include "nats/subjects.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/live_system.hpp"
#include "tests/support/nats_server.hpp"

#include <doctest/doctest.h>

#include <fstream>
#include <thread>

using namespace aiops;
using namespace aiops::test;
using namespace std::chrono_literals;

namespace {

bus_config quick(nats_config nats) {
  bus_config cfg;
  cfg.nats = std::move(nats);
  cfg.last_backoff = 100ms;
  return cfg;
}

nats_config to(const nats_server& server, std::string_view credentials = "") {
  nats_config result;
  result.urls = {server.url(credentials)};
  return result;
}

/// The bus and what rests on it, against a real server.
struct stack : live_system {
  explicit stack(nats_config nats) {
    bus_handle = spawn_detached(bus, quick(std::move(nats)));
    kv_store_config cfg;
    // Making a bucket may take a while on a busy disk.
    cfg.request_timeout = 10s;
    kv = spawn(kv_store, bus_handle, cfg);
  }

  bus_status status() {
    return ask<bus_status>(bus_handle, status_atom_v).cvalue();
  }

  bool connects() {
    return eventually([&] { return status().connected; });
  }

  ec request(const std::string& subject, caf::timespan timeout = 2s) {
    auto reply = ask<bus_reply>(bus_handle, request_atom_v,
                                bus_request{subject, "x", {}, timeout});
    return reply ? ec::none : code_of(reply.error());
  }

  caf::expected<uint64_t> put(std::string value,
                              std::optional<uint64_t> expected = {}) {
    return ask<uint64_t>(kv, put_atom_v,
                         kv_write{"bucket", "key", std::move(value), expected});
  }

  caf::expected<kv_entry> get() {
    return ask<kv_entry>(kv, get_atom_v, std::string{"bucket"},
                         std::string{"key"});
  }

  bus_actor bus_handle;
  kv_store_actor kv;
};

bus_sink_actor::behavior_type
sink(bus_sink_actor::pointer, std::shared_ptr<mailbox_of<std::string>> seen) {
  return {
    [seen](const bus_message& msg) { seen->push(msg.payload); },
    [seen](connect_atom) { seen->push("(connected)"); },
  };
}

kv_listener_actor::behavior_type
listener(kv_listener_actor::pointer,
         std::shared_ptr<mailbox_of<std::string>> seen) {
  return {
    [seen](update_atom, const kv_entry& x) {
      seen->push(x.revision == 0 ? "(none)" : x.value);
    },
  };
}

/// Answers requests on a subject like a backend would.
class responder {
public:
  responder(const nats_server& server, const std::string& subject,
            std::string reply)
    : reply_(std::move(reply)) {
    auto on_message = [](natsConnection* nc, natsSubscription*, natsMsg* msg,
                         void* self) {
      auto& text = static_cast<responder*>(self)->reply_;
      natsConnection_Publish(nc, natsMsg_GetReply(msg), text.data(),
                             static_cast<int>(text.size()));
      natsMsg_Destroy(msg);
    };
    natsConnection_ConnectTo(&connection_, server.url().c_str());
    natsConnection_Subscribe(&subscription_, connection_, subject.c_str(),
                             on_message, this);
    natsConnection_Flush(connection_);
  }

  ~responder() {
    natsConnection_Close(connection_);
    natsSubscription_Destroy(subscription_);
    natsConnection_Destroy(connection_);
  }

private:
  std::string reply_;
  natsConnection* connection_ = nullptr;
  natsSubscription* subscription_ = nullptr;
};

std::string text_file(const nats_server& server, const std::string& name,
                      std::string_view text) {
  auto path = server.directory() / name;
  std::ofstream{path} << text;
  return path.string();
}

} // namespace

TEST_CASE("requests are answered, refused for want of listeners, or time out") {
  nats_server server;
  stack s{to(server)};
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
  stack s{to(server)};
  REQUIRE(s.connects());
  auto big = bus_request{"echo", std::string(2048, 'x'), {}, 1s};
  auto reply = s.ask<bus_reply>(s.bus_handle, request_atom_v, big);
  CHECK(code_of(reply.error()) == ec::too_large);
  CHECK(s.status().max_payload == 1024);
}

TEST_CASE("a server that dies is noticed, and found again with all listeners") {
  nats_server server;
  stack s{to(server)};
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
  stack s{to(server)};
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
  stack s{to(server)};
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
  stack s{to(server)};
  CHECK(s.request("echo") == ec::disconnected);
  server.start();
  CHECK(s.connects());
}

TEST_CASE("values are stored, guarded by revision, and survive a crash") {
  nats_server server;
  stack s{to(server)};
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
  stack s{to(server)};
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
  stack s{to(server)};
  stack other{to(server)};
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
  stack s{to(server)};
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
  stack s{nats};
  CHECK(s.connects());
  CHECK(s.status().server == server.url());
}

TEST_CASE("user and password, also after the password changed") {
  nats_server server{"authorization { user: u, password: secret }"};
  auto nats = to(server);
  nats.user = "u";
  nats.password_file = text_file(server, "password", "wrong\n");
  stack s{nats};
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
  stack s{nats};
  CHECK(s.connects());
}

TEST_CASE("a missing credentials file is an error that names it") {
  nats_server server;
  auto nats = to(server);
  nats.nkey_seed_file = "/does/not/exist.nk";
  stack s{nats};
  CHECK(eventually([&] {
    return s.status().reason.find("/does/not/exist.nk") != std::string::npos;
  }));
}
