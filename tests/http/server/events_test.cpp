#include "tests/http/fixture.hpp"

#include "http/v1/training_json.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <atomic>
#include <fstream>
#include <thread>

#include <unistd.h>

using namespace aiops;
using namespace aiops::http;
using namespace aiops::test;
using namespace std::literals;
using nlohmann::json;

namespace {

using clock = std::chrono::steady_clock;

/// An event as a client receives it.
struct received_event {
  std::string id;
  std::string event;
  std::string data;
};

/// A client that follows the events.
class event_client {
public:
  explicit event_client(const gateway& gw, const std::string& query = "",
                        const std::string& last_id = "", int receive_buffer = 0)
    : client_(gw.connect(receive_buffer)) {
    auto request = "GET /api/v1/events" + query + " HTTP/1.1\r\nHost: x\r\n";
    if (!last_id.empty())
      request += "Last-Event-ID: " + last_id + "\r\n";
    client_.send(request + "\r\n");
    head = client_.receive(true);
    // From here on no event is missed.
    if (head.status == 200)
      retry = client_.receive_block();
  }

  /// The next event of any topic; empty at the end.
  received_event next() {
    for (;;) {
      auto block = client_.receive_block();
      if (block.starts_with(": ping")) {
        ++pings;
        continue;
      }
      return parse(block);
    }
  }

  raw_client& raw() {
    return client_;
  }

  raw_response head;
  std::string retry;
  size_t pings = 0;

private:
  static received_event parse(const std::string& block) {
    received_event result;
    std::istringstream lines{block};
    for (std::string line; std::getline(lines, line);) {
      auto colon = line.find(": ");
      REQUIRE(colon != std::string::npos);
      auto key = line.substr(0, colon);
      auto& to = key == "id"      ? result.id
                 : key == "event" ? result.event
                                  : result.data;
      CHECK(to.empty());
      to = line.substr(colon + 2);
    }
    return result;
  }

  raw_client client_;
};

event_value training_event(int percentage) {
  training_overview x;
  x.book.training.emplace();
  x.book.training->id = "job-1";
  x.book.training->state = job_state::training;
  x.book.training->statistics.percentage_completed = percentage;
  return make_snapshot(std::move(x));
}

/// An event that differs from all others.
event_value watchlist_event(const std::string& cluster) {
  static std::atomic<int> jobs = 0;
  watchlist_change x;
  x.job_id = "job-" + std::to_string(++jobs);
  x.workloads = x.changes.added = {{cluster, "n", "d"}};
  return x;
}

/// A watchlist of `n` workloads.
workload_list watchlist_of(size_t n) {
  workload_list result;
  for (size_t i = 0; i < n; ++i)
    result.push_back(
      {"cluster", "namespace", "deployment-" + std::to_string(i)});
  return normalize(std::move(result));
}

event_value backend_event(bool reachable) {
  return backend_health{true, reachable, reachable ? "" : "away"};
}

event_value gpu_event(const std::string& reason) {
  gpu_inventory x;
  x.gpus = {{"nvidia.com/gpu", 4, 3}};
  x.reason = reason;
  x.stale = !reason.empty();
  x.source = "file";
  return make_snapshot(std::move(x));
}

int64_t percentage_of(const received_event& x) {
  CHECK(x.event == "training");
  return json::parse(x.data)["percentage"].get<int64_t>();
}

/// Publishes `n` percent and checks that this is the next event of the client.
void check_alive(gateway& gw, event_client& client, int n = 77) {
  publish(gw.server().events(), training_event(n));
  CHECK(percentage_of(client.next()) == n);
}

/// Resident memory in bytes.
size_t memory() {
  std::ifstream in{"/proc/self/statm"};
  size_t total = 0;
  size_t resident = 0;
  in >> total >> resident;
  return resident * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool memory_is_meaningful = false;
#else
constexpr bool memory_is_meaningful = true;
#endif

} // namespace

// -- what is sent -------------------------------------------------------------

TEST_CASE("the head announces a stream of events") {
  gateway gw;
  event_client client{gw};
  CHECK(client.head.status == 200);
  CHECK(client.head.header("content-type") == "text/event-stream");
  CHECK(client.head.header("cache-control") == "no-cache");
  CHECK(client.head.header("x-accel-buffering") == "no");
  CHECK(client.head.header("connection") == "close");
  CHECK(client.head.header("x-request-id").size() == 16);
  CHECK(!client.head.headers.contains("content-length"));
  CHECK(client.retry == "retry: 2000");
}

TEST_CASE("HEAD gets the head only and takes no slot") {
  gateway gw;
  auto client = gw.connect();
  client.send("HEAD /api/v1/events HTTP/1.1\r\n\r\n");
  auto got = client.receive(true);
  CHECK(got.status == 200);
  CHECK(got.header("content-type") == "text/event-stream");
  CHECK(!got.headers.contains("content-length"));
  // The connection stays open.
  CHECK(client.ask("GET /livez HTTP/1.1\r\n\r\n").status == 200);
  CHECK(gw.server().events().clients() == 0);
  client.send("HEAD /api/v1/events HTTP/1.0\r\n\r\n");
  CHECK(client.receive(true).header("connection") == "close");
  CHECK(client.closed_within(5s));
}

TEST_CASE("a new client gets the current state, then the changes") {
  gateway gw;
  auto& events = gw.server().events();
  publish(events, training_event(1));
  publish(events, watchlist_event("c"));
  publish(events, training_event(2));
  event_client client{gw};
  auto first = client.next();
  CHECK(first.event == "watchlist");
  CHECK(first.id.ends_with("-2"));
  auto second = client.next();
  CHECK(percentage_of(second) == 2);
  CHECK(second.id.ends_with("-3"));
  for (auto i = 3; i < 30; ++i)
    check_alive(gw, client, i);
}

TEST_CASE("each topic has its data") {
  gateway gw;
  auto& events = gw.server().events();
  event_client client{gw};
  auto event_of = [&](const event_value& x, const std::string& topic) {
    publish(events, x);
    auto got = client.next();
    CHECK(got.event == topic);
    return json::parse(got.data);
  };
  gw.script([](auto& x) { x.training = std::get<0>(training_event(42)); });
  auto training = event_of(training_event(42), "training");
  auto requested = json::parse(gw.get("/api/v1/training").body);
  training.erase("elapsedSeconds");
  training.erase("remainingSeconds");
  requested.erase("elapsedSeconds");
  requested.erase("remainingSeconds");
  CHECK(training == requested);
  watchlist_change watched;
  watched.job_id = "job-2";
  watched.previous_job_id = "job-1";
  watched.submitted_at = std::chrono::system_clock::time_point{1s};
  watched.workloads = {{"c", "n", "d"}};
  watched.changes = {{{"c", "n", "d"}}, {{"c", "n", "e"}, {"c", "n", "f"}}};
  auto item = [](const char* deployment) {
    return json{
      {"clusterId", "c"}, {"namespace", "n"}, {"deployment", deployment}};
  };
  CHECK(event_of(watched, "watchlist")
        == json({{"jobId", "job-2"},
                 {"previousJobId", "job-1"},
                 {"submittedAt", "1970-01-01T00:00:01.000Z"},
                 {"workloadCount", 1},
                 {"addedCount", 1},
                 {"removedCount", 2},
                 {"added", {item("d")}},
                 {"removed", {item("e"), item("f")}},
                 {"truncated", false}}));
  auto none = event_of(watchlist_change{}, "watchlist");
  for (auto key : {"jobId", "previousJobId", "submittedAt"})
    CHECK(none[key].is_null());
  cluster_overview counts;
  counts.clusters = {{"a", 1, 2, 30}, {"b", 1, 3, 4}};
  counts.aggregated_at = std::chrono::system_clock::time_point{1s};
  counts.reason = "why\nso";
  counts.stale = true;
  CHECK(event_of(make_snapshot(counts), "aggregation")
        == json({{"aggregatedAt", "1970-01-01T00:00:01.000Z"},
                 {"stale", true},
                 {"reason", "why\nso"},
                 {"clusters", 2},
                 {"deployments", 5},
                 {"logCount", 34}}));
  CHECK(event_of(gpu_event("broken"), "gpu")
        == json({{"usable",
                  {{{"resource", "nvidia.com/gpu"},
                    {"capacity", 4},
                    {"allocatable", 3},
                    {"allocated", nullptr},
                    {"free", nullptr}}}},
                 {"stale", true},
                 {"reason", "broken"},
                 {"source", "file"}}));
  CHECK(event_of(backend_event(false), "backend")
        == json(
          {{"reachable", false}, {"natsConnected", true}, {"reason", "away"}}));
  // Null values make no events.
  publish(events, snapshot_ptr<training_overview>{});
  CHECK(event_of(backend_event(true), "backend")["reachable"] == true);
}

TEST_CASE("the size of events does not grow with the watchlist") {
  gateway gw;
  auto& events = gw.server().events();
  event_client client{gw};
  auto size_with = [&](size_t workloads) {
    training_overview x;
    auto& job = x.book.training.emplace();
    job.id = "9b2f3c1e-5d0a-4f6b-8a57-1c2d3e4f5a6b";
    job.number = workloads;
    job.state = job_state::training;
    job.response = "training job submitted";
    job.workloads = job.changes.added = watchlist_of(workloads);
    publish(events, make_snapshot(x));
    auto got = client.next();
    CHECK(json::parse(got.data)["workloadCount"] == workloads);
    return got.data.size();
  };
  auto small = size_with(1);
  CHECK(small < 1024);
  // Three numbers with three more digits each.
  CHECK(size_with(7000) <= small + 9);

  watchlist_change x;
  x.job_id = "job-1";
  x.workloads = x.changes.added = watchlist_of(7000);
  x.changes.removed = watchlist_of(max_event_workloads);
  publish(events, x);
  auto got = client.next();
  CHECK(got.data.size() < 32 * 1024);
  auto change = json::parse(got.data);
  CHECK(change["workloadCount"] == 7000);
  CHECK(change["addedCount"] == 7000);
  CHECK(change["added"].size() == max_event_workloads);
  CHECK(change["removed"].size() == max_event_workloads);
  CHECK(change["truncated"] == true);
}

TEST_CASE("changes that an event does not show make no event") {
  gateway gw;
  auto& events = gw.server().events();
  event_client client{gw};
  gpu_inventory gpus;
  gpus.gpus = {{"nvidia.com/gpu", 4, 3}};
  gpus.gpus[0].devices.emplace_back().utilization = 5;
  cluster_overview counts;
  counts.clusters = {{"a", 1, 2, 30}};
  training_overview training;
  training.book.training.emplace();
  training.book.training->state = job_state::training;
  training.book.training->started_at = std::chrono::system_clock::now() - 10s;
  for (auto i = 0; i < 3; ++i) {
    gpus.gpus[0].devices[0].utilization = i;
    publish(events, make_snapshot(gpus));
    counts.aggregations = i;
    publish(events, make_snapshot(counts));
    training.book.training->started_at -= 1ns;
    publish(events, make_snapshot(training));
  }
  for (auto topic : {"gpu", "aggregation", "training"})
    CHECK(client.next().event == topic);
  publish(events, backend_event(true));
  CHECK(client.next().event == "backend");
  gpus.gpus[0].allocatable = 2;
  publish(events, make_snapshot(gpus));
  CHECK(client.next().event == "gpu");
}

TEST_CASE("a client gets only the topics that it requests") {
  gateway gw;
  auto& events = gw.server().events();
  publish(events, training_event(1));
  publish(events, backend_event(true));
  event_client client{gw, "?topics=backend,gpu"};
  CHECK(client.next().event == "backend");
  publish(events, training_event(2));
  publish(events, gpu_event(""));
  publish(events, watchlist_event("c"));
  publish(events, backend_event(false));
  CHECK(client.next().event == "gpu");
  CHECK(client.next().event == "backend");
  event_client other{gw, "?topics="};
  CHECK(other.next().event == "training");
}

TEST_CASE("unknown topics are refused") {
  gateway gw;
  for (auto query : {"topics=x", "topics=training,", "topics=,", "topics=GPU",
                     "topic=gpu", "topics=gpu&topics=gpu"}) {
    auto got = gw.get("/api/v1/events?"s + query);
    CHECK(got.status == 400);
    CHECK(got.header("content-type") == "application/problem+json");
  }
  CHECK(gw.ask("DELETE", "/api/v1/events").status == 405);
  CHECK(gw.server().events().clients() == 0);
}

TEST_CASE("a client gets pings when there are no events") {
  gateway gw{[](auto& config) { config.event_heartbeat = 100ms; }};
  event_client client{gw};
  for (auto i = 0; i < 3; ++i)
    CHECK(client.raw().receive_block() == ": ping");
  check_alive(gw, client);
}

// -- reconnecting -------------------------------------------------------------

TEST_CASE("a client that reconnects gets the events that it missed, once") {
  gateway gw;
  auto& events = gw.server().events();
  std::string last_id;
  {
    event_client client{gw};
    for (auto i = 1; i <= 3; ++i) {
      publish(events, training_event(i));
      last_id = client.next().id;
    }
  }
  for (auto i = 4; i <= 40; ++i)
    publish(events, training_event(i));
  event_client client{gw, "", last_id};
  for (auto i = 4; i <= 40; ++i)
    CHECK(percentage_of(client.next()) == i);
  check_alive(gw, client);
}

TEST_CASE(
  "a client that was away for too long gets a reset and the current state") {
  gateway gw;
  auto& events = gw.server().events();
  publish(events, backend_event(true));
  publish(events, training_event(0));
  event_client before{gw, "?topics=training"};
  auto old_id = before.next().id;
  for (size_t i = 0; i < event_streams::max_events + 10; ++i)
    publish(events, training_event(static_cast<int>(i % 100)));
  publish(events, training_event(55));
  for (auto& id : {old_id, "0123456789ab-3"s, "nonsense"s}) {
    event_client client{gw, "", id};
    auto reset = client.next();
    CHECK(reset.event == "reset");
    CHECK(reset.data == "{}");
    CHECK(reset.id.empty());
    CHECK(client.next().event == "backend");
    CHECK(percentage_of(client.next()) == 55);
    check_alive(gw, client, 56);
    check_alive(gw, client, 55);
  }
}

// -- many, slow and disconnected clients --------------------------------------

TEST_CASE("above the limit clients get 503, until one disconnects") {
  gateway gw{[](auto& config) { config.max_event_clients = 2; }};
  std::optional<event_client> first{std::in_place, gw};
  event_client second{gw};
  CHECK(gw.server().events().clients() == 2);
  auto refused = gw.get("/api/v1/events");
  CHECK(refused.status == 503);
  CHECK(refused.header("retry-after") == "1");
  CHECK(refused.header("content-type") == "application/problem+json");
  CHECK(json::parse(refused.body)["status"] == 503);
  check_alive(gw, second);
  first.reset();
  CHECK(eventually([&] { return gw.server().events().clients() == 1; }));
  event_client third{gw};
  CHECK(third.head.status == 200);
  CHECK(gw.server().events().cut_off() == 0);
}

TEST_CASE("clients that disconnect or send too much free their slots") {
  gateway gw;
  event_client closing{gw};
  closing.raw().finish();
  CHECK(eventually([&] { return gw.server().events().clients() == 0; }));
  event_client sending{gw};
  sending.raw().send("GET /livez HTTP/1.1\r\n\r\n");
  check_alive(gw, sending);
  std::string chunk(16 * 1024, 'x');
  for (auto i = 0; i < 5; ++i)
    sending.raw().send(chunk);
  CHECK(eventually([&] { return gw.server().events().clients() == 0; }));
}

TEST_CASE(
  "a slow reader is cut off while others continue, without more memory") {
  gateway gw;
  auto& events = gw.server().events();
  event_client fast{gw};
  event_client slow{gw, "", "", 4096};
  auto start = memory();
  std::string large(50'000, 'x');
  for (auto i = 0; i < 100 * 1024 * 1024 / 50'000; ++i) {
    publish(events, watchlist_event(large));
    REQUIRE(fast.next().data.size() > large.size());
  }
  CHECK(events.cut_off() == 1);
  CHECK(events.clients() == 1);
  if (memory_is_meaningful)
    CHECK(memory() < start + 32 * 1024 * 1024);
  check_alive(gw, fast);
  // It gets the bytes in its buffers, then the end.
  CHECK(slow.raw().receive_all().size() < 16 * 1024 * 1024);
}

TEST_CASE("a client that reads nothing for too long is cut off") {
  gateway gw{[](auto& config) { config.client_timeout = 300ms; }};
  auto& events = gw.server().events();
  event_client slow{gw, "", "", 4096};
  std::string large(500'000, 'x');
  // Less than the ring keeps.
  for (auto i = 0; i < 6; ++i)
    publish(events, watchlist_event(large));
  CHECK(events.clients() == 1);
  CHECK(eventually([&] { return events.cut_off() == 1; }));
  CHECK(events.clients() == 0);
}

TEST_CASE("a client that reads slowly gets everything") {
  gateway gw;
  auto& events = gw.server().events();
  event_client slow{gw, "", "", 4096};
  for (auto i = 0; i < 30; ++i)
    publish(events,
            watchlist_event(std::to_string(i) + std::string(99'000, 'x')));
  for (auto i = 0; i < 30; ++i) {
    auto cluster = json::parse(slow.next().data)["added"][0]["clusterId"]
                     .get<std::string>();
    CHECK(cluster.starts_with(std::to_string(i) + "x"));
    CHECK(cluster.size() == std::to_string(i).size() + 99'000);
  }
  check_alive(gw, slow);
  CHECK(events.cut_off() == 0);
}

TEST_CASE("clients of events occupy neither workers nor connections") {
  gateway gw{[](auto& config) {
    config.workers = 2;
    config.max_connections = 4;
  }};
  std::vector<std::unique_ptr<event_client>> clients;
  for (auto i = 0; i < 50; ++i) {
    clients.push_back(std::make_unique<event_client>(gw));
    CHECK(clients.back()->head.status == 200);
  }
  for (auto i = 0; i < 20; ++i)
    CHECK(gw.get("/livez").status == 200);
  publish(gw.server().events(), training_event(5));
  for (auto& client : clients)
    CHECK(percentage_of(client->next()) == 5);
}

TEST_CASE("events of many threads reach all clients in one order") {
  gateway gw;
  auto& events = gw.server().events();
  std::vector<std::unique_ptr<event_client>> clients;
  for (auto i = 0; i < 10; ++i)
    clients.push_back(std::make_unique<event_client>(gw));
  std::vector<std::thread> publishers;
  for (auto i = 0; i < 4; ++i)
    publishers.emplace_back([&events, i] {
      for (auto n = 0; n < 100; ++n)
        publish(events, training_event(4 * n + i));
    });
  for (auto& thread : publishers)
    thread.join();
  for (auto& client : clients)
    for (auto n = 1; n <= 400; ++n)
      REQUIRE(client->next().id.ends_with("-" + std::to_string(n)));
  CHECK(events.cut_off() == 0);
}

// -- the end ------------------------------------------------------------------

TEST_CASE("a stop ends the streams at once") {
  gateway gw;
  auto& events = gw.server().events();
  std::vector<std::unique_ptr<event_client>> clients;
  for (auto i = 0; i < 20; ++i)
    clients.push_back(std::make_unique<event_client>(gw));
  // A client that reads nothing.
  event_client slow{gw, "", "", 4096};
  for (auto i = 0; i < 4; ++i)
    publish(events, watchlist_event(std::string(500'000, 'x')));
  auto start = clock::now();
  gw.server().stop(10s);
  CHECK(clock::now() - start < 5s);
  for (auto& client : clients)
    client->raw().receive_all();
  CHECK(events.clients() == 0);
  // Publishing without clients is allowed.
  publish(events, training_event(1));
  CHECK(!events.admit(topic_set{}.set(), ""));
}

TEST_CASE("streams that never started can be stopped") {
  event_streams events{http_config{}};
  publish(events, training_event(1));
  auto slot = events.admit(topic_set{}.set(), "");
  CHECK(events.clients() == 1);
  events.follow(dup(0), std::move(slot));
  events.stop();
  events.stop();
  CHECK(events.clients() == 0);
}

// -- the feed -----------------------------------------------------------------

namespace {

events_actor::behavior_type fake_events(events_actor::pointer,
                                        const caf::error& refusal) {
  return {
    [](update_atom, const event_value&) { /* nop */ },
    [=](subscribe_atom,
        const event_listener_actor& listener) -> caf::result<void> {
      if (refusal)
        return refusal;
      caf::anon_send(listener, update_atom_v, training_event(11));
      caf::anon_send(listener, update_atom_v, training_event(12));
      return caf::unit;
    },
  };
}

} // namespace

TEST_CASE("the feed publishes the events of the actor") {
  gateway gw;
  event_client client{gw};
  auto source = gw.system().spawn(fake_events, caf::error{});
  auto feed = gw.system().spawn(event_feed, source, &gw.server().events());
  CHECK(percentage_of(client.next()) == 11);
  CHECK(percentage_of(client.next()) == 12);
  caf::anon_send_exit(feed, caf::exit_reason::kill);
  caf::anon_send_exit(source, caf::exit_reason::kill);
}

TEST_CASE("a feed whose subscription is refused ends") {
  gateway gw;
  auto source = gw.system().spawn(fake_events,
                                  make_error(ec::overloaded, "too many"));
  caf::scoped_actor self{gw.system()};
  auto feed = self->spawn<caf::monitored>(event_feed, source,
                                          &gw.server().events());
  ec reason = ec::none;
  self->receive([&](const caf::down_msg& x) { reason = code_of(x.reason); },
                caf::after(20s) >> [] {});
  CHECK(reason == ec::overloaded);
  caf::anon_send_exit(source, caf::exit_reason::kill);
}
