#include "actors/training/training_status.hpp"

#include "tests/support/deterministic.hpp"
#include "tests/support/fakes.hpp"

#include <doctest/doctest.h>

#include <functional>

using namespace aiops;
using namespace aiops::test;

namespace {

const training_statistics half{30, 50, 30, 3, 0.5, "train"};
const job_progress progress{{}, {}, half};

/// A book that shows these statistics.
stored_book with(const training_statistics& x, uint64_t revision = 1) {
  stored_book result;
  result.value.training.emplace();
  result.value.training->state = job_state::training;
  result.value.training->confirmed = true;
  result.value.model.statistics = x;
  result.revision = revision;
  return result;
}

/// Records the events.
events_actor::behavior_type
recording_events(events_actor::pointer,
                 std::shared_ptr<std::vector<event_value>> seen) {
  return {
    [=](update_atom, const event_value& x) { seen->push_back(x); },
    [](subscribe_atom, const event_listener_actor&) { /* nop */ },
  };
}

struct fixture : deterministic {
  backend_script_ptr backend = std::make_shared<backend_script>();
  training_jobs_script_ptr jobs = std::make_shared<training_jobs_script>();
  std::shared_ptr<std::vector<event_value>> published
    = std::make_shared<std::vector<event_value>>();
  training_status_actor aut;
  size_t polls = 0;

  fixture() {
    training_status_config cfg;
    cfg.poll_interval = 1h;
    cfg.idle_text = "idle";
    cfg.wall_clock = [this] { return wall_now(); };
    aut = spawn(training_status, spawn(fake_backend, backend),
                spawn(fake_training_jobs, jobs), bus_actor{},
                spawn(recording_events, published), cfg);
    run();
    polls = backend->status.calls();
  }

  /// Number of requests to the backend since the start.
  size_t asked() const {
    return backend->status.calls() - polls;
  }

  void publish(training_book book) {
    jobs->publish({std::move(book), 1});
    run();
  }

  void connect(bool connected) {
    bus_status status;
    status.connected = connected;
    status.reason = connected ? "" : "cable cut";
    ask(aut, update_atom_v, status);
  }

  const training_overview& overview() {
    auto x = ask(aut, overview_atom_v);
    REQUIRE(x->value);
    last_overview = *x->value;
    return last_overview->value();
  }

  snapshot_ptr<training_overview> last_overview;
};

training_book book_of(job_state state) {
  training_book result;
  result.training.emplace();
  result.training->id = "1";
  result.training->state = state;
  result.model.status = state == job_state::stalled ? "training failed"
                                                    : "training";
  return result;
}

} // namespace

TEST_CASE_FIXTURE(fixture, "a status has the backend's text and the store's "
                           "statistics") {
  backend->status.answer(backend_report{"training"});
  jobs->get.answer(with(half, 7));
  auto x = ask(aut, get_atom_v);
  REQUIRE(x->value);
  CHECK((*x->value)->value() == model_status{"training", half});
}

TEST_CASE_FIXTURE(fixture, "backend and store are asked at the same time") {
  backend->status.hold();
  jobs->get.hold();
  auto x = ask(aut, get_atom_v);
  CHECK(asked() == 1);
  CHECK(jobs->get.calls() == 1);
  jobs->get.release(with(half));
  run();
  CHECK_FALSE(x->done());
  backend->status.release(backend_report{"training"});
  run();
  REQUIRE(x->value);
}

TEST_CASE_FIXTURE(fixture, "concurrent readers of the status share a read") {
  backend->status.hold();
  std::vector<answer_ptr<snapshot_ptr<model_status>>> readers;
  for (auto i = 0; i < 64; ++i)
    readers.push_back(ask(aut, get_atom_v));
  CHECK(asked() == 1);
  CHECK(jobs->get.calls() == 1);
  backend->status.release(backend_report{"completed"});
  run();
  for (auto& reader : readers) {
    REQUIRE(reader->value);
    CHECK(*reader->value == *readers.front()->value);
  }
  backend->status.answer(backend_report{"completed"});
  ask(aut, get_atom_v);
  CHECK(asked() == 2);
}

TEST_CASE_FIXTURE(fixture, "an unchanged status keeps its bytes") {
  auto x = ask(aut, get_atom_v);
  auto y = ask(aut, get_atom_v);
  CHECK(*x->value == *y->value);
  backend->status.answer(backend_report{"training"});
  CHECK(*ask(aut, get_atom_v)->value != *x->value);
}

TEST_CASE_FIXTURE(fixture, "either side's failure fails the read at once") {
  SUBCASE("the backend's") {
    backend->status.fail(ec::no_responders);
    jobs->get.hold();
    CHECK(ask(aut, get_atom_v)->code() == ec::no_responders);
    // The other half arrives too late and is ignored.
    backend->status.answer(backend_report{"training"});
    auto next = ask(aut, get_atom_v);
    jobs->get.release(with(half));
    run();
    CHECK_FALSE(next->done());
    jobs->get.release(with({}, 2));
    run();
    REQUIRE(next->value);
    CHECK((*next->value)->value() == model_status{"training", {}});
  }
  SUBCASE("the store's") {
    jobs->get.fail(ec::disconnected);
    CHECK(ask(aut, get_atom_v)->code() == ec::disconnected);
  }
  SUBCASE("both") {
    backend->status.fail(ec::disconnected);
    jobs->get.fail(ec::timeout);
    CHECK(ask(aut, get_atom_v)->code() == ec::disconnected);
  }
}

TEST_CASE_FIXTURE(fixture, "a silent backend or store causes a timeout") {
  SUBCASE("backend") {
    backend->status.hold();
  }
  SUBCASE("store") {
    jobs->get.hold();
  }
  auto x = ask(aut, get_atom_v);
  advance(4999ms);
  CHECK_FALSE(x->done());
  advance(1ms);
  CHECK(x->code() == ec::timeout);
}

TEST_CASE_FIXTURE(fixture,
                  "with a silent backend the last status is answered") {
  auto book = book_of(job_state::training);
  book.model.statistics = half;
  publish(book);
  backend->status.hold();
  jobs->get.answer({book, 1});
  auto x = ask(aut, get_atom_v);
  advance(1900ms);
  auto y = ask(aut, get_atom_v);
  advance(99ms);
  CHECK_FALSE(x->done());
  advance(1ms);
  REQUIRE(x->value);
  CHECK((*x->value)->value() == book.model);
  CHECK_FALSE(y->done());
  CHECK(asked() == 1);
  SUBCASE("the backend answers late") {
    backend->status.release({"warming up"});
    run();
    REQUIRE(y->value);
    CHECK((*y->value)->value().status == "warming up");
    // Its status is known from now on.
    auto z = ask(aut, get_atom_v);
    advance(2s);
    REQUIRE(z->value);
    CHECK((*z->value)->value() == model_status{"warming up", half});
    CHECK(*z->value == *y->value);
  }
  SUBCASE("the backend never answers") {
    advance(1900ms);
    REQUIRE(y->value);
    CHECK(*y->value == *x->value);
    CHECK(asked() == 1);
    // The read ends by its own deadline; the next caller starts another one.
    advance(1200ms);
    auto z = ask(aut, get_atom_v);
    CHECK(asked() == 2);
    advance(2s);
    CHECK(z->value);
  }
  SUBCASE("there is no backend") {
    backend->status.release_error(ec::no_responders);
    run();
    CHECK(y->code() == ec::no_responders);
  }
}

TEST_CASE_FIXTURE(fixture, "a status becomes known while callers wait") {
  backend->status.hold();
  auto x = ask(aut, get_atom_v);
  advance(3s);
  CHECK_FALSE(x->done());
  publish(book_of(job_state::training));
  REQUIRE(x->value);
  CHECK((*x->value)->value().status == "training");
}

TEST_CASE_FIXTURE(fixture, "with an empty book and a silent backend no status "
                           "is known") {
  publish({});
  backend->status.hold();
  auto x = ask(aut, get_atom_v);
  advance(4999ms);
  CHECK_FALSE(x->done());
  advance(1ms);
  CHECK(x->code() == ec::timeout);
}

TEST_CASE_FIXTURE(fixture, "a short request timeout also leads to the last "
                           "status") {
  publish(book_of(job_state::training));
  jobs->get.fail(ec::timeout);
  auto x = ask(aut, get_atom_v);
  REQUIRE(x->value);
  CHECK((*x->value)->value().status == "training");
}

TEST_CASE_FIXTURE(fixture, "the last status is not older than a put that was "
                           "acknowledged") {
  auto book = book_of(job_state::training);
  publish(book);
  jobs->get.answer({book, 1});
  backend->status.answer({"training"});
  CHECK(ask(aut, get_atom_v)->value);
  // The backend's text is older than the end of the training.
  auto done = book_of(job_state::completed);
  done.training->ended_at = wall_now();
  done.model = {"completed", {30, 100, 0, 3, 0.5, "train"}};
  jobs->put.hold();
  backend->status.hold();
  auto put = ask(aut, put_atom_v, job_progress{{}, "completed", {}});
  jobs->publish({done, 2});
  jobs->put.release({});
  run();
  CHECK(put->value);
  auto x = ask(aut, get_atom_v);
  advance(2s);
  REQUIRE(x->value);
  CHECK((*x->value)->value() == done.model);
}

TEST_CASE_FIXTURE(fixture, "a text from before a put is not kept") {
  auto book = book_of(job_state::training);
  publish(book);
  auto done = book_of(job_state::completed);
  done.training->ended_at = wall_now();
  done.model = {"completed", {30, 100, 0, 3, 0.5, "train"}};
  backend->status.hold();
  jobs->get.answer({done, 2});
  auto early = ask(aut, get_atom_v);
  jobs->put.hold();
  auto put = ask(aut, put_atom_v, job_progress{{}, "completed", {}});
  // The put is in the book, but not acknowledged yet.
  jobs->publish({done, 2});
  backend->status.release({"training"});
  run();
  CHECK(early->value);
  jobs->put.release({});
  run();
  CHECK(put->value);
  auto x = ask(aut, get_atom_v);
  advance(2s);
  REQUIRE(x->value);
  CHECK((*x->value)->value() == done.model);
}

TEST_CASE_FIXTURE(fixture, "callers that wait for a put get the last status, "
                           "too") {
  publish(book_of(job_state::training));
  jobs->put.hold();
  ask(aut, put_atom_v, progress);
  auto x = ask(aut, get_atom_v);
  CHECK(asked() == 0);
  advance(2s);
  REQUIRE(x->value);
  CHECK((*x->value)->value().status == "training");
  backend->status.answer({"training"});
  jobs->put.release({});
  run();
  CHECK(ask(aut, get_atom_v)->value);
}

TEST_CASE_FIXTURE(fixture, "progress is acknowledged when it is stored") {
  jobs->put.hold();
  auto x = ask(aut, put_atom_v, progress);
  CHECK_FALSE(x->done());
  auto& stored = std::get<job_progress>(std::get<0>(jobs->put.last()));
  CHECK(stored.statistics == half);
  jobs->put.release({});
  run();
  CHECK(x->value);
}

TEST_CASE_FIXTURE(fixture, "progress that cannot be stored is an error") {
  SUBCASE("refused") {
    jobs->put.fail(ec::disconnected);
    CHECK(ask(aut, put_atom_v, progress)->code() == ec::disconnected);
  }
  SUBCASE("no answer") {
    jobs->put.hold();
    auto x = ask(aut, put_atom_v, progress);
    advance(15s);
    CHECK(x->code() == ec::timeout);
  }
}

TEST_CASE_FIXTURE(fixture, "a read that began before a put was acknowledged "
                           "does not answer later callers") {
  jobs->get.hold();
  auto early = ask(aut, get_atom_v);
  CHECK(ask(aut, put_atom_v, progress)->value);
  auto late = ask(aut, get_atom_v);
  auto later = ask(aut, get_atom_v);
  CHECK(jobs->get.calls() == 1);
  jobs->get.release(with({}, 0));
  run();
  REQUIRE(early->value);
  CHECK((*early->value)->value().statistics == training_statistics{});
  CHECK_FALSE(late->done());
  CHECK(jobs->get.calls() == 2);
  jobs->get.release(with(half));
  run();
  REQUIRE(late->value);
  REQUIRE(later->value);
  CHECK((*late->value)->value().statistics == half);
  CHECK(jobs->get.calls() == 2);
}

TEST_CASE_FIXTURE(fixture, "after a failed put, too, callers do not get the "
                           "answer of an older read") {
  jobs->get.hold();
  ask(aut, get_atom_v);
  jobs->put.fail(ec::timeout);
  ask(aut, put_atom_v, progress);
  auto late = ask(aut, get_atom_v);
  jobs->get.release_error(ec::timeout);
  run();
  CHECK_FALSE(late->done());
  jobs->get.release(with(half));
  run();
  CHECK(late->value);
}

TEST_CASE_FIXTURE(fixture, "a read does not start before the end of a put "
                           "that was there first") {
  std::function<void()> end;
  SUBCASE("stored") {
    jobs->put.hold();
    ask(aut, put_atom_v, progress);
    end = [&] { jobs->put.release({}); };
  }
  SUBCASE("not stored") {
    jobs->put.hold();
    ask(aut, put_atom_v, progress);
    end = [&] { jobs->put.release_error(ec::disconnected); };
  }
  SUBCASE("no answer") {
    jobs->put.hold();
    ask(aut, put_atom_v, progress);
    end = [&] { advance(15s); };
  }
  jobs->get.answer(with(half, 8));
  auto x = ask(aut, get_atom_v);
  auto y = ask(aut, get_atom_v);
  CHECK(jobs->get.calls() == 0);
  CHECK(asked() == 0);
  end();
  run();
  CHECK(jobs->get.calls() == 1);
  REQUIRE(x->value);
  REQUIRE(y->value);
  CHECK((*x->value)->value().statistics == half);
}

TEST_CASE_FIXTURE(fixture, "a read in flight does not answer callers that come "
                           "while a put is in flight") {
  jobs->get.hold();
  jobs->put.hold();
  auto early = ask(aut, get_atom_v);
  ask(aut, put_atom_v, progress);
  auto late = ask(aut, get_atom_v);
  jobs->get.release(with({}, 0));
  run();
  CHECK(early->value);
  CHECK_FALSE(late->done());
  CHECK(jobs->get.calls() == 1);
  jobs->put.release({});
  run();
  jobs->get.release(with(half));
  run();
  REQUIRE(late->value);
  CHECK((*late->value)->value().statistics == half);
}

TEST_CASE_FIXTURE(fixture, "a reader waits for the puts that were there first, "
                           "and for no later ones") {
  jobs->put.hold();
  ask(aut, put_atom_v, progress);
  ask(aut, put_atom_v, progress);
  auto x = ask(aut, get_atom_v);
  ask(aut, put_atom_v, progress);
  auto y = ask(aut, get_atom_v);
  jobs->put.release({});
  run();
  CHECK(jobs->get.calls() == 0);
  jobs->put.release({});
  run();
  CHECK(jobs->get.calls() == 1);
  CHECK(x->value);
  CHECK_FALSE(y->done());
  jobs->put.release({});
  run();
  CHECK(jobs->get.calls() == 2);
  CHECK(y->value);
}

TEST_CASE_FIXTURE(fixture, "a steady stream of puts starves no caller") {
  jobs->put.hold();
  ask(aut, put_atom_v, progress);
  for (auto i = 0; i < 100; ++i) {
    auto x = ask(aut, get_atom_v);
    ask(aut, put_atom_v, progress);
    CHECK_FALSE(x->done());
    jobs->put.release({});
    run();
    CHECK(x->value);
  }
}

TEST_CASE_FIXTURE(fixture, "progress of an older job is a conflict") {
  jobs->put.fail(ec::conflict);
  CHECK(ask(aut, put_atom_v, progress)->code() == ec::conflict);
}

TEST_CASE_FIXTURE(fixture,
                  "the book is used when a backend reports no status") {
  backend->status.answer({});
  SUBCASE("a status") {
    jobs->get.answer({book_of(job_state::training), 1});
    CHECK((*ask(aut, get_atom_v)->value)->value().status == "training");
  }
  SUBCASE("none") {
    CHECK((*ask(aut, get_atom_v)->value)->value().status == "idle");
  }
}

TEST_CASE_FIXTURE(fixture, "the backend's status is entered before it is "
                           "shown") {
  auto book = book_of(job_state::training);
  book.training->confirmed = true;
  publish(book);
  jobs->get.answer({book, 1});
  backend->status.answer({"completed"});
  jobs->put.hold();
  auto x = ask(aut, get_atom_v);
  CHECK_FALSE(x->done());
  auto& seen = std::get<job_observation>(std::get<0>(jobs->put.last()));
  CHECK(seen.status == "completed");
  auto after = book_of(job_state::completed);
  after.model = {"completed", {1, 100, 0, 1, 0.5, "train"}};
  jobs->put.release({book, {after, 2}});
  run();
  REQUIRE(x->value);
  CHECK((*x->value)->value() == after.model);
}

TEST_CASE_FIXTURE(fixture, "a status from before a job is not about that "
                           "job") {
  publish({});
  auto book = book_of(job_state::training);
  book.training->confirmed = true;
  jobs->get.answer({book, 1});
  backend->status.answer({"completed"});
  CHECK(ask(aut, get_atom_v)->value);
  CHECK(jobs->put.calls() == 0);
}

TEST_CASE_FIXTURE(fixture, "a status is not about a submission that came "
                           "meanwhile") {
  auto book = book_of(job_state::training);
  book.training->confirmed = true;
  publish(book);
  book.submission.emplace();
  book.submission->id = "2";
  jobs->get.answer({book, 2});
  backend->status.answer({"completed"});
  CHECK(ask(aut, get_atom_v)->value);
  CHECK(jobs->put.calls() == 0);
  // Not while the submission has no outcome.
  publish(book);
  CHECK(ask(aut, get_atom_v)->value);
  CHECK(jobs->put.calls() == 0);
  book.submission.reset();
  jobs->get.answer({book, 3});
  publish(book);
  CHECK(ask(aut, get_atom_v)->value);
  CHECK(jobs->put.calls() == 1);
}

TEST_CASE_FIXTURE(fixture, "a dashboard is unlocked even when the backend is "
                           "away") {
  backend->status.fail(ec::no_responders);
  auto state = job_state::stalled;
  std::string shown = "training failed";
  SUBCASE("stalled") {
    // The values of above.
  }
  SUBCASE("cancelled") {
    state = job_state::cancelled;
    shown = "idle";
  }
  auto book = book_of(state);
  book.model.status = shown;
  publish(book);
  jobs->get.answer({book, 1});
  auto x = ask(aut, get_atom_v);
  REQUIRE(x->value);
  CHECK((*x->value)->value().status == shown);
  publish(book_of(job_state::training));
  jobs->get.answer({book_of(job_state::training), 1});
  CHECK(ask(aut, get_atom_v)->code() == ec::no_responders);
}

TEST_CASE_FIXTURE(fixture, "an overview comes from memory") {
  CHECK(ask(aut, overview_atom_v)->code() == ec::overloaded);
  publish(book_of(job_state::training));
  auto before = asked();
  CHECK(overview().book.training->id == "1");
  CHECK(overview().backend.reachable);
  CHECK(asked() == before);
  CHECK(jobs->get.calls() == 0);
}

TEST_CASE_FIXTURE(fixture, "an overview has the losses of the store") {
  jobs->publish({book_of(job_state::training), 7, 0});
  run();
  CHECK(overview().losses == 0);
  // The store returned to an older book.
  jobs->publish({book_of(job_state::training), 3, 1});
  run();
  CHECK(overview().losses == 1);
  REQUIRE(published->size() == 2);
  auto& last = std::get<snapshot_ptr<training_overview>>(published->back());
  CHECK(last->value().losses == 1);
}

TEST_CASE_FIXTURE(fixture, "every change is published, once") {
  publish(book_of(job_state::training));
  REQUIRE(published->size() == 1);
  publish(book_of(job_state::training));
  CHECK(published->size() == 1);
  publish(book_of(job_state::stalled));
  REQUIRE(published->size() == 2);
  auto& last = std::get<snapshot_ptr<training_overview>>(published->back());
  CHECK(last->value().book.training->state == job_state::stalled);
}

TEST_CASE_FIXTURE(fixture, "the backend is asked periodically") {
  publish(book_of(job_state::training));
  SUBCASE("it reports a status") {
    advance(1h);
    CHECK(asked() == 1);
    CHECK(backend->check.calls() == 0);
    backend->status.fail(ec::no_responders, "no backend");
    advance(1h);
    CHECK_FALSE(overview().backend.reachable);
    CHECK(overview().backend.reason == "no backend");
    backend->status.answer({"training"});
    advance(1h);
    CHECK(overview().backend.reachable);
    CHECK(overview().backend.reason.empty());
  }
  SUBCASE("it reports none") {
    backend->status.answer({});
    advance(1h);
    CHECK(backend->check.calls() == 1);
    backend->check.fail(ec::timeout, "silent");
    advance(1h);
    CHECK_FALSE(overview().backend.reachable);
    CHECK(overview().backend.reason == "silent");
  }
  SUBCASE("it reports the end") {
    auto book = book_of(job_state::training);
    book.training->confirmed = true;
    publish(book);
    backend->status.answer({"completed"});
    advance(1h);
    CHECK(
      std::holds_alternative<job_observation>(std::get<0>(jobs->put.last())));
  }
  SUBCASE("it is still silent") {
    backend->status.hold();
    advance(1h);
    CHECK(asked() == 1);
    advance(5s);
    CHECK_FALSE(overview().backend.reachable);
    advance(1h);
    CHECK(asked() == 2);
  }
}

TEST_CASE_FIXTURE(fixture, "the backend is asked more often when a training is "
                           "about to complete") {
  auto book = book_of(job_state::training);
  book.training->statistics.percentage_completed = 99;
  publish(book);
  advance(10s);
  CHECK(asked() == 0);
  book.training->statistics.percentage_completed = 100;
  publish(book);
  advance(1s);
  CHECK(asked() == 2);
}

TEST_CASE_FIXTURE(fixture, "a backend that reports progress is reachable, even "
                           "if it does not answer") {
  connect(true);
  backend->status.answer({});
  backend->check.fail(ec::no_responders);
  publish(book_of(job_state::submitted));
  advance(1h);
  CHECK_FALSE(overview().backend.reachable);
  auto book = book_of(job_state::training);
  book.training->progressed = true;
  book.training->updated_at = wall_now();
  publish(book);
  CHECK(overview().backend.reachable);
  advance(1h);
  CHECK(overview().backend.reachable);
  advance(2h);
  CHECK_FALSE(overview().backend.reachable);
}

TEST_CASE_FIXTURE(fixture, "an outage of NATS is published at once") {
  connect(true);
  publish(book_of(job_state::training));
  CHECK(overview().backend.nats_connected);
  auto before = published->size();
  connect(false);
  CHECK(published->size() == before + 1);
  CHECK_FALSE(overview().backend.nats_connected);
  CHECK_FALSE(overview().backend.reachable);
  CHECK(overview().stale_reason == "no connection to NATS: cable cut");
  auto polled = asked();
  connect(true);
  CHECK(asked() == polled + 1);
  CHECK(overview().stale_reason.empty());
  CHECK(overview().backend.reachable);
}

TEST_CASE_FIXTURE(fixture,
                  "before the book is read, the outage is the reason") {
  connect(false);
  auto x = ask(aut, overview_atom_v);
  CHECK(x->code() == ec::disconnected);
  CHECK(text_of(x->error).find("cable cut") != std::string::npos);
}
