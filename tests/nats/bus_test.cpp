#include "nats/bus.hpp"
#include "tests/support/deterministic.hpp"

#include <doctest/doctest.h>

#include <map>

using namespace aiops;
using namespace aiops::nats;
using namespace aiops::test;

namespace {

using statuses = std::shared_ptr<std::vector<bus_status>>;

bus_listener_actor::behavior_type bus_listener(bus_listener_actor::pointer,
                                               statuses seen) {
  return {
    [seen](update_atom, const bus_status& x) { seen->push_back(x); },
  };
}

/// The state of a fake connection, and the messages that were sent over it.
struct wire {
  bool open = true;
  /// The result of sending.
  caf::error error;
  std::vector<uint64_t> requests;
  std::map<std::string, std::pair<uint64_t, std::shared_ptr<credit>>> subjects;
};

/// A connection without a server.
class fake_connection : public nats_connection {
public:
  explicit fake_connection(std::shared_ptr<wire> x) : wire_(std::move(x)) {
    // nop
  }

  caf::error send(uint64_t id, const bus_request&) override {
    if (!wire_->error)
      wire_->requests.push_back(id);
    return wire_->error;
  }

  caf::error publish(const bus_message&) override {
    return wire_->error;
  }

  caf::error subscribe(uint64_t id, const std::string& subject,
                       const std::string&,
                       std::shared_ptr<credit> limit) override {
    wire_->subjects[subject] = {id, std::move(limit)};
    return wire_->error;
  }

  void unsubscribe(uint64_t) override {
    // nop
  }

  bool is_open() const override {
    return wire_->open;
  }

  bus_status status() const override {
    bus_status result;
    result.connected = wire_->open;
    return result;
  }

private:
  std::shared_ptr<wire> wire_;
};

using sink_log = std::shared_ptr<std::vector<std::string>>;

bus_sink_actor::behavior_type sink(bus_sink_actor::pointer, sink_log seen) {
  return {
    [seen](const bus_message& msg) { seen->push_back(msg.payload); },
    [seen](connect_atom) { seen->push_back("(connected)"); },
  };
}

/// The bus without a server: the test determines how attempts to connect end.
struct fixture : deterministic {
  struct attempt {
    uint64_t number;
    std::shared_ptr<connection_bridge> bridge;
    caf::actor_clock::time_point at;
  };

  fixture() {
    bus_config cfg;
    cfg.nats.urls = {"nats://127.0.0.1:1"};
    cfg.open = [this](nats_config, uint64_t number,
                      std::shared_ptr<connection_bridge> bridge) {
      attempts.push_back({number, std::move(bridge), now()});
    };
    cfg.give_up = [this](std::string why) { reason = std::move(why); };
    handle = spawn(bus, std::move(cfg));
    run();
  }

  /// Lets the latest attempt end without a connection.
  void refuse(const std::string& why = "refused") {
    auto last = attempts.back();
    last.bridge->call(
      [&](auto& listener) { listener.on_connect(last.number, nullptr, why); });
    run();
  }

  template <class F>
  void report(F f) {
    attempts.back().bridge->call(f);
    run();
  }

  /// Lets the latest attempt end with a connection.
  std::shared_ptr<wire> accept() {
    auto result = std::make_shared<wire>();
    report([&](auto& listener) {
      listener.on_connect(attempts.back().number,
                          std::make_shared<fake_connection>(result), "");
    });
    return result;
  }

  void report_closed() {
    auto number = attempts.back().number;
    report([&](auto& listener) { listener.on_closed(number); });
  }

  bool connected() {
    return ask(handle, status_atom_v)->value->connected;
  }

  auto request(bool read_only = false) {
    bus_request what{"subject", "", {}, 5s, read_only};
    return ask(handle, request_atom_v, std::move(what));
  }

  std::vector<attempt> attempts;
  std::string reason;
  bus_actor handle;
};

} // namespace

TEST_CASE_FIXTURE(fixture,
                  "the bus tries to connect without end, with growing delays") {
  REQUIRE(attempts.size() == 1);
  std::vector<caf::timespan> waits;
  for (auto i = 0; i < 12; ++i) {
    auto before = now();
    refuse();
    advance(7s);
    REQUIRE(attempts.size() == static_cast<size_t>(i) + 2);
    waits.push_back(attempts.back().at - before);
  }
  // 50 ms first, at most 5 s, give or take a quarter.
  CHECK(waits.front() >= 37ms);
  CHECK(waits.front() <= 63ms);
  CHECK(waits.back() >= 3'750ms);
  CHECK(waits.back() <= 6'250ms);
}

TEST_CASE_FIXTURE(fixture, "requests without a connection fail at once") {
  auto answer = ask(handle, request_atom_v, bus_request{"subject", "", {}, 5s});
  CHECK(answer->code() == ec::disconnected);
  refuse("no route to host");
  auto status = ask(handle, status_atom_v);
  REQUIRE(status->value);
  CHECK(!status->value->connected);
  CHECK(status->value->reason == "no route to host");
}

TEST_CASE_FIXTURE(fixture, "an attempt that hangs is abandoned") {
  advance(15s);
  auto hanging = attempts.front();
  advance(1s);
  REQUIRE(attempts.size() == 2);
  SUBCASE("and may end late") {
    hanging.bridge->call([&](auto& listener) {
      listener.on_connect(hanging.number, nullptr, "at last");
    });
    refuse();
    advance(59s);
    CHECK(reason.empty());
  }
  SUBCASE("but not hang without end") {
    refuse();
    advance(60s);
    CHECK(reason == "an attempt to connect to NATS hangs inside the library");
  }
}

TEST_CASE_FIXTURE(fixture, "messages without a connection are refused") {
  auto answer = ask(handle, put_atom_v, bus_message{"subject", "x", {}});
  CHECK(answer->code() == ec::disconnected);
}

TEST_CASE_FIXTURE(fixture,
                  "listeners get the reason for a missing connection once") {
  auto seen = std::make_shared<std::vector<bus_status>>();
  auto listener = bus_listener_actor{spawn(bus_listener, seen)};
  ask(handle, subscribe_atom_v, listener);
  REQUIRE(seen->size() == 1);
  CHECK(!seen->back().connected);
  CHECK(seen->back().reason == "not connected yet");
  refuse("no route to host");
  REQUIRE(seen->size() == 2);
  CHECK(seen->back().reason == "no route to host");
  advance(1s);
  refuse("no route to host");
  CHECK(seen->size() == 2);
  advance(1s);
  refuse("another reason");
  CHECK(seen->size() == 3);
  kill(listener);
  advance(10s);
  refuse("yet another");
  CHECK(seen->size() == 3);
}

TEST_CASE_FIXTURE(
  fixture, "a connection that ended before it was reported is discarded") {
  auto dead = std::make_shared<wire>();
  dead->open = false;
  auto number = attempts.back().number;
  report([&](auto& listener) { listener.on_closed(number); });
  report([&](auto& listener) {
    listener.on_connect(number, std::make_shared<fake_connection>(dead), "");
  });
  CHECK(!connected());
  CHECK(request()->code() == ec::disconnected);
  advance(1s);
  REQUIRE(attempts.size() == 2);
  accept();
  CHECK(connected());
}

TEST_CASE_FIXTURE(
  fixture, "the state of the connection is read from the library each time") {
  auto line = accept();
  REQUIRE(connected());
  // There is no callback.
  line->open = false;
  SUBCASE("by a request for the state") {
    CHECK(!connected());
  }
  SUBCASE("by a request") {
    CHECK(request()->code() == ec::disconnected);
  }
  SUBCASE("by a message") {
    CHECK(ask(handle, put_atom_v, bus_message{"subject", "x"})->code()
          == ec::disconnected);
  }
  SUBCASE("by a subscription") {
    ask(handle, subscribe_atom_v, std::string{"subject"},
        bus_sink_actor{
          spawn(sink, std::make_shared<std::vector<std::string>>())});
  }
  advance(1s);
  REQUIRE(attempts.size() == 2);
  accept();
  CHECK(connected());
}

TEST_CASE_FIXTURE(
  fixture, "a failure to send because the connection ended opens a new one") {
  auto line = accept();
  auto waiting = request();
  CHECK(!waiting->done());
  line->error = make_error(ec::disconnected, "the connection to NATS is lost");
  SUBCASE("a request") {
    CHECK(request()->code() == ec::disconnected);
  }
  SUBCASE("a request that may have been sent") {
    line->error = lost_in_flight();
    CHECK(request()->code() == ec::lost_in_flight);
  }
  SUBCASE("a message") {
    CHECK(ask(handle, put_atom_v, bus_message{"subject", "x"})->code()
          == ec::disconnected);
  }
  SUBCASE("a subscription") {
    auto seen = std::make_shared<std::vector<std::string>>();
    ask(handle, subscribe_atom_v, std::string{"subject"},
        bus_sink_actor{spawn(sink, seen)});
    CHECK(seen->empty());
    advance(1s);
    auto next = accept();
    CHECK(next->subjects.count("subject") == 1);
    CHECK(*seen == std::vector<std::string>{"(connected)"});
  }
  CHECK(waiting->code() == ec::lost_in_flight);
  advance(1s);
  CHECK(attempts.size() == 2);
  // The library reports the end of the first one late.
  attempts.front().bridge->call(
    [&](auto& listener) { listener.on_closed(attempts.front().number); });
  run();
  if (attempts.size() == 2 && !connected())
    accept();
  CHECK(connected());
}

TEST_CASE_FIXTURE(fixture, "connections that end at once count as failures") {
  for (auto i = 0; i < 12; ++i) {
    accept();
    report_closed();
    advance(7s);
    REQUIRE(attempts.size() == static_cast<size_t>(i) + 2);
  }
  auto before = now();
  accept();
  report_closed();
  advance(7s);
  CHECK(attempts.back().at - before >= 3'750ms);
  SUBCASE("one that lasted does not") {
    accept();
    advance(5s);
    before = now();
    report_closed();
    advance(1s);
    CHECK(attempts.back().at - before <= 63ms);
  }
}

TEST_CASE_FIXTURE(fixture, "reads leave room for writes") {
  accept();
  std::vector<answer_ptr<bus_reply>> reads;
  for (auto i = 0; i < 1024; ++i)
    reads.push_back(request(true));
  CHECK(!reads[767]->done());
  CHECK(reads[768]->code() == ec::overloaded);
  std::vector<answer_ptr<bus_reply>> writes;
  for (auto i = 0; i < 257; ++i)
    writes.push_back(request());
  CHECK(!writes[255]->done());
  CHECK(writes[256]->code() == ec::overloaded);
}

TEST_CASE_FIXTURE(
  fixture,
  "a sink whose messages were dropped is notified, at most once a second") {
  auto line = accept();
  auto seen = std::make_shared<std::vector<std::string>>();
  auto other = std::make_shared<std::vector<std::string>>();
  ask(handle, subscribe_atom_v, std::string{"news"},
      bus_sink_actor{spawn(sink, seen)});
  ask(handle, subscribe_atom_v, std::string{"other"},
      bus_sink_actor{spawn(sink, other)});
  auto [id, limit] = line->subjects.at("news");
  seen->clear();
  other->clear();
  SUBCASE("by the bus") {
    for (auto i = 0; i < 3; ++i)
      if (limit->drop())
        report([id = id](auto& listener) { listener.on_drop(id); });
    advance(999ms);
    CHECK(seen->empty());
    advance(1ms);
    CHECK(*seen == std::vector<std::string>{"(connected)"});
    CHECK(other->empty());
    advance(10s);
    CHECK(seen->size() == 1);
    CHECK(limit->drop());
  }
  SUBCASE("by the library") {
    report([](auto& listener) { listener.on_drop(0); });
    advance(1s);
    CHECK(seen->size() == 1);
    CHECK(other->size() == 1);
  }
}

TEST_CASE_FIXTURE(fixture, "a message holds its credit until it is handled") {
  auto line = accept();
  auto seen = std::make_shared<std::vector<std::string>>();
  ask(handle, subscribe_atom_v, std::string{"news"},
      bus_sink_actor{spawn(sink, seen)});
  auto [id, limit] = line->subjects.at("news");
  auto token = limit->take(1);
  std::weak_ptr<const void> under_way = token;
  attempts.back().bridge->call([&, id = id](auto& listener) {
    listener.on_message(id, {"news", "x", "", std::move(token)});
  });
  CHECK(!under_way.expired());
  run();
  CHECK(seen->back() == "x");
  CHECK(under_way.expired());
}
