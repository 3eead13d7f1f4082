#include "nats/kv_store.hpp"
#include "tests/nats/fake_bus.hpp"
#include "tests/support/deterministic.hpp"

#include <doctest/doctest.h>

using namespace aiops;
using namespace aiops::nats;
using namespace aiops::test;

namespace {

const auto get_subject = std::string{"$JS.API.STREAM.MSG.GET.KV_b"};
const auto info_subject = std::string{"$JS.API.STREAM.INFO.KV_b"};
const auto create_subject = std::string{"$JS.API.STREAM.CREATE.KV_b"};
const auto key_subject = std::string{"$KV.b.k"};

bus_reply entry(int revision, const std::string& base64) {
  return {R"({"message":{"seq":)" + std::to_string(revision) + R"(,"data":")"
          + base64 + R"(","time":"2026-01-31T12:00:00Z"}})"};
}

const auto no_message = bus_reply{
  R"({"error":{"code":404,"err_code":10037,"description":"no message found"}})"};

const auto no_stream = bus_reply{
  R"({"error":{"code":404,"err_code":10059,"description":"stream not found"}})"};

const auto not_now = bus_reply{
  R"({"error":{"code":503,"err_code":10008,)"
  R"("description":"JetStream system temporarily unavailable"}})"};

using updates = std::shared_ptr<std::vector<kv_entry>>;

kv_listener_actor::behavior_type listener(kv_listener_actor::pointer,
                                          updates seen) {
  return {
    [seen](update_atom, const kv_entry& x) { seen->push_back(x); },
  };
}

struct fixture : deterministic {
  fixture() {
    bucket_exists();
    store = spawn(kv_store, bus, kv_store_config{});
    run();
  }

  ~fixture() {
    for (auto& [subject, sink] : bus_script->sinks)
      sink = nullptr;
  }

  void bucket_exists() {
    bus_script->on(info_subject)
      .answer({R"({"config":{"name":"KV_b"},"state":{"last_seq":9}})"});
    bus_script->on(create_subject);
  }

  auto put(std::string value, std::optional<uint64_t> expected = {}) {
    return ask(store, put_atom_v,
               kv_write{"b", "k", std::move(value), expected});
  }

  auto get() {
    return ask(store, get_atom_v, std::string{"b"}, std::string{"k"});
  }

  updates follow() {
    auto seen = std::make_shared<std::vector<kv_entry>>();
    ask(store, subscribe_atom_v, std::string{"b"}, std::string{"k"},
        kv_listener_actor{spawn(listener, seen)});
    return seen;
  }

  /// A message on the key's subject, as the NATS server delivers it to all
  /// subscribers.
  void announce(std::string payload) {
    for (auto& [subject, sink] : bus_script->sinks)
      caf::anon_send(sink, bus_message{key_subject, payload});
    run();
  }

  bus_script_ptr bus_script = std::make_shared<struct bus_script>();
  bus_actor bus = spawn(fake_bus, bus_script);
  kv_store_actor store;
};

} // namespace

TEST_CASE_FIXTURE(fixture, "a value is read from the stream's leader") {
  bus_script->on(get_subject).answer(entry(7, "aGVsbG8="));
  auto answer = get();
  REQUIRE(answer->value);
  CHECK(answer->value->value == "hello");
  CHECK(answer->value->revision == 7);
  auto& request = std::get<0>(bus_script->on(get_subject).last());
  CHECK(request.payload == R"({"last_by_subj":"$KV.b.k"})");
}

TEST_CASE_FIXTURE(fixture, "reading a missing key or bucket is not an error") {
  bus_script->on(get_subject).answer(no_message);
  CHECK(get()->value->revision == 0);
  bus_script->on(get_subject).answer(no_stream);
  CHECK(get()->value->revision == 0);
}

TEST_CASE_FIXTURE(fixture, "a bucket is not read before it contains a value") {
  bus_script->on(get_subject).answer(entry(7, "aGVsbG8="));
  bus_script->on(info_subject).answer(no_stream);
  CHECK(get()->value->revision == 0);
  bus_script->on(info_subject).answer({R"({"state":{"last_seq":0}})"});
  CHECK(get()->value->revision == 0);
  bus_script->on(info_subject).answer({"rubbish"});
  CHECK(get()->code() == ec::bad_reply);
  bus_script->on(info_subject).fail(ec::timeout);
  CHECK(get()->code() == ec::timeout);
  CHECK(bus_script->on(get_subject).calls() == 0);
  bucket_exists();
  CHECK(get()->value->revision == 7);
  auto looks = bus_script->on(info_subject).calls();
  CHECK(get()->value->revision == 7);
  CHECK(bus_script->on(info_subject).calls() == looks);
  // A removed bucket may be created again.
  bus_script->on(get_subject).answer(no_stream);
  get();
  get();
  CHECK(bus_script->on(info_subject).calls() == looks + 1);
}

TEST_CASE_FIXTURE(fixture, "errors while reading have different codes") {
  bus_script->subjects.erase(info_subject);
  CHECK(get()->code() == ec::disconnected); // no JetStream at all
  bucket_exists();
  bus_script->on(get_subject).answer({"rubbish"});
  CHECK(get()->code() == ec::bad_reply);
  bus_script->on(get_subject).answer({"{}"});
  CHECK(get()->code() == ec::bad_reply);
  bus_script->on(get_subject)
    .answer({R"({"error":{"code":400,"err_code":10003,"description":"x"}})"});
  CHECK(get()->code() == ec::refused);
  bus_script->on(get_subject).fail(ec::timeout);
  CHECK(get()->code() == ec::timeout);
}

TEST_CASE_FIXTURE(fixture, "a write returns the revision") {
  bucket_exists();
  bus_script->on(key_subject).answer({R"({"stream":"KV_b","seq":3})"});
  CHECK(put("x")->value == 3);
  auto& plain = std::get<0>(bus_script->on(key_subject).last());
  CHECK(plain.payload == "x");
  CHECK(plain.headers.empty());
  CHECK(put("y", 3)->value == 3);
  auto& guarded = std::get<0>(bus_script->on(key_subject).last());
  CHECK(guarded.headers
        == bus_headers{{"Nats-Expected-Last-Subject-Sequence", "3"}});
  // One check of the bucket is enough.
  CHECK(bus_script->on(info_subject).calls() == 1);
}

TEST_CASE_FIXTURE(fixture, "a write against a newer revision is a conflict") {
  bucket_exists();
  bus_script->on(key_subject)
    .answer({R"({"error":{"code":400,"err_code":10071,)"
             R"("description":"wrong last sequence: 4"}})"});
  CHECK(put("x", 3)->code() == ec::conflict);
  CHECK(bus_script->on(get_subject).calls() == 0);
}

TEST_CASE_FIXTURE(fixture, "a write waits while another one is not decided") {
  bus_script->on(key_subject)
    .answer({R"({"error":{"code":400,"err_code":10164,)"
             R"("description":"wrong last sequence"}})"});
  auto write = put("x", 3);
  advance(1s);
  CHECK(!write->done());
  CHECK(bus_script->on(key_subject).calls() < 7);
  SUBCASE("and is a conflict if that one was stored") {
    bus_script->on(key_subject)
      .answer({R"({"error":{"code":400,"err_code":10071}})"});
    advance(1s);
    CHECK(write->code() == ec::conflict);
    CHECK(bus_script->on(get_subject).calls() == 0);
  }
  SUBCASE("and is stored if that one was not") {
    bus_script->on(key_subject).answer({R"({"stream":"KV_b","seq":4})"});
    advance(1s);
    CHECK(write->value == 4);
  }
  SUBCASE("for a bounded time, and was not stored then") {
    advance(5s);
    CHECK(write->code() == ec::overloaded);
  }
}

TEST_CASE_FIXTURE(
  fixture, "a request that the server cannot carry out now is repeated") {
  auto written = bus_reply{R"({"stream":"KV_b","seq":4})"};
  bus_script->on(key_subject).answer(not_now);
  bus_script->on(get_subject).answer(not_now);
  auto write = put("x", 3);
  auto read = get();
  advance(1s);
  CHECK(!write->done());
  CHECK(!read->done());
  SUBCASE("until it can") {
    bus_script->on(key_subject).answer(written);
    bus_script->on(get_subject).answer(entry(4, "eA=="));
    advance(1s);
    CHECK(write->value == 4);
    CHECK(read->value->value == "x");
  }
  SUBCASE("until the deadline") {
    advance(4s);
    CHECK(write->code() == ec::overloaded);
    CHECK(read->code() == ec::overloaded);
    auto writes = bus_script->on(key_subject).calls();
    // 50, 100, 200 ... ms apart.
    CHECK(writes == 7);
    advance(1min);
    CHECK(bus_script->on(key_subject).calls() == writes);
  }
}

TEST_CASE_FIXTURE(fixture, "a write that may have been stored is looked up") {
  bus_script->on(key_subject)
    .answer({R"({"error":{"code":503,"err_code":10077,)"
             R"("description":"raft: proposal failed"}})"});
  auto write = put("x", 3);
  bus_script->on(key_subject)
    .answer({R"({"error":{"code":400,"err_code":10071}})"});
  SUBCASE("and found") {
    bus_script->on(get_subject).answer(entry(4, "eA=="));
    advance(1s);
    CHECK(write->value == 4);
  }
  SUBCASE("and not found") {
    bus_script->on(get_subject).answer(entry(4, "eQ=="));
    advance(1s);
    CHECK(write->code() == ec::conflict);
  }
  SUBCASE("unless the server never answers") {
    bus_script->on(key_subject).answer(not_now);
    advance(5s);
    CHECK(write->code() == ec::timeout);
  }
}

TEST_CASE_FIXTURE(fixture, "a leader behind its log may store a write") {
  bus_script->on(key_subject)
    .answer({R"({"error":{"code":503,"err_code":10063,)"
             R"("description":"expected stream sequence does not match"}})"});
  auto write = put("x", 3);
  bus_script->on(key_subject)
    .answer({R"({"error":{"code":400,"err_code":10071}})"});
  bus_script->on(get_subject).answer(entry(4, "eA=="));
  advance(1s);
  CHECK(write->value == 4);
}

TEST_CASE_FIXTURE(fixture, "a write waits for a bucket without a leader") {
  bus_script->on(key_subject).answer({R"({"stream":"KV_b","seq":3})"});
  REQUIRE(put("x")->value == 3);
  bus_script->on(key_subject).fail(ec::no_responders);
  auto write = put("y", 3);
  advance(1s);
  CHECK(!write->done());
  SUBCASE("and found again") {
    bus_script->on(key_subject).answer({R"({"stream":"KV_b","seq":4})"});
    advance(1s);
    CHECK(write->value == 4);
  }
  SUBCASE("and created again when it was removed") {
    bus_script->on(info_subject).answer(no_stream);
    bus_script->on(key_subject).answer({R"({"stream":"KV_b","seq":1})"});
    advance(1s);
    CHECK(write->value == 1);
  }
  SUBCASE("for a bounded time") {
    advance(5s);
    CHECK(write->code() == ec::disconnected);
  }
}

TEST_CASE_FIXTURE(fixture, "a missing bucket is created") {
  bus_script->on(info_subject).answer(no_stream);
  bus_script->on(create_subject).answer({R"({"config":{"name":"KV_b"}})"});
  bus_script->on(key_subject).answer({R"({"stream":"KV_b","seq":1})"});
  CHECK(put("x")->value == 1);
  CHECK(put("y")->value == 1);
  CHECK(bus_script->on(create_subject).calls() == 1);
}

TEST_CASE_FIXTURE(fixture, "a bucket is created with the configured replicas") {
  kv_store_config cfg;
  cfg.replicas = 3;
  auto replicated = spawn(kv_store, bus, cfg);
  run();
  bus_script->on(info_subject).answer(no_stream);
  auto made = [&](auto& handle) {
    CHECK(ask(handle, check_atom_v, std::string{"b"})->value);
    return std::get<0>(bus_script->on(create_subject).last()).payload;
  };
  CHECK(made(store).find(R"("num_replicas":1,)") != std::string::npos);
  CHECK(made(replicated).find(R"("num_replicas":3,)") != std::string::npos);
}

TEST_CASE_FIXTURE(fixture,
                  "too few nodes for the replicas are an error that says so") {
  bus_script->on(info_subject).answer(no_stream);
  for (auto answer : {R"({"error":{"code":500,"err_code":10074,"description":)"
                      R"("replicas > 1 not supported in non-clustered mode"}})",
                      R"({"error":{"code":400,"err_code":10005,"description":)"
                      R"("no suitable peers for placement"}})"}) {
    bus_script->on(create_subject).answer({answer});
    auto problem = ask(store, check_atom_v, std::string{"b"});
    CHECK(problem->code() == ec::overloaded);
    CHECK(text_of(problem->error).find("--nats-replicas") != std::string::npos);
  }
}

TEST_CASE_FIXTURE(fixture, "an existing bucket is never changed") {
  bucket_exists();
  bus_script->on(key_subject).answer({R"({"stream":"KV_b","seq":1})"});
  CHECK(put("x")->value == 1);
  CHECK(bus_script->on(create_subject).calls() == 0);
}

TEST_CASE_FIXTURE(fixture, "a bucket that was removed is created again") {
  bucket_exists();
  bus_script->on(key_subject).fail(ec::timeout);
  CHECK(put("x")->code() == ec::timeout);
  bus_script->on(info_subject).answer(no_stream);
  bus_script->on(create_subject).answer({"{}"});
  bus_script->on(key_subject).answer({R"({"stream":"KV_b","seq":1})"});
  CHECK(put("x")->value == 1);
  CHECK(bus_script->on(create_subject).calls() == 1);
}

TEST_CASE_FIXTURE(fixture,
                  "a bucket that another program just created is used") {
  bus_script->on(info_subject).answer(no_stream);
  bus_script->on(key_subject).answer({R"({"stream":"KV_b","seq":1})"});
  bus_script->on(create_subject)
    .answer({R"({"error":{"code":500,"err_code":10052,)"
             R"("description":"maximum consumers exceeds account limit"}})"});
  CHECK(put("x")->code() == ec::refused);
  bus_script->on(create_subject)
    .answer({R"({"error":{"code":400,"err_code":10058}})"});
  CHECK(put("x")->value == 1);
}

TEST_CASE_FIXTURE(
  fixture,
  "a check creates a bucket without a write, and looks for it each time") {
  auto check = [&] { return ask(store, check_atom_v, std::string{"b"}); };
  bus_script->on(info_subject).answer(no_stream);
  bus_script->on(create_subject).answer({R"({"config":{"name":"KV_b"}})"});
  CHECK(check()->value);
  CHECK(bus_script->on(create_subject).calls() == 1);
  bus_script->on(key_subject).answer({R"({"stream":"KV_b","seq":1})"});
  CHECK(put("x")->value == 1);
  CHECK(bus_script->on(create_subject).calls() == 1);
  CHECK(check()->value);
  CHECK(bus_script->on(create_subject).calls() == 2);
  bus_script->on(info_subject).fail(ec::no_responders);
  CHECK(check()->code() == ec::disconnected);
}

TEST_CASE_FIXTURE(fixture, "writing without JetStream is refused at once") {
  bus_script->subjects.erase(info_subject);
  CHECK(put("x")->code() == ec::disconnected);
}

TEST_CASE_FIXTURE(fixture,
                  "a followed key that disappears does not count as removed") {
  bus_script->on(get_subject).answer(entry(4, "eA=="));
  auto seen = follow();
  REQUIRE(seen->size() == 1);
  bus_script->on(get_subject).answer(no_message);
  CHECK(get()->code() == ec::overloaded);
  advance(25s);
  CHECK(get()->code() == ec::overloaded);
  CHECK(seen->size() == 1);
  SUBCASE("because another leader may have it") {
    bus_script->on(get_subject).answer(entry(4, "eA=="));
    CHECK(get()->value->value == "x");
    advance(20s);
    bus_script->on(get_subject).answer(no_message);
    CHECK(get()->code() == ec::overloaded);
  }
  SUBCASE("until this lasts") {
    advance(20s);
    CHECK(get()->value->revision == 0);
    CHECK(seen->size() == 2);
    CHECK(seen->back().revision == 0);
  }
  SUBCASE("unless its bucket is gone") {
    bus_script->on(get_subject).answer(no_stream);
    CHECK(get()->value->revision == 0);
  }
}

TEST_CASE_FIXTURE(fixture,
                  "a followed key that was removed has no value at once") {
  bus_script->on(get_subject).answer(entry(4, "eA=="));
  auto seen = follow();
  // KV-Operation: DEL
  bus_script->on(get_subject)
    .answer({R"({"message":{"seq":5,"hdrs":)"
             R"("TkFUUy8xLjANCktWLU9wZXJhdGlvbjogREVMDQoNCg==",)"
             R"("time":"2026-01-31T12:00:00Z"}})"});
  CHECK(get()->value->revision == 0);
}

TEST_CASE_FIXTURE(fixture,
                  "a listener gets the value at once, and its changes") {
  bus_script->on(get_subject).answer(no_message);
  auto seen = follow();
  REQUIRE(seen->size() == 1);
  CHECK(seen->back().revision == 0);
  bus_script->on(get_subject).answer(entry(1, "YQ=="));
  announce("a");
  REQUIRE(seen->size() == 2);
  CHECK(seen->back().value == "a");
  auto late = follow();
  CHECK(late->back().value == "a");
  CHECK(seen->size() == 2);
}

TEST_CASE_FIXTURE(fixture,
                  "the message about a change may arrive before the change") {
  bus_script->on(get_subject).answer(entry(1, "YQ=="));
  auto seen = follow();
  announce("b");
  CHECK(seen->size() == 1);
  bus_script->on(get_subject).answer(entry(2, "Yg=="));
  advance(20ms);
  REQUIRE(seen->size() == 2);
  CHECK(seen->back().value == "b");
}

TEST_CASE_FIXTURE(fixture, "a change that the store refused is not shown") {
  bus_script->on(get_subject).answer(entry(1, "YQ=="));
  auto seen = follow();
  announce("refused");
  auto before = bus_script->on(get_subject).calls();
  advance(10s);
  CHECK(seen->size() == 1);
  CHECK(bus_script->on(get_subject).calls() == before + 5);
}

TEST_CASE_FIXTURE(fixture, "a change during a read is read again") {
  bus_script->on(get_subject).answer(entry(1, "YQ=="));
  auto seen = follow();
  bus_script->on(get_subject).hold();
  announce("b");
  announce("c");
  REQUIRE(bus_script->on(get_subject).held() == 1);
  bus_script->on(get_subject).release(entry(2, "Yg=="));
  run();
  REQUIRE(bus_script->on(get_subject).held() == 1);
  bus_script->on(get_subject).release(entry(3, "Yw=="));
  run();
  CHECK(seen->back().value == "c");
}

TEST_CASE_FIXTURE(fixture, "changes are found without a message") {
  bus_script->on(get_subject).answer(entry(1, "YQ=="));
  auto seen = follow();
  bus_script->on(get_subject).answer(entry(2, "Yg=="));
  SUBCASE("by reading at regular intervals") {
    advance(20s);
  }
  SUBCASE("after a new connection") {
    for (auto& [subject, sink] : bus_script->sinks)
      caf::anon_send(sink, connect_atom_v);
    run();
  }
  CHECK(seen->back().value == "b");
}

TEST_CASE_FIXTURE(fixture, "a failed read is repeated") {
  bus_script->on(get_subject).fail(ec::disconnected);
  auto seen = follow();
  CHECK(seen->empty());
  bus_script->on(get_subject).answer(entry(1, "YQ=="));
  advance(20s);
  CHECK(seen->size() == 1);
}

TEST_CASE_FIXTURE(
  fixture,
  "a new connection during a read that then fails causes another read") {
  bus_script->on(info_subject).hold();
  auto seen = follow();
  REQUIRE(bus_script->on(info_subject).held() == 1);
  for (auto& [subject, sink] : bus_script->sinks)
    caf::anon_send(sink, connect_atom_v);
  run();
  bucket_exists();
  bus_script->on(get_subject).answer(entry(1, "YQ=="));
  bus_script->on(info_subject).release_error(ec::disconnected);
  run();
  REQUIRE(seen->size() == 1);
  CHECK(seen->back().value == "a");
}

TEST_CASE_FIXTURE(fixture, "a key is removed if it has the expected revision") {
  auto remove = [&](std::optional<uint64_t> expected) {
    kv_write what{"b", "k", "", expected};
    what.removal = true;
    return ask(store, put_atom_v, what);
  };
  auto& writes = bus_script->on(key_subject);
  writes.answer({R"({"stream":"KV_b","seq":8})"});
  CHECK(remove(7)->value == 8);
  auto& request = std::get<0>(writes.last());
  CHECK(request.payload.empty());
  CHECK(request.headers
        == bus_headers{{"Nats-Expected-Last-Subject-Sequence", "7"},
                       {"KV-Operation", "DEL"}});
  SUBCASE("at any revision") {
    CHECK(remove({})->value == 8);
    CHECK(std::get<0>(writes.last()).headers
          == bus_headers{{"KV-Operation", "DEL"}});
  }
  SUBCASE("but not at a newer one") {
    writes.answer({R"({"error":{"code":400,"err_code":10071}})"});
    CHECK(remove(7)->code() == ec::conflict);
    CHECK(bus_script->on(get_subject).calls() == 0);
  }
  SUBCASE("a removal that may have been done is looked up") {
    writes.answer({R"({"error":{"code":503,"err_code":10077}})"});
    auto removal = remove(7);
    writes.answer({R"({"error":{"code":400,"err_code":10071}})"});
    SUBCASE("and was done") {
      // "NATS/1.0\r\nKV-Operation: DEL\r\n\r\n"
      bus_script->on(get_subject)
        .answer({R"({"message":{"seq":8,"time":"2026-01-31T12:00:00Z",)"
                 R"("hdrs":"TkFUUy8xLjANCktWLU9wZXJhdGlvbjogREVMDQoNCg=="}})"});
      advance(1s);
      CHECK(removal->value == 8);
    }
    SUBCASE("and was not done: an empty value is not a removal") {
      bus_script->on(get_subject).answer(entry(8, ""));
      advance(1s);
      CHECK(removal->code() == ec::conflict);
    }
  }
}

TEST_CASE_FIXTURE(
  fixture,
  "a key that must not exist may have been removed at a known revision") {
  // "NATS/1.0\r\nKV-Operation: DEL\r\n\r\n"
  auto mark = [](int revision) {
    return bus_reply{
      R"({"message":{"seq":)" + std::to_string(revision)
      + R"(,"time":"2026-01-31T12:00:00Z",)"
        R"("hdrs":"TkFUUy8xLjANCktWLU9wZXJhdGlvbjogREVMDQoNCg=="}})"};
  };
  bus_script->on(get_subject).answer(mark(5));
  auto found = get();
  CHECK(found->value->revision == 0);
  CHECK(found->value->removed == 5);
  auto& writes = bus_script->on(key_subject);
  auto expected = [&] {
    return std::get<0>(writes.last()).headers.at(0).second;
  };
  auto put_after = [&](uint64_t removed) {
    kv_write what{"b", "k", "x", 0};
    what.removed = removed;
    return ask(store, put_atom_v, what);
  };
  writes.answer({R"({"stream":"KV_b","seq":9})"});
  CHECK(put_after(5)->value == 9);
  CHECK(expected() == "5");
  // The caller does not know that it existed.
  writes.answer({R"({"error":{"code":400,"err_code":10071}})"});
  CHECK(put_after(0)->code() == ec::conflict);
  CHECK(expected() == "0");
}

TEST_CASE_FIXTURE(fixture, "keys are removed by pattern") {
  auto subject = std::string{"$JS.API.STREAM.PURGE.KV_b"};
  auto remove = [&] {
    return ask(store, delete_atom_v, std::string{"b"}, std::string{"old.>"});
  };
  bus_script->on(subject).answer({R"({"success":true,"purged":3})"});
  CHECK(remove()->value == 3);
  CHECK(std::get<0>(bus_script->on(subject).last()).payload
        == R"({"filter":"$KV.b.old.>"})");
  bus_script->on(subject).answer(no_stream);
  CHECK(remove()->value == 0);
  bus_script->on(subject).answer(
    {R"({"error":{"code":500,"err_code":10110,"description":"sealed"}})"});
  CHECK(remove()->code() == ec::refused);
}

TEST_CASE_FIXTURE(fixture, "keys are listed by pattern") {
  auto list = [&] {
    return ask(store, list_atom_v, std::string{"b"}, std::string{"x.*"});
  };
  bus_script->on(info_subject)
    .answer({R"({"state":{"subjects":{"$KV.b.x.1":1,"$KV.b.x.2":1}}})"});
  CHECK(list()->value == std::vector<std::string>{"x.1", "x.2"});
  CHECK(std::get<0>(bus_script->on(info_subject).last()).payload
        == R"({"subjects_filter":"$KV.b.x.*"})");
  bus_script->on(info_subject).answer({R"({"state":{}})"});
  CHECK(list()->value->empty());
  bus_script->on(info_subject).answer(no_stream);
  CHECK(list()->value->empty());
  bus_script->on(info_subject).answer({"rubbish"});
  CHECK(list()->code() == ec::bad_reply);
}

TEST_CASE_FIXTURE(fixture, "a key that was removed can be created again") {
  bus_script->on(key_subject)
    .answer({R"({"error":{"code":400,"err_code":10071}})"});
  // "NATS/1.0\r\nKV-Operation: DEL\r\n\r\n"
  bus_script->on(get_subject)
    .answer({R"({"message":{"seq":8,"time":"2026-01-31T12:00:00Z",)"
             R"("hdrs":"TkFUUy8xLjANCktWLU9wZXJhdGlvbjogREVMDQoNCg=="}})"});
  auto answer = put("value", 0);
  // A write between the two attempts is a conflict, too.
  CHECK(answer->code() == ec::conflict);
  auto& writes = bus_script->on(key_subject);
  REQUIRE(writes.calls() == 2);
  auto& headers = std::get<0>(writes.last()).headers;
  CHECK(headers == bus_headers{{"Nats-Expected-Last-Subject-Sequence", "8"}});
  CHECK(std::get<0>(writes.last()).payload == "value");
  // A value is a conflict.
  bus_script->on(get_subject).answer(entry(8, "aGVsbG8="));
  CHECK(put("value", 0)->code() == ec::conflict);
  CHECK(writes.calls() == 3);
}
