#include "actors/training/training_jobs.hpp"
#include "nats/training/job_json.hpp"
#include "nats/training/job_store.hpp"
#include "nats/training/kv_backend.hpp"
#include "nats/training/nats_hook.hpp"
#include "nats/training/progress_feed.hpp"
#include "tests/nats/live_stack.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <thread>

using namespace aiops;
using namespace aiops::nats;
using namespace aiops::test;

namespace {

using mails = std::shared_ptr<mailbox_of<std::string>>;

bus_listener_actor::behavior_type
connection_listener_for_test(bus_listener_actor::pointer, mails seen) {
  return {
    [seen](update_atom, const bus_status& x) {
      seen->push(x.connected ? "connected to " + x.server : x.reason);
    },
  };
}

book_listener_actor::behavior_type
book_numbers(book_listener_actor::pointer,
             std::shared_ptr<mailbox_of<uint64_t>> seen) {
  return {
    [seen](update_atom, const stored_book& x) {
      seen->push(x.value.last_number);
    },
  };
}

/// Records the jobs of progress; refuses progress of the job `old`.
training_status_actor::behavior_type
progress_notes(training_status_actor::pointer, mails seen) {
  return {
    [](get_atom) { return snapshot_ptr<model_status>{}; },
    [](overview_atom) { return snapshot_ptr<training_overview>{}; },
    [seen](put_atom, const job_progress& x) -> caf::result<void> {
      seen->push(x.id);
      if (x.id == "old")
        return make_error(ec::conflict, "an older job");
      return caf::unit;
    },
    [](update_atom, const stored_book&) { /* nop */ },
    [](update_atom, const bus_status&) { /* nop */ },
  };
}

/// A replica: the stack and the actors of the training.
struct replica : live_stack {
  explicit replica(const nats_server& server) : live_stack(to(server)) {
    jobs = spawn(job_store, kv, job_store_config{10s});
    backend = spawn(kv_backend, bus_handle, kv, backend_config{10s});
  }

  caf::expected<uint64_t> put_book(uint64_t number, uint64_t expected) {
    training_book book;
    book.last_number = number;
    return ask<uint64_t>(jobs, put_atom_v, book, expected);
  }

  caf::expected<stored_book> book() {
    return ask<stored_book>(jobs, get_atom_v);
  }

  caf::expected<std::string> train(const std::string& id, workload_list xs,
                                   caf::timespan timeout = 5s) {
    return ask<std::string>(backend, train_atom_v,
                            backend_submission{id, std::move(xs)}, timeout);
  }

  caf::expected<workload_list> watchlist() {
    return ask<workload_list>(backend, watchlist_atom_v);
  }

  /// Replaces the watchlist with this revision.
  caf::expected<caf::unit_t> replace(const backend_submission& x,
                                     uint64_t revision) {
    return ask<caf::unit_t>(backend, put_atom_v, x, revision);
  }

  caf::expected<kv_entry> parameters() {
    return ask<kv_entry>(kv, get_atom_v,
                         std::string{"model-training-parameters"},
                         std::string{"modelTrainingParameters"});
  }

  void publish(const std::string& subject, std::string payload) {
    ask<caf::unit_t>(bus_handle, put_atom_v,
                     bus_message{subject, std::move(payload), {}});
  }

  job_store_actor jobs;
  backend_actor backend;
};

bool contains(const std::vector<std::string>& xs, const std::string& x) {
  return std::find(xs.begin(), xs.end(), x) != xs.end();
}

} // namespace

// -- the bus ------------------------------------------------------------------

TEST_CASE("each message goes to one member of a queue, also after a crash") {
  nats_server server;
  replica one{server};
  replica two{server};
  REQUIRE(one.connects());
  REQUIRE(two.connects());
  auto seen = std::make_shared<mailbox_of<std::string>>();
  auto everything = std::make_shared<mailbox_of<std::string>>();
  auto join = [&](replica& r) {
    auto member = r.spawn(sink, seen);
    r.ask<caf::unit_t>(r.bus_handle, subscribe_atom_v, std::string{"work"},
                       std::string{"queue"}, bus_sink_actor{member});
    return member;
  };
  join(one);
  auto leaving = join(two);
  two.ask<caf::unit_t>(two.bus_handle, subscribe_atom_v, std::string{"work"},
                       bus_sink_actor{two.spawn(sink, everything)});
  auto counted = [](const mails& box) {
    auto all = box->all();
    return all.size() - std::count(all.begin(), all.end(), "(connected)");
  };
  auto sent = 0u;
  auto send_some = [&] {
    for (auto i = 0; i < 50; ++i)
      one.publish("work", std::to_string(sent++));
    return eventually([&] { return counted(everything) == sent; })
           && eventually([&] { return counted(seen) >= sent; });
  };
  REQUIRE(one.flushed());
  REQUIRE(two.flushed());
  CHECK(send_some());
  server.kill();
  server.start();
  REQUIRE(eventually([&] { return one.status().connects == 2; }));
  REQUIRE(eventually([&] { return two.status().connects == 2; }));
  REQUIRE(one.flushed());
  REQUIRE(two.flushed());
  CHECK(send_some());
  // A member that has ended gets no more messages.
  caf::anon_send_exit(leaving, caf::exit_reason::kill);
  REQUIRE(eventually([&] {
    two.flushed();
    auto before = counted(seen);
    for (auto i = 0; i < 20; ++i)
      one.publish("work", std::to_string(sent++));
    one.flushed();
    return eventually([&] { return counted(seen) == before + 20; }, 200ms);
  }));
  CHECK(eventually([&] { return counted(everything) == sent; }));
  CHECK(counted(seen) <= sent);
}

TEST_CASE("a message that is too large for the server is not sent") {
  nats_server server{"max_payload: 1024"};
  replica r{server};
  REQUIRE(r.connects());
  auto result = r.ask<caf::unit_t>(
    r.bus_handle, put_atom_v, bus_message{"news", std::string(2048, 'x'), {}});
  CHECK(code_of(result.error()) == ec::too_large);
}

TEST_CASE("listeners get the state of the connection") {
  nats_server server;
  replica r{server};
  REQUIRE(r.connects());
  auto seen = std::make_shared<mailbox_of<std::string>>();
  r.ask<caf::unit_t>(
    r.bus_handle, subscribe_atom_v,
    bus_listener_actor{r.spawn(connection_listener_for_test, seen)});
  auto up = "connected to " + server.url();
  CHECK(eventually([&] { return seen->all().size() == 1; }));
  CHECK(seen->all().front() == up);
  server.kill();
  CHECK(eventually(
    [&] { return contains(seen->all(), "the connection was lost"); }));
  server.start();
  CHECK(eventually([&] { return seen->all().back() == up; }));
}

// -- the store ----------------------------------------------------------------

TEST_CASE("one of two concurrent writes of the book succeeds, and both "
          "replicas get it") {
  nats_server server;
  replica one{server};
  replica two{server};
  REQUIRE(one.connects());
  REQUIRE(two.connects());
  auto seen = std::make_shared<mailbox_of<uint64_t>>();
  two.ask<caf::unit_t>(two.jobs, subscribe_atom_v,
                       book_listener_actor{two.spawn(book_numbers, seen)});
  REQUIRE(eventually([&] { return seen->all().size() == 1; }));
  auto first = one.put_book(1, 0);
  REQUIRE(first);
  CHECK(code_of(two.put_book(2, 0).error()) == ec::conflict);
  CHECK(eventually([&] { return seen->all().back() == 1; }));
  CHECK(two.book()->revision == *first);
  // Both increment it many times.
  std::atomic<int> stored = 0;
  auto count = [&](replica& r) {
    for (auto done = 0; done < 20;) {
      auto book = r.book();
      if (!book)
        continue;
      if (r.put_book(book->value.last_number + 1, book->revision)) {
        ++done;
        ++stored;
      }
    }
  };
  auto other = std::thread{[&] { count(two); }};
  count(one);
  other.join();
  CHECK(stored == 40);
  CHECK(one.book()->value.last_number == 41);
  CHECK(eventually([&] { return seen->all().back() == 41; }));
}

TEST_CASE("a watchlist is stored once, and another replica reads it") {
  nats_server server;
  replica one{server};
  replica two{server};
  REQUIRE(one.connects());
  REQUIRE(two.connects());
  workload_list many;
  for (auto i = 0; i < 5'000; ++i)
    many.push_back({"cluster", "namespace", "deployment-" + std::to_string(i)});
  auto list = shared_workloads{normalize(std::move(many))};
  REQUIRE(one.ask<caf::unit_t>(one.jobs, put_atom_v,
                               backend_submission{"job", list}));
  training_book book;
  auto& job = book.training.emplace();
  job.id = job.list_id = "job";
  job.number = book.last_number = 1;
  job.workloads = job.changes.added = list;
  uint64_t revision = 0;
  for (auto i = 0; i < 3; ++i) {
    book.training->statistics.percentage_completed = i;
    auto stored = one.ask<uint64_t>(one.jobs, put_atom_v, book, revision);
    REQUIRE(stored);
    revision = *stored;
  }
  auto read = two.book();
  REQUIRE(read);
  CHECK(read->value == book);
  CHECK(read->losses == 0);
  auto value = two.ask<kv_entry>(two.kv, get_atom_v,
                                 std::string{"aiops-gateway"},
                                 std::string{"training.book"});
  CHECK(value->value.size() < max_book_size);
  auto ids = two.ask<std::vector<std::string>>(two.jobs, list_atom_v,
                                               watchlist_atom_v);
  REQUIRE(ids);
  CHECK(*ids == std::vector<std::string>{"job"});
  REQUIRE(two.ask<caf::unit_t>(two.jobs, delete_atom_v, std::string{"job"}));
  CHECK(
    two.ask<std::vector<std::string>>(two.jobs, list_atom_v, watchlist_atom_v)
      ->empty());
}

TEST_CASE("a hundred jobs survive a crash") {
  nats_server server;
  replica r{server};
  REQUIRE(r.connects());
  for (uint64_t n = 1; n <= 103; ++n) {
    training_job job;
    job.number = n;
    REQUIRE(r.ask<caf::unit_t>(r.jobs, put_atom_v, job));
  }
  server.kill();
  server.start();
  auto list = caf::expected<job_summaries>{job_summaries{}};
  REQUIRE(eventually([&] {
    list = r.ask<job_summaries>(r.jobs, list_atom_v);
    return list && !list->empty();
  }));
  CHECK(list->size() == 100);
  auto least = std::min_element(
    list->begin(), list->end(),
    [](auto& x, auto& y) { return x.job.number < y.job.number; });
  CHECK(least->job.number == 4);
}

TEST_CASE("many lists of jobs do not delay progress") {
  nats_server server;
  replica r{server};
  REQUIRE(r.connects());
  // A history that the replica below has not seen in the book.
  training_book book;
  for (uint64_t n = 1; n <= 100; ++n) {
    auto& job = book.training.emplace();
    job.id = std::to_string(n);
    job.number = book.last_number = n;
    job.response = "training job submitted";
    if (n < 100)
      REQUIRE(r.ask<caf::unit_t>(r.jobs, put_atom_v, job));
  }
  REQUIRE(r.ask<uint64_t>(r.jobs, put_atom_v, book, uint64_t{0}));
  auto jobs = r.spawn(training_jobs, r.jobs, r.backend,
                      training_jobs_config{10s});
  auto failures = std::make_shared<std::atomic<int>>(0);
  auto listed = std::make_shared<std::atomic<int>>(0);
  auto client = [=](caf::event_based_actor* self, int) {
    auto failed = [=](const caf::error&) { ++*failures; };
    for (auto i = 0; i < 20; ++i)
      self->request(jobs, 30s, list_atom_v)
        .then(
          [=](const snapshot_ptr<job_summaries>& x) {
            *listed += x->value().size() == 100 ? 1 : 0;
          },
          failed);
  };
  r.spawn(client, 0);
  for (int64_t percentage = 1; percentage <= 50; ++percentage) {
    training_statistics statistics;
    statistics.percentage_completed = percentage;
    job_change progress = job_progress{"100", {}, statistics};
    CHECK(r.ask<book_update>(jobs, put_atom_v, progress));
  }
  CHECK(eventually([&] { return *listed == 20; }));
  CHECK(*failures == 0);
}

TEST_CASE("a key that another client removed can be written again") {
  nats_server server;
  replica r{server};
  REQUIRE(r.connects());
  REQUIRE(r.put("one"));
  // Other clients remove a key by writing a mark.
  bus_request removal{"$KV.bucket.key", "", {{"KV-Operation", "DEL"}}, 5s};
  REQUIRE(r.ask<bus_reply>(r.bus_handle, request_atom_v, removal));
  CHECK(r.get()->revision == 0);
  CHECK(r.put("two", 0));
  CHECK(r.get()->value == "two");
  CHECK(code_of(r.put("three", 0).error()) == ec::conflict);
}

// -- the key-value backend ----------------------------------------------------

TEST_CASE("a submission is stored before the backend gets a request") {
  nats_server server;
  replica r{server};
  replica reader{server};
  REQUIRE(r.connects());
  REQUIRE(reader.connects());
  auto stored = std::make_shared<mailbox_of<std::string>>();
  auto read = [&](const std::string& request) {
    stored->push(reader.parameters()->value);
    stored->push(request);
    return std::string{"training job submitted"};
  };
  responder service{server, "train_model", responder::answer{read}};
  auto answer = r.train("7", {{"c", "n", "d"}});
  REQUIRE(answer);
  CHECK(*answer == "training job submitted");
  REQUIRE(stored->all().size() == 2);
  CHECK(stored->all()[0] == R"({"uuid":"7","workloads":{"c":{"n":["d"]}}})");
  CHECK(stored->all()[1] == stored->all()[0]);
  CHECK(reader.watchlist().cvalue() == workload_list{{"c", "n", "d"}});
  REQUIRE(r.train("8", {}));
  CHECK(stored->all().back() == R"({"uuid":"8"})");
  CHECK(reader.watchlist().cvalue().empty());
}

TEST_CASE("parameters wait for a backend that starts later") {
  nats_server server;
  replica r{server};
  replica reader{server};
  REQUIRE(r.connects());
  REQUIRE(reader.connects());
  auto answer = std::async(std::launch::async, [&] {
    return r.train("7", {{"c", "n", "d"}}, 20s);
  });
  REQUIRE(eventually([&] {
    auto found = reader.parameters();
    return found && found->revision != 0;
  }));
  responder service{server, "train_model", "training job submitted"};
  CHECK(answer.get().cvalue() == "training job submitted");
}

TEST_CASE("without a backend the parameters stay until they are corrected") {
  nats_server server;
  replica r{server};
  REQUIRE(r.connects());
  // Creating a bucket may take a while on a busy disk.
  REQUIRE(r.ask<caf::unit_t>(r.kv, check_atom_v,
                             std::string{"model-training-parameters"}));
  auto train = [&](const std::string& id) {
    return code_of(r.train(id, {{"c", "n", id}}, 3s).error());
  };
  CHECK(train("7") == ec::no_responders);
  auto first = r.parameters()->revision;
  CHECK(first != 0);
  CHECK(train("8") == ec::no_responders);
  auto second = r.parameters()->revision;
  // Nothing newer is replaced.
  CHECK(code_of(r.replace({}, first).error()) == ec::conflict);
  CHECK(r.parameters()->revision == second);
  REQUIRE(r.replace({"7", {{"c", "n", "7"}}}, second));
  CHECK(r.watchlist().cvalue() == workload_list{{"c", "n", "7"}});
  REQUIRE(r.replace({}, r.parameters()->revision));
  CHECK(r.parameters()->revision == 0);
  CHECK(train("9") == ec::no_responders);
  CHECK(r.watchlist().cvalue() == workload_list{{"c", "n", "9"}});
}

TEST_CASE("the parameters stay readable when the backend does not answer") {
  nats_server server;
  replica r{server};
  REQUIRE(r.connects());
  auto seen = std::make_shared<mailbox_of<std::string>>();
  r.ask<caf::unit_t>(r.bus_handle, subscribe_atom_v, std::string{"train_model"},
                     bus_sink_actor{r.spawn(sink, seen)});
  REQUIRE(r.flushed());
  CHECK(code_of(r.train("7", {{"c", "n", "d"}}, 3s).error()) == ec::timeout);
  CHECK(r.watchlist().cvalue() == workload_list{{"c", "n", "d"}});
}

TEST_CASE(
  "model and parameters are removed, the values of the backend are not") {
  nats_server server;
  replica r{server};
  REQUIRE(r.connects());
  responder service{server, "train_model", "training job submitted"};
  REQUIRE(r.train("7", {{"c", "n", "d"}}));
  REQUIRE(r.ask<uint64_t>(r.kv, put_atom_v,
                          kv_write{"model-training-parameters",
                                   "lastModelTrained", "{}", std::nullopt}));
  model_status x{"training", {}};
  REQUIRE(r.ask<caf::unit_t>(r.backend, put_atom_v, x));
  auto model = r.ask<stored_model>(r.backend, get_atom_v);
  REQUIRE(model);
  CHECK(model->value == x);
  CHECK(model->revision != 0);
  CHECK(model->watchlist_job == "7");
  CHECK(model->watchlist_revision == r.parameters()->revision);
  REQUIRE(r.ask<caf::unit_t>(r.backend, delete_atom_v));
  REQUIRE(r.replace({}, model->watchlist_revision));
  model = r.ask<stored_model>(r.backend, get_atom_v);
  REQUIRE(model);
  CHECK(model->revision == 0);
  CHECK(model->watchlist_revision == 0);
  auto last = r.ask<kv_entry>(r.kv, get_atom_v,
                              std::string{"model-training-parameters"},
                              std::string{"lastModelTrained"});
  CHECK(last->value == "{}");
  CHECK(r.train("8", {}));
}

// -- progress and hooks -------------------------------------------------------

TEST_CASE("progress over NATS reaches one gateway and is answered") {
  nats_server server;
  replica one{server};
  replica two{server};
  REQUIRE(one.connects());
  REQUIRE(two.connects());
  auto seen = std::make_shared<mailbox_of<std::string>>();
  for (auto r : {&one, &two}) {
    r->spawn(progress_feed, r->bus_handle,
             training_status_actor{r->spawn(progress_notes, seen)},
             progress_feed_config{});
  }
  auto report = [&](std::string text) {
    auto reply = one.ask<bus_reply>(
      one.bus_handle, request_atom_v,
      bus_request{"aiops.training.progress", std::move(text), {}, 5s});
    return reply ? reply->payload
                 : std::string{to_string(code_of(reply.error()))};
  };
  REQUIRE(eventually([&] { return report(R"({"uuid":"0"})") == "{}"; }));
  REQUIRE(two.flushed());
  auto before = seen->all().size();
  for (auto i = 1; i <= 20; ++i)
    CHECK(report(R"({"uuid":")" + std::to_string(i) + R"("})") == "{}");
  CHECK(seen->all().size() == before + 20);
  CHECK(report(R"({"uuid":"old"})").starts_with(R"({"code":10,)"));
  CHECK(report("rubbish").starts_with(R"({"code":3,)"));
}

TEST_CASE("subscribers get a job that has ended") {
  nats_server server;
  replica r{server};
  REQUIRE(r.connects());
  auto seen = std::make_shared<mailbox_of<std::string>>();
  r.ask<caf::unit_t>(r.bus_handle, subscribe_atom_v,
                     std::string{"aiops.training.finished"},
                     bus_sink_actor{r.spawn(sink, seen)});
  auto hook = job_hook_actor{
    r.spawn(nats_hook, r.bus_handle, nats_hook_config{})};
  training_job job;
  job.id = "7";
  job.state = job_state::completed;
  REQUIRE(r.ask<caf::unit_t>(hook, put_atom_v, job));
  CHECK(eventually([&] { return contains(seen->all(), encode_job(job)); }));
}
