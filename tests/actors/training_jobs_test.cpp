#include "actors/training_jobs.hpp"

#include "actors/error.hpp"

#include "tests/support/deterministic.hpp"
#include "tests/support/fakes.hpp"

#include <doctest/doctest.h>

using namespace aiops;
using namespace aiops::test;

namespace {

const workload a{"c", "n", "a"};

/// What a replica's followers get to know.
struct follower {
  std::vector<stored_book> seen;
};

book_listener_actor::behavior_type follow(book_listener_actor::pointer,
                                          std::shared_ptr<follower> known) {
  return {
    [=](update_atom, const stored_book& x) { known->seen.push_back(x); },
  };
}

struct fixture : deterministic {
  job_store_script_ptr store = std::make_shared<job_store_script>();
  backend_script_ptr backend = std::make_shared<backend_script>();
  int ids = 0;
  training_jobs_actor aut = replica(backend);

  training_jobs_actor replica(backend_script_ptr edge) {
    training_jobs_config cfg;
    cfg.idle_text = "idle";
    cfg.wall_clock = [this] { return wall_now(); };
    cfg.make_id = [this] { return "adopted-" + std::to_string(++ids); };
    auto result = spawn(training_jobs, spawn(fake_job_store, store),
                        spawn(fake_backend, edge), cfg);
    run();
    return result;
  }

  auto change(const training_jobs_actor& to, job_change what) {
    return ask(to, put_atom_v, std::move(what));
  }

  auto change(job_change what) {
    return change(aut, std::move(what));
  }

  auto submit(std::string id, bool force = false) {
    return change(job_submission{
      std::move(id), training_action::train, {a}, {{a}, {}}, force});
  }

  auto accept(std::string id) {
    return change(job_acceptance{std::move(id), "training job submitted"});
  }

  static job_progress at(int64_t percentage) {
    return {{}, {}, training_statistics{1, percentage, 9, 0, 0.0, "train"}};
  }

  void start(std::string id) {
    submit(id);
    accept(id);
  }

  void complete(std::string id) {
    start(std::move(id));
    change(job_progress{{}, "completed", {}});
  }

  const training_job& job() const {
    return *store->book.value.job;
  }
};

} // namespace

TEST_CASE_FIXTURE(fixture, "a change is stored and shown before it is "
                           "answered") {
  start("1");
  CHECK(job().state == job_state::submitted);
  backend->put.hold();
  auto x = change(at(20));
  CHECK_FALSE(x->done());
  CHECK(job().state == job_state::training);
  CHECK(std::get<0>(backend->put.last()).statistics.percentage_completed == 20);
  backend->put.release(caf::unit);
  run();
  REQUIRE(x->value);
  CHECK(x->value->after.revision == store->book.revision);
  CHECK(x->value->before.job->state == job_state::submitted);
}

TEST_CASE_FIXTURE(fixture, "times are stored as they are remembered") {
  advance(caf::timespan{1'234'567});
  submit("1");
  auto since = job().started_at.time_since_epoch();
  CHECK(since == std::chrono::floor<milliseconds>(since));
}

TEST_CASE_FIXTURE(fixture, "what other programs read is put again when that "
                           "failed") {
  start("1");
  backend->put.fail(ec::timeout);
  auto x = change(at(20));
  CHECK(x->value);
  backend->put.answer(caf::unit);
  auto calls = backend->put.calls();
  advance(10s);
  CHECK(backend->put.calls() == calls + 1);
  advance(60s);
  CHECK(backend->put.calls() == calls + 1);
}

TEST_CASE_FIXTURE(fixture, "of many changes the last one is shown at the end") {
  start("1");
  backend->put.hold();
  std::vector<answer_ptr<book_update>> answers;
  for (auto i = 1; i <= 20; ++i)
    answers.push_back(change(at(i)));
  CHECK(job().statistics.percentage_completed == 20);
  backend->put.answer(caf::unit);
  backend->put.release(caf::unit);
  run();
  for (auto& x : answers)
    CHECK(x->value);
  CHECK(std::get<0>(backend->put.last()).statistics.percentage_completed == 20);
}

TEST_CASE_FIXTURE(fixture, "two replicas change the same book") {
  auto other = replica(std::make_shared<backend_script>());
  start("1");
  SUBCASE("one after another") {
    CHECK(change(other, at(10))->value);
    CHECK(change(at(20))->value);
    CHECK(job().statistics.percentage_completed == 20);
  }
  SUBCASE("one missed what happened") {
    store->quiet = true;
    CHECK(change(other, at(10))->value);
    CHECK(change(at(20))->value);
    CHECK(job().statistics.percentage_completed == 20);
  }
  SUBCASE("one missed a submission") {
    change(job_progress{{}, "completed", {}});
    store->quiet = true;
    CHECK(submit("2")->value);
    job_change entry = job_submission{
      "3", training_action::train, {a}, {}, false};
    CHECK(change(other, entry)->code() == ec::conflict);
    CHECK(job().id == "2");
  }
}

TEST_CASE_FIXTURE(fixture, "what other programs read is what was changed last, "
                           "by whichever replica") {
  auto edge = std::make_shared<backend_script>();
  auto other = replica(edge);
  start("1");
  change(at(10));
  change(other, at(20));
  // Our own put might have come after the other one's.
  CHECK(std::get<0>(backend->put.last()) == store->book.value.model);
  CHECK(std::get<0>(edge->put.last()) == store->book.value.model);
}

TEST_CASE_FIXTURE(fixture, "nothing is refused on what may be old news") {
  start("1");
  store->quiet = true;
  auto book = store->book.value;
  book.job->state = job_state::completed;
  store->store(book);
  CHECK(submit("2")->value);
}

TEST_CASE_FIXTURE(fixture, "a write whose answer is lost is read back") {
  start("1");
  SUBCASE("it was done") {
    store->lose_answer = make_error(ec::timeout, "lost");
    CHECK(change(at(20))->value);
    CHECK(job().statistics.percentage_completed == 20);
  }
  SUBCASE("it was not") {
    store->refuse = make_error(ec::timeout, "lost");
    CHECK(change(at(20))->code() == ec::timeout);
    CHECK(job().statistics.percentage_completed == 0);
  }
  SUBCASE("nobody knows") {
    store->down = make_error(ec::disconnected, "down");
    CHECK(change(at(20))->code() == ec::disconnected);
    store->down = {};
  }
  CHECK(change(at(30))->value);
}

TEST_CASE_FIXTURE(fixture, "a change whose answer was lost tells the book "
                           "before it") {
  start("1");
  change(at(20));
  // The store shows the change before the error arrives.
  store->lose_answer = make_error(ec::timeout, "late");
  auto x = submit("2", true);
  REQUIRE(x->value);
  CHECK(x->value->before.job->id == "1");
  CHECK(x->value->after.value.job->id == "2");
}

TEST_CASE_FIXTURE(fixture, "what does not fit is said to be too large") {
  store->refuse = make_error(ec::too_large, "too large");
  CHECK(submit("1")->code() == ec::too_large);
  CHECK(submit("1")->value);
}

TEST_CASE_FIXTURE(fixture, "jobs that have ended are in the history") {
  start("1");
  change(job_progress{{}, "completed", {}});
  submit("2");
  // It might have to come back.
  CHECK(store->history.empty());
  accept("2");
  CHECK(store->history.at(1).state == job_state::completed);
  SUBCASE("and no longer in the book") {
    change(at(10));
    CHECK_FALSE(store->book.value.before);
  }
  submit("3", true);
  accept("3");
  CHECK(store->history.at(2).state == job_state::superseded);
  auto list = ask(aut, list_atom_v);
  REQUIRE(list->value);
  auto& jobs = (*list->value)->value();
  REQUIRE(jobs.size() >= 2);
  CHECK(jobs[0].job.id == "3");
  CHECK(jobs[1].job.id == "2");
  // The same bytes as long as nothing changes.
  CHECK(ask(aut, list_atom_v)->value == list->value);
}

TEST_CASE_FIXTURE(fixture, "a job leaves the book only for the history") {
  start("1");
  change(job_progress{{}, "completed", {}});
  store->history_down = make_error(ec::timeout, "no history today");
  start("2");
  CHECK(submit("3", true)->code() == ec::timeout);
  CHECK(change(at(10))->value);
  CHECK(store->book.value.before->id == "1");
  store->history_down = {};
  SUBCASE("by the next submission") {
    CHECK(submit("3", true)->value);
  }
  SUBCASE("by itself, after a while") {
    advance(5s);
  }
  CHECK(store->history.count(1) == 1);
}

TEST_CASE_FIXTURE(fixture, "a hundred jobs are listed, the newest first") {
  for (auto i = 1; i <= 105; ++i) {
    start(std::to_string(i));
    change(job_progress{{}, "completed", {}});
  }
  auto list = ask(aut, list_atom_v);
  REQUIRE(list->value);
  auto& jobs = (*list->value)->value();
  REQUIRE(jobs.size() == 100);
  for (size_t i = 0; i < jobs.size(); ++i)
    CHECK(jobs[i].job.number == 105 - i);
}

TEST_CASE_FIXTURE(fixture, "many who list the jobs share one read") {
  for (auto i = 1; i <= 9; ++i)
    complete(std::to_string(i));
  auto fresh = replica(std::make_shared<backend_script>());
  auto reads = store->reads;
  std::vector<snapshot_ptr<job_summaries>> answers;
  auto asker = [&](caf::event_based_actor* self, int) {
    for (auto i = 0; i < 20; ++i)
      self->request(fresh, 5s, list_atom_v)
        .then(
          [&](const snapshot_ptr<job_summaries>& x) { answers.push_back(x); });
  };
  spawn(asker, 0);
  run();
  REQUIRE(answers.size() == 20);
  CHECK(answers.front()->value().size() == 9);
  CHECK(answers.back() == answers.front());
  CHECK(store->reads == reads + 1);
  CHECK(store->lists == 1);
}

TEST_CASE_FIXTURE(fixture, "the history is read once, whichever replica adds "
                           "to it") {
  auto other = replica(std::make_shared<backend_script>());
  auto listed = [&] {
    std::vector<std::string> result;
    auto list = ask(other, list_atom_v);
    REQUIRE(list->value);
    for (auto& x : (*list->value)->value())
      result.push_back(x.job.id);
    return result;
  };
  using strings = std::vector<std::string>;
  for (size_t i = 1; i <= 5; ++i) {
    complete(std::to_string(i));
    CHECK(listed().size() == i);
  }
  // It saw every job in the book.
  CHECK(store->lists == 0);
  // Then it misses two of them.
  store->quiet = true;
  for (auto i = 6; i <= 9; ++i)
    complete(std::to_string(i));
  store->quiet = false;
  CHECK(listed() == strings{"9", "8", "7", "6", "5", "4", "3", "2", "1"});
  CHECK(listed().size() == 9);
  CHECK(store->lists == 1);
  // A store that was made anew has none of them.
  store->book = {};
  store->history.clear();
  CHECK(listed().empty());
  store->store({});
  submit("a");
  CHECK(listed() == strings{"a"});
}

TEST_CASE_FIXTURE(fixture, "a job that comes back is shown as it is") {
  start("1");
  change(at(20));
  auto x = submit("2", true);
  REQUIRE(ask(aut, list_atom_v)->value);
  change(job_rejection{"2", "nobody there", x->value->before});
  change(job_progress{{}, "completed", {}});
  complete("3");
  start("4");
  auto list = ask(aut, list_atom_v);
  REQUIRE(list->value);
  std::vector<std::pair<std::string, job_state>> seen;
  for (auto& y : (*list->value)->value())
    seen.emplace_back(y.job.id, y.job.state);
  REQUIRE(seen.size() == 4);
  CHECK(seen[2] == std::pair{std::string{"2"}, job_state::failed});
  CHECK(seen[3] == std::pair{std::string{"1"}, job_state::completed});
}

TEST_CASE_FIXTURE(fixture, "one job is found with its lists by one read") {
  auto find = [&](std::string id) {
    return ask(aut, get_atom_v, std::move(id));
  };
  CHECK(find("1")->code() == ec::not_found);
  complete("1");
  complete("2");
  start("3");
  store->lists = store->finds = 0;
  // The book has these.
  for (auto id : {"3", "2"}) {
    auto x = find(id);
    REQUIRE(x->value);
    CHECK(x->value->id == id);
    CHECK(x->value->workloads == workload_list{a});
    CHECK(x->value->changes.added == workload_list{a});
  }
  CHECK(store->finds == 0);
  auto x = find("1");
  REQUIRE(x->value);
  CHECK(*x->value == store->history.at(1));
  CHECK(store->finds == 1);
  CHECK(store->lists == 0);
  CHECK(find("4")->code() == ec::not_found);
  // Its slot has a later job now.
  store->history.at(1).id = "101";
  CHECK(find("1")->code() == ec::not_found);
  store->down = make_error(ec::disconnected, "down");
  CHECK(find("1")->code() == ec::disconnected);
  CHECK(find("3")->code() == ec::disconnected);
}

TEST_CASE_FIXTURE(fixture, "a job that a submission displaced comes back when "
                           "that fails") {
  start("1");
  change(at(20));
  auto x = submit("2", true);
  REQUIRE(x->value);
  advance(60s);
  change(job_rejection{"2", "nobody there", x->value->before});
  CHECK(job().id == "1");
  CHECK(job().state == job_state::training);
  CHECK(store->history.at(2).state == job_state::failed);
  CHECK(store->history.count(1) == 0);
  change(job_progress{{}, "completed", {}});
  start("3");
  CHECK(store->history.at(1).state == job_state::completed);
}

TEST_CASE_FIXTURE(fixture, "silence stalls a training in one replica's name") {
  auto other = replica(std::make_shared<backend_script>());
  start("1");
  change(at(20));
  auto stored = store->books.size();
  advance(10min);
  CHECK(job().state == job_state::training);
  advance(10s);
  CHECK(job().state == job_state::stalled);
  CHECK(store->books.size() == stored + 1);
  CHECK(change(other, at(30))->value);
  CHECK(job().state == job_state::training);
}

TEST_CASE_FIXTURE(fixture, "after an outage of ours the backend gets a chance "
                           "to speak") {
  start("1");
  change(at(20));
  kill(aut);
  advance(1h);
  auto fresh = replica(backend);
  advance(29s);
  CHECK(job().state == job_state::training);
  SUBCASE("it does") {
    CHECK(change(fresh, at(30))->value);
    advance(60s);
    CHECK(job().state == job_state::training);
  }
  SUBCASE("it does not") {
    advance(6s);
    CHECK(job().state == job_state::stalled);
  }
}

TEST_CASE_FIXTURE(fixture, "giving up forgets what is stored") {
  start("1");
  backend->train.fail(ec::no_responders);
  auto x = ask(aut, delete_atom_v);
  REQUIRE(x->value);
  CHECK(job().state == job_state::cancelled);
  CHECK(backend->forget.calls() > 0);
  SUBCASE("and may be repeated") {
    auto calls = backend->forget.calls();
    auto stored = store->books.size();
    CHECK(ask(aut, delete_atom_v)->value);
    CHECK(backend->forget.calls() == calls + 1);
    CHECK(store->books.size() == stored);
  }
  SUBCASE("and is not done when that fails") {
    backend->forget.fail(ec::timeout);
    CHECK(ask(aut, delete_atom_v)->code() == ec::timeout);
  }
  SUBCASE("but not a model that was trained") {
    start("2");
    change(job_progress{{}, "completed", {}});
    auto calls = backend->forget.calls();
    CHECK(ask(aut, delete_atom_v)->value);
    CHECK(backend->forget.calls() == calls);
    CHECK(job().state == job_state::completed);
  }
}

TEST_CASE_FIXTURE(fixture, "a new gateway goes on with what a program before "
                           "it stored") {
  job_store_script_ptr empty = std::make_shared<job_store_script>();
  store = empty;
  auto edge = std::make_shared<backend_script>();
  edge->stored.answer(
    {{"training", {30, 40, 50, 1, 0.5, "train"}}, 3, wall_now()});
  auto fresh = replica(edge);
  auto x = ask(fresh, get_atom_v);
  REQUIRE(x->value);
  CHECK(x->value->revision == 0);
  CHECK(x->value->value.model.statistics.percentage_completed == 40);
  advance(11min);
  CHECK(job().state == job_state::stalled);
}

TEST_CASE_FIXTURE(fixture, "a store that lost everything is believed") {
  start("1");
  change(at(20));
  store->book = {};
  store->publish();
  run();
  auto x = ask(aut, get_atom_v);
  REQUIRE(x->value);
  CHECK(x->value->revision == 0);
  CHECK_FALSE(x->value->value.job);
  CHECK(submit("2")->value);
}

TEST_CASE_FIXTURE(fixture, "readers share a read") {
  auto reads = store->reads;
  auto asker = [&](caf::event_based_actor* self, int) {
    for (auto i = 0; i < 10; ++i)
      self->request(aut, 5s, get_atom_v)
        .then([](const stored_book&) { /* nop */ },
              [](const caf::error&) { FAIL("no book"); });
  };
  spawn(asker, 0);
  run();
  CHECK(store->reads == reads + 1);
}

TEST_CASE_FIXTURE(fixture, "without a store there are errors, and no damage") {
  store->down = make_error(ec::disconnected, "down");
  CHECK(ask(aut, get_atom_v)->code() == ec::disconnected);
  CHECK(ask(aut, list_atom_v)->code() == ec::disconnected);
  CHECK(ask(aut, delete_atom_v)->code() == ec::disconnected);
  CHECK(submit("1")->code() == ec::disconnected);
  auto fresh = replica(std::make_shared<backend_script>());
  CHECK(change(fresh, at(1))->code() == ec::disconnected);
  store->down = {};
  CHECK(change(fresh, at(1))->value);
  CHECK(job().id.starts_with("adopted-"));
}

TEST_CASE_FIXTURE(fixture, "a queue that is full says so") {
  start("1");
  backend->put.hold();
  store->quiet = true;
  auto asker = [&](caf::event_based_actor* self, int) {
    for (auto i = 0; i < 300; ++i)
      self->request(aut, 5s, put_atom_v, job_change{at(1 + i % 90)})
        .then(
          [](const book_update&) { /* nop */ },
          [](const caf::error& err) { CHECK(code_of(err) == ec::overloaded); });
  };
  spawn(asker, 0);
  run();
}

TEST_CASE_FIXTURE(fixture, "followers are told at once and of every change") {
  auto early = std::make_shared<follower>();
  start("1");
  ask(aut, subscribe_atom_v, book_listener_actor{spawn(follow, early)});
  REQUIRE(early->seen.size() == 1);
  CHECK(early->seen[0].revision == store->book.revision);
  change(at(20));
  CHECK(early->seen.back().value == store->book.value);
  // Another replica's change too.
  auto book = store->book.value;
  book.job->statistics.percentage_completed = 77;
  store->store(book);
  run();
  CHECK(early->seen.back().value == book);
}
