#include "actors/training/training_jobs.hpp"

#include "actors/training/training_invariants.hpp"
#include "base/error.hpp"
#include "tests/support/deterministic.hpp"
#include "tests/support/fakes.hpp"

#include <doctest/doctest.h>

using namespace aiops;
using namespace aiops::test;

namespace {

const workload a{"c", "n", "a"};

/// The books that a listener of a replica receives.
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

  job_change submission(std::string id, bool force = false) const {
    return job_submission{
      std::move(id), training_action::train,      {a}, {{a}, {}},
      force,         basis_of(store->book.value), {}};
  }

  auto submit(std::string id, bool force = false) {
    return change(submission(std::move(id), force));
  }

  auto accept(std::string id) {
    return change(job_acceptance{std::move(id), "training job submitted"});
  }

  static job_progress at(int64_t percentage) {
    return {{}, {}, training_statistics{1, percentage, 9, 0, 0.0, "train"}};
  }

  void start(std::string id, bool force = false) {
    submit(id, force);
    accept(id);
  }

  void complete(std::string id) {
    start(std::move(id));
    change(job_progress{{}, "completed", {}});
  }

  const training_job& job() const {
    return *current_job(store->book.value);
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
  CHECK(x->value->before.training->state == job_state::submitted);
}

TEST_CASE_FIXTURE(fixture, "times in memory have the precision of the store") {
  advance(caf::timespan{1'234'567});
  submit("1");
  auto since = job().started_at.time_since_epoch();
  CHECK(since == std::chrono::floor<milliseconds>(since));
}

TEST_CASE_FIXTURE(fixture, "the mirror is written again when that "
                           "failed") {
  start("1");
  backend->put.fail(ec::timeout);
  auto x = change(at(20));
  CHECK(x->value);
  backend->put.answer(caf::unit);
  auto calls = backend->put.calls();
  advance(10s);
  CHECK(backend->put.calls() == calls + 1);
  backend->stored.answer({store->book.value.model, 1, {}});
  advance(60s);
  CHECK(backend->put.calls() == calls + 1);
}

TEST_CASE_FIXTURE(fixture, "a status that a late write has emptied is written "
                           "again where the protocol stores it") {
  start("1");
  auto calls = backend->put.calls();
  stored_model late{{"", store->book.value.model.statistics}, 1, {}};
  SUBCASE("it does") {
    late.with_status = true;
    ++calls;
  }
  SUBCASE("it does not, so it cannot be compared") {
    // The protocol of above.
  }
  backend->stored.answer(late);
  advance(30s);
  backend->stored.answer({store->book.value.model, 1, {}});
  advance(60s);
  CHECK(backend->put.calls() == calls);
}

TEST_CASE_FIXTURE(fixture, "the mirror is compared with the current "
                           "book") {
  auto other = replica(std::make_shared<backend_script>());
  start("1");
  store->quiet = true;
  CHECK(change(other, at(20))->value);
  backend->stored.answer({store->book.value.model, 1, {}});
  auto calls = backend->put.calls();
  advance(60s);
  CHECK(backend->put.calls() == calls);
}

TEST_CASE("a job keeps its watchlist, which may be read later than the job") {
  training_book book;
  training_job job;
  job.id = job.list_id = "1";
  job.number = book.last_number = 1;
  book.training = job;
  auto unread = book;
  book.training->workloads = {a};
  auto other = book;
  other.training->workloads = {{"c", "n", "other"}};
  CHECK(broken_invariant(unread, book).empty());
  CHECK(broken_invariant(book, unread).empty());
  CHECK_FALSE(broken_invariant(book, other).empty());
}

TEST_CASE("a number that was noted for a job which was never stored is free") {
  stored_book nothing;
  nothing.value.last_number = 2;
  stored_book first{{}, 5};
  first.value.last_number = 1;
  CHECK(broken_sequence(nothing, first).empty());
  stored_book next{{}, 6};
  CHECK_FALSE(broken_sequence(first, next).empty());
  next.losses = 1;
  CHECK(broken_sequence(first, next).empty());
  CHECK(broken_sequence(next, first).empty());
  // The first book is checked alone, too.
  first.value.training.emplace();
  first.value.training->number = 3;
  CHECK_FALSE(broken_sequence(nothing, first).empty());
}

TEST_CASE_FIXTURE(fixture, "an imported training gets a number that no job "
                           "had") {
  kill(aut);
  store->book.value.last_number = 41;
  backend->stored.answer({{"training", {1, 10, 9, 0, 0.0, "train"}}, 1, {}});
  aut = replica(backend);
  CHECK(change(job_cancellation{})->value);
  REQUIRE(store->book.value.training);
  CHECK(store->book.value.training->number == 42);
  CHECK(store->book.value.last_number == 42);
}

TEST_CASE_FIXTURE(fixture, "the mirror is corrected after a "
                           "restart") {
  start("1");
  change(at(20));
  backend->stored.answer({{"training", {1, 10, 9, 0, 0.0, "train"}}, 1, {}});
  kill(aut);
  replica(backend);
  advance(10s);
  CHECK(std::get<0>(backend->put.last()).statistics.percentage_completed == 20);
}

TEST_CASE_FIXTURE(fixture, "without a book the values of another program "
                           "are kept") {
  backend->stored.answer({{"completed", {}}, 1, {}, "theirs", 1});
  advance(60s);
  CHECK(backend->forget.calls() == 0);
  CHECK(backend->put.calls() == 0);
  CHECK(backend->put_watchlist.calls() == 0);
}

TEST_CASE_FIXTURE(fixture, "the watchlist of a failed submission is "
                           "removed") {
  complete("1");
  submit("2");
  backend->stored.answer({store->book.value.model, 7, {}, "2", 3});
  SUBCASE("refused") {
    CHECK(change(job_rejection{"2", "no backend"})->value);
    REQUIRE(backend->put_watchlist.calls() == 1);
    CHECK(std::get<0>(backend->put_watchlist.last()).id == "1");
    CHECK(std::get<1>(backend->put_watchlist.last()) == 3);
  }
  SUBCASE("cancelled") {
    CHECK(ask(aut, delete_atom_v)->value);
    REQUIRE(backend->put_watchlist.calls() >= 1);
    CHECK(std::get<0>(backend->put_watchlist.last()).id == "1");
  }
  SUBCASE("again after a restart") {
    change(job_rejection{"2", "no backend"});
    auto calls = backend->put_watchlist.calls();
    kill(aut);
    replica(backend);
    advance(10s);
    CHECK(backend->put_watchlist.calls() == calls + 1);
  }
  SUBCASE("but not while the outcome is open") {
    advance(20s);
    CHECK(backend->put_watchlist.calls() == 0);
  }
  SUBCASE("but not that of another program") {
    backend->stored.answer({store->book.value.model, 7, {}, "theirs", 3});
    CHECK(change(job_rejection{"2", "no backend"})->value);
    advance(60s);
    CHECK(backend->put_watchlist.calls() == 0);
  }
}

TEST_CASE_FIXTURE(fixture, "a cancellation keeps the watchlist of a submission "
                           "at the same time") {
  start("1");
  auto other = replica(std::make_shared<backend_script>());
  backend->stored.hold();
  auto x = ask(aut, delete_atom_v);
  CHECK_FALSE(x->done());
  // Cancelled, and the next submission is already entered.
  CHECK(change(other, submission("2"))->value);
  while (backend->stored.held() > 0) {
    backend->stored.release({{}, 1, {}, "2", 9});
    run();
  }
  CHECK(x->value);
  CHECK(backend->put_watchlist.calls() == 0);
}

TEST_CASE_FIXTURE(fixture, "after many changes the mirror has the last one") {
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
    CHECK(change(other, submission("3"))->code() == ec::conflict);
    CHECK(job().id == "2");
  }
}

TEST_CASE_FIXTURE(fixture, "the mirror has the last change, of any "
                           "replica") {
  auto edge = std::make_shared<backend_script>();
  auto other = replica(edge);
  start("1");
  change(at(10));
  change(other, at(20));
  CHECK(std::get<0>(edge->put.last()) == store->book.value.model);
  // A late write of this replica may have replaced that of the other one.
  backend->stored.answer({{"training", {1, 10, 9, 0, 0.0, "train"}}, 1, {}});
  advance(40s);
  CHECK(std::get<0>(backend->put.last()) == store->book.value.model);
}

TEST_CASE_FIXTURE(fixture, "a change is not refused because of an old book") {
  start("1");
  store->quiet = true;
  auto book = store->book.value;
  book.training->state = job_state::completed;
  book.training->statistics.percentage_completed = 100;
  book.training->ended_at = wall_now();
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
    CHECK(change(at(20))->value);
    CHECK(job().statistics.percentage_completed == 20);
  }
  SUBCASE("it was done when the connection was lost") {
    store->lose_answer = make_error(ec::lost_in_flight, "lost");
    CHECK(change(at(20))->value);
    CHECK(job().statistics.percentage_completed == 20);
  }
  SUBCASE("the read fails too") {
    store->down = make_error(ec::disconnected, "down");
    CHECK(change(at(20))->code() == ec::disconnected);
    store->down = {};
  }
  CHECK(change(at(30))->value);
}

TEST_CASE_FIXTURE(fixture, "a report whose write has no answer does not "
                           "replace that of a training that began since") {
  auto after = [](int64_t elapsed, std::string id = {}) {
    return job_progress{
      std::move(id), {}, training_statistics{elapsed, 20, 9, 7, 0.0, "train"}};
  };
  start("1");
  change(after(20));
  store->lose_answer = make_error(ec::timeout, "lost");
  store->overtake = store->book.value;
  auto& shown = store->overtake->training->statistics;
  SUBCASE("another one began") {
    shown.time_elapsed = 1;
    CHECK(change(after(22))->code() == ec::timeout);
    CHECK(job().statistics.time_elapsed == 1);
  }
  SUBCASE("it names its job") {
    shown.time_elapsed = 1;
    CHECK(change(after(22, "1"))->value);
    CHECK(job().statistics.time_elapsed == 22);
  }
  SUBCASE("it is the same one") {
    shown.time_elapsed = 21;
    CHECK(change(after(22))->value);
    CHECK(job().statistics.time_elapsed == 22);
  }
}

TEST_CASE_FIXTURE(fixture, "a book that does not fit is too large") {
  store->refuse = make_error(ec::too_large, "too large");
  CHECK(submit("1")->code() == ec::too_large);
  CHECK(submit("1")->value);
}

TEST_CASE_FIXTURE(fixture, "jobs that have ended are in the history") {
  complete("1");
  submit("2");
  // It is still the last training.
  CHECK(store->history.empty());
  accept("2");
  CHECK(store->history.at(1).state == job_state::completed);
  SUBCASE("and no longer in the book") {
    change(at(10));
    CHECK(store->book.value.leaving.empty());
  }
  start("3", true);
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
  complete("1");
  store->history_down = make_error(ec::timeout, "no history");
  start("2");
  start("3", true);
  CHECK(store->book.value.leaving.size() == 2);
  // There is no more room for leaving jobs.
  submit("4", true);
  CHECK(accept("4")->code() == ec::timeout);
  CHECK(pending(store->book.value));
  store->history_down = {};
  // The outcome is kept.
  advance(6s);
  CHECK(store->book.value.training->id == "4");
  CHECK(store->history.count(1) == 1);
  advance(6s);
  CHECK(store->history.count(3) == 1);
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

TEST_CASE_FIXTURE(fixture, "concurrent callers of the list share one read") {
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

TEST_CASE_FIXTURE(fixture, "the history is read once, also if another replica "
                           "adds to it") {
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
  // The other replica saw every job in the book.
  CHECK(store->lists == 0);
  // Then it misses two of them.
  store->quiet = true;
  for (auto i = 6; i <= 9; ++i)
    complete(std::to_string(i));
  store->quiet = false;
  CHECK(listed() == strings{"9", "8", "7", "6", "5", "4", "3", "2", "1"});
  CHECK(listed().size() == 9);
  CHECK(store->lists == 1);
  // A new store has none of them.
  store->book = {{}, 0, 1};
  store->history.clear();
  store->publish();
  run();
  CHECK(listed().empty());
  submit("a");
  CHECK(listed() == strings{"a"});
  // Their numbers are not used again.
  CHECK(store->book.value.last_number == 10);
}

TEST_CASE_FIXTURE(fixture, "the listed jobs have their current states") {
  start("1");
  change(at(20));
  submit("2", true);
  REQUIRE(ask(aut, list_atom_v)->value);
  change(job_rejection{"2", "no backend"});
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
  // These are in the book.
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
  // A later job has its place in the history.
  store->history.at(1).id = "101";
  CHECK(find("1")->code() == ec::not_found);
  store->down = make_error(ec::disconnected, "down");
  CHECK(find("1")->code() == ec::disconnected);
  CHECK(find("3")->code() == ec::disconnected);
}

TEST_CASE_FIXTURE(fixture, "the training continues when a submission fails") {
  start("1");
  change(at(20));
  submit("2", true);
  advance(30s);
  change(job_rejection{"2", "no backend"});
  CHECK(job().id == "1");
  CHECK(job().state == job_state::training);
  CHECK(store->history.at(2).state == job_state::failed);
  CHECK(store->history.count(1) == 0);
  change(job_progress{{}, "completed", {}});
  start("3");
  CHECK(store->history.at(1).state == job_state::completed);
}

TEST_CASE_FIXTURE(fixture, "the outcome of a submission is stored before later "
                           "changes") {
  submit("1");
  store->down = make_error(ec::disconnected, "down");
  CHECK(accept("1")->code() == ec::disconnected);
  store->down = {};
  // With the next change of any kind.
  CHECK(change(at(20))->value);
  CHECK(store->book.value.training->id == "1");
  CHECK(store->book.value.training->response == "training job submitted");
  CHECK(store->book.value.training->statistics.percentage_completed == 20);
}

TEST_CASE_FIXTURE(fixture,
                  "of outcomes that cannot be stored the rejections are "
                  "bounded") {
  submit("1");
  store->down = make_error(ec::disconnected, "down");
  CHECK(accept("1")->code() == ec::disconnected);
  // Rejections of submissions that could not be entered.
  for (auto i = 2; i < 300; ++i)
    change(job_rejection{std::to_string(i), "not sent"});
  store->down = {};
  auto reads = store->reads;
  advance(6s);
  CHECK(store->book.value.training->response == "training job submitted");
  CHECK(store->reads < reads + 10);
}

TEST_CASE_FIXTURE(fixture, "a submission whose replica ended is settled by "
                           "another one") {
  submit("1");
  kill(aut);
  auto other = replica(std::make_shared<backend_script>());
  advance(59s);
  CHECK(pending(store->book.value));
  advance(7s);
  CHECK_FALSE(pending(store->book.value));
  CHECK(job().state == job_state::submitted);
  CHECK(job().reason != "");
}

TEST_CASE_FIXTURE(fixture, "an old copy of the store has no effect") {
  start("1");
  change(at(20));
  auto other = replica(std::make_shared<backend_script>());
  store->quiet = true;
  CHECK(change(other, at(25))->value);
  auto newest = store->book.revision;
  // A former leader answers with an old copy.
  store->stale = {store->books[store->books.size() - 2], newest - 1, 0};
  CHECK(ask(other, get_atom_v)->value->revision == newest);
  auto x = change(at(30));
  auto y = change(other, job_acceptance{"unknown", "x"});
  CHECK_FALSE(x->done());
  CHECK_FALSE(y->done());
  store->stale.reset();
  advance(1s);
  CHECK(x->value);
  CHECK(y->value);
  CHECK(job().statistics.percentage_completed == 30);
}

TEST_CASE_FIXTURE(fixture, "watchlists that nothing refers to are removed") {
  complete("1");
  store->watchlists["orphan"] = workload_list{a};
  advance(6min);
  // It may be that of a submission which is not entered yet.
  CHECK(store->watchlists.contains("orphan"));
  advance(6min);
  CHECK_FALSE(store->watchlists.contains("orphan"));
  CHECK(store->watchlists.contains("1"));
}

TEST_CASE_FIXTURE(fixture, "silence stalls a training once, by one replica") {
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

TEST_CASE_FIXTURE(fixture, "after an outage of the store the backend gets time "
                           "to report") {
  start("1");
  change(at(20));
  kill(aut);
  advance(1h);
  auto fresh = replica(backend);
  advance(10min);
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

TEST_CASE_FIXTURE(fixture, "a cancellation removes the stored values") {
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

TEST_CASE_FIXTURE(fixture, "a new gateway continues with the values of an "
                           "earlier program") {
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

TEST_CASE_FIXTURE(fixture, "an empty store is accepted after a loss") {
  start("1");
  change(at(20));
  store->book = {{}, 0, 1};
  store->publish();
  run();
  auto x = ask(aut, get_atom_v);
  REQUIRE(x->value);
  CHECK(x->value->revision == 0);
  CHECK(x->value->losses == 1);
  CHECK_FALSE(x->value->value.training);
  CHECK(submit("2")->value);
  CHECK(job().number == 2);
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

TEST_CASE_FIXTURE(fixture, "without a store changes fail without damage") {
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

TEST_CASE_FIXTURE(fixture, "changes are refused when the queue is full") {
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

TEST_CASE_FIXTURE(fixture, "listeners get the book at once and every change") {
  auto early = std::make_shared<follower>();
  start("1");
  ask(aut, subscribe_atom_v, book_listener_actor{spawn(follow, early)});
  REQUIRE(early->seen.size() == 1);
  CHECK(early->seen[0].revision == store->book.revision);
  change(at(20));
  CHECK(early->seen.back().value == store->book.value);
  // Another replica's change too.
  auto book = store->book.value;
  book.training->statistics.percentage_completed = 77;
  store->store(book);
  run();
  CHECK(early->seen.back().value == book);
}

TEST_CASE_FIXTURE(fixture, "a late report does not bring back a job of the "
                           "history") {
  auto report = [&](std::string id, int64_t elapsed) {
    return change(
      job_progress{std::move(id), "training",
                   training_statistics{elapsed, 20, 9, 0, 0.0, "train"}});
  };
  CHECK(report("old", 30)->value);
  CHECK(report("new", 4)->value);
  REQUIRE(job().id == "new");
  CHECK(report("new", 6)->value);
  REQUIRE_FALSE(find_job(store->book.value, "old"));
  advance(5s);
  CHECK(report("old", 1)->code() == ec::conflict);
  CHECK(job().id == "new");
}
