#include "actors/training/training.hpp"

#include "actors/training/training_jobs.hpp"

#include "tests/support/deterministic.hpp"
#include "tests/support/fakes.hpp"

#include <doctest/doctest.h>

#include <functional>

using namespace aiops;
using namespace aiops::test;

namespace {

const workload a{"c", "n", "a"};
const workload b{"c", "n", "b"};

/// What is shown until the backend reports progress.
const training_statistics fresh{0, 0, 3600, 0, 0.0, ""};

struct fixture : deterministic {
  backend_script_ptr backend = std::make_shared<backend_script>();
  job_store_script_ptr store = std::make_shared<job_store_script>();
  backend_actor edge = spawn(fake_backend, backend);
  training_jobs_actor jobs;
  training_actor aut;
  int ids = 0;

  fixture() {
    training_jobs_config book;
    book.wall_clock = [this] { return wall_now(); };
    auto keeper = spawn(fake_job_store, store);
    jobs = spawn(training_jobs, keeper, edge, book);
    training_config cfg;
    cfg.train_timeout = 15s;
    cfg.make_id = [this] { return "id-" + std::to_string(++ids); };
    aut = spawn(training, edge, jobs, keeper, cfg);
    run();
  }

  auto submit(workload_list xs, bool force = true) {
    return ask(aut, train_atom_v, training_request{std::move(xs), force});
  }

  auto preview(workload_list xs) {
    return ask(aut, train_atom_v, training_request{std::move(xs), false, true});
  }

  const workload_list& sent(size_t i) const {
    return std::get<0>(backend->train.call(i)).workloads;
  }

  /// The job with that id, in the book or in the history.
  job_state state_of(const std::string& id) const {
    if (auto job = find_job(book(), id))
      return job->state;
    for (auto& [number, job] : store->history)
      if (job.id == id)
        return job.state;
    FAIL("no such job");
    return {};
  }

  /// Reports the end of the training.
  void complete() {
    ask(jobs, put_atom_v, job_change{job_progress{{}, "completed", {}}});
  }

  const training_book& book() const {
    return store->book.value;
  }
};

} // namespace

TEST_CASE_FIXTURE(fixture, "a new workload starts a training") {
  backend->watchlist.answer({a});
  auto x = submit({b, a, b});
  REQUIRE(x->value);
  CHECK(x->value->response == "training job submitted");
  CHECK(x->value->action == training_action::train);
  CHECK(x->value->job_id == "id-1");
  CHECK(x->value->changes.added == workload_list{b});
  CHECK(sent(0) == workload_list{a, b});
  CHECK(std::get<0>(backend->train.last()).id == "id-1");
  CHECK(book().training->id == "id-1");
  CHECK(book().training->workloads == workload_list{a, b});
  CHECK(book().watchlist.job_id == "id-1");
  CHECK(store->watchlists.at("id-1") == workload_list{a, b});
  CHECK(book().model == model_status{"training", fresh});
}

TEST_CASE_FIXTURE(fixture, "without a new workload no training is shown") {
  workload_list next;
  training_action action;
  SUBCASE("fewer workloads") {
    next = {a};
    action = training_action::update;
  }
  SUBCASE("none") {
    next = {};
    action = training_action::reset;
  }
  SUBCASE("the same") {
    next = {a, b};
    action = training_action::none;
  }
  backend->watchlist.answer({b, a});
  backend->train.answer("custom response");
  auto x = submit(next);
  REQUIRE(x->value);
  CHECK(x->value->response == "custom response");
  CHECK(x->value->action == action);
  CHECK(sent(0) == next);
  CHECK(state_of("id-1") == job_state::completed);
  CHECK(book().watchlist.workloads == next);
  CHECK(book().model.status != "training");
  CHECK(book().model.statistics.remaining_time == 0);
}

TEST_CASE_FIXTURE(fixture, "the job is stored before the backend is asked, and "
                           "its outcome before the answer") {
  backend->train.hold();
  auto x = submit({a});
  REQUIRE(pending(book()));
  CHECK(book().submission->id == "id-1");
  CHECK(book().submission->response.empty());
  CHECK_FALSE(x->done());
  backend->train.release("training job submitted");
  run();
  CHECK(x->value);
  CHECK(book().training->response == "training job submitted");
}

TEST_CASE_FIXTURE(fixture,
                  "without the backend's watchlist that of the book is used") {
  submit({a});
  complete();
  backend->watchlist.fail(ec::bad_reply);
  auto x = submit({a, b});
  REQUIRE(x->value);
  CHECK(x->value->action == training_action::train);
  CHECK(x->value->changes.added == workload_list{b});
  complete();
  CHECK(submit({a})->value->action == training_action::update);
  CHECK(submit({})->value->action == training_action::reset);
}

TEST_CASE_FIXTURE(fixture, "a job that cannot be stored is not submitted") {
  store->down = make_error(ec::disconnected, "down");
  CHECK(submit({a})->code() == ec::disconnected);
  CHECK(backend->train.calls() == 0);
  store->down = {};
  CHECK(submit({a})->value);
}

TEST_CASE_FIXTURE(fixture, "a certain failure is undone before the answer") {
  submit({a});
  complete();
  auto before = book();
  auto code = ec::no_responders;
  SUBCASE("no backend") {
    // The code of above.
  }
  SUBCASE("the backend refused") {
    code = ec::refused;
  }
  SUBCASE("not sent") {
    code = ec::overloaded;
  }
  SUBCASE("nothing to update") {
    code = ec::not_found;
  }
  SUBCASE("unusable configuration") {
    code = ec::invalid_configuration;
  }
  backend->train.fail(code);
  CHECK(submit({b})->code() == code);
  CHECK(book().training == before.training);
  CHECK(book().watchlist == before.watchlist);
  CHECK(book().model == before.model);
  CHECK_FALSE(book().submission);
  CHECK(state_of("id-2") == job_state::failed);
  backend->train.answer("done");
  CHECK(submit({b})->value);
}

TEST_CASE_FIXTURE(fixture, "an uncertain submission is read back") {
  submit({a});
  complete();
  auto before = book();
  backend->watchlist.answer({a});
  backend->train.hold();
  auto x = submit({b});
  auto read_back = [&] {
    backend->train.release_error(ec::timeout);
    run();
    CHECK(x->code() == ec::timeout);
  };
  SUBCASE("the backend has it") {
    backend->watchlist.answer({b});
    read_back();
    CHECK(book().training->id == "id-2");
    CHECK(book().training->state == job_state::submitted);
    CHECK(book().watchlist.job_id == "id-2");
    CHECK(book().model == model_status{"training", fresh});
  }
  SUBCASE("the backend does not have it, but may get it yet") {
    read_back();
    CHECK(book().training->id == "id-2");
    CHECK(book().training->reason == "scripted failure");
    CHECK(book().watchlist == before.watchlist);
  }
  SUBCASE("the backend stays silent") {
    backend->watchlist.hold();
    read_back();
    auto next = submit({b});
    advance(5s);
    CHECK(book().training->id == "id-2");
    CHECK(book().training->reason == "scripted failure");
    CHECK(book().model == model_status{"training", fresh});
    CHECK_FALSE(next->done());
    // The first answer arrives too late.
    backend->watchlist.release({});
    backend->watchlist.release({a});
    run();
    CHECK(book().submission->id == "id-3");
  }
}

TEST_CASE_FIXTURE(fixture, "an error of the backend comes with a remedy") {
  auto text = [&](ec code) {
    backend->train.fail(code, "what happened");
    auto x = submit({a});
    CHECK(x->code() == code);
    CHECK(text_of(x->error).starts_with("what happened"));
    return text_of(x->error);
  };
  CHECK(text(ec::no_responders).ends_with("start it, then submit again"));
  CHECK(text(ec::timeout).find("may have started") != std::string::npos);
  CHECK(text(ec::lost_in_flight).find("may have started") != std::string::npos);
  CHECK(text(ec::bad_reply).find("--backend-protocol") != std::string::npos);
  CHECK(text(ec::refused) == "what happened");
}

TEST_CASE_FIXTURE(fixture, "the first progress may arrive before the answer") {
  backend->train.hold();
  auto x = submit({a});
  ask(
    jobs, put_atom_v,
    job_change{job_progress{{}, {}, training_statistics{1, 7, 9, 0, 0.0, ""}}});
  backend->train.release("training job submitted");
  run();
  REQUIRE(x->value);
  CHECK(book().training->state == job_state::training);
  CHECK(book().training->statistics.percentage_completed == 7);
}

TEST_CASE_FIXTURE(fixture, "a running training prevents a submission, unless "
                           "forced") {
  submit({a});
  auto x = submit({b}, false);
  REQUIRE(x->value);
  REQUIRE(x->value->running);
  CHECK(x->value->running->id == "id-1");
  CHECK(x->value->job_id.empty());
  CHECK(backend->train.calls() == 1);
  // A refused submission stores nothing.
  CHECK(store->watchlists.size() == 1);
  CHECK(submit({b}, true)->value);
  CHECK(book().training->workloads == workload_list{b});
  complete();
  CHECK_FALSE(submit({a}, false)->value->running);
}

TEST_CASE_FIXTURE(fixture, "a preview answers the action and changes "
                           "nothing") {
  backend->watchlist.answer({a});
  auto stored = store->books.size();
  auto x = preview({b});
  REQUIRE(x->value);
  CHECK(x->value->action == training_action::train);
  CHECK(x->value->changes.added == workload_list{b});
  CHECK(x->value->changes.removed == workload_list{a});
  CHECK(x->value->job_id.empty());
  CHECK_FALSE(x->value->running);
  CHECK(store->books.size() == stored);
  submit({a, b});
  CHECK(preview({b})->value->running->id == "id-1");
  CHECK(backend->train.calls() == 1);
  SUBCASE("and waits for no submission") {
    backend->train.hold();
    submit({b});
    CHECK(preview({b})->value);
  }
}

TEST_CASE_FIXTURE(fixture, "a 200 means that the store has the acceptance") {
  backend->train.hold();
  auto x = submit({a});
  store->down = make_error(ec::disconnected, "down");
  backend->train.release("training job submitted");
  run();
  CHECK_FALSE(x->done());
  SUBCASE("in time") {
    store->down = {};
    advance(1s);
    CHECK(x->value);
  }
  SUBCASE("not in time, but later") {
    advance(15s);
    // Not an error that asks the caller to submit again.
    CHECK(x->code() == ec::timeout);
    CHECK(text_of(x->error).find("accepted") != std::string::npos);
    store->down = {};
    advance(6s);
  }
  CHECK(book().training->response == "training job submitted");
  CHECK(book().watchlist.job_id == "id-1");
}

TEST_CASE_FIXTURE(fixture, "a refusal that cannot be stored is stored later") {
  backend->train.hold();
  auto x = submit({a});
  store->down = make_error(ec::disconnected, "down");
  backend->train.release_error(ec::no_responders);
  run();
  CHECK(x->code() == ec::no_responders);
  CHECK(pending(book()));
  store->down = {};
  advance(6s);
  CHECK_FALSE(book().submission);
  CHECK(state_of("id-1") == job_state::failed);
}

TEST_CASE_FIXTURE(fixture, "an entry whose answer is lost is found again") {
  // Stored, but the answer does not arrive.
  store->lose_answer = make_error(ec::timeout, "lost");
  auto x = submit({a});
  CHECK(x->value);
  CHECK(backend->train.calls() == 1);
}

TEST_CASE_FIXTURE(fixture, "a submission waits for that of another replica") {
  training_config cfg;
  cfg.train_timeout = 15s;
  cfg.make_id = [this] { return "id-" + std::to_string(++ids); };
  auto theirs = std::make_shared<backend_script>();
  auto keeper = spawn(fake_job_store, store);
  auto edge2 = spawn(fake_backend, theirs);
  training_jobs_config book_cfg;
  book_cfg.wall_clock = [this] { return wall_now(); };
  auto jobs2 = spawn(training_jobs, keeper, edge2, book_cfg);
  auto other = spawn(training, edge2, jobs2, keeper, cfg);
  run();
  theirs->train.hold();
  auto x = ask(other, train_atom_v, training_request{{a}, true});
  REQUIRE(pending(book()));
  backend->watchlist.answer({a});
  SUBCASE("unless it is not forced") {
    auto y = submit({a, b}, false);
    REQUIRE(y->value);
    CHECK(y->value->running->id == "id-1");
  }
  SUBCASE("and is compared with its watchlist") {
    auto y = submit({a, b});
    CHECK_FALSE(y->done());
    CHECK(backend->train.calls() == 0);
    theirs->train.release("training job submitted");
    run();
    CHECK(x->value);
    advance(1s);
    REQUIRE(y->value);
    CHECK(y->value->changes.added == workload_list{b});
    CHECK(book().training->id == y->value->job_id);
    CHECK(state_of(x->value->job_id) == job_state::superseded);
  }
  SUBCASE("but not without end") {
    auto y = submit({a, b});
    advance(15s);
    CHECK(y->code() == ec::overloaded);
    CHECK(text_of(y->error).find("DELETE") != std::string::npos);
    CHECK(backend->train.calls() == 0);
  }
}

TEST_CASE_FIXTURE(fixture, "an answer after another replica has settled the "
                           "submission is an error") {
  submit({a, b});
  complete();
  backend->watchlist.answer({a, b});
  backend->train.hold();
  auto x = submit({a});
  REQUIRE(pending(book()));
  ask(jobs, put_atom_v, job_change{job_doubt{"id-2", "not stored"}});
  backend->train.release("training job submitted");
  run();
  CHECK(x->code() == ec::timeout);
  CHECK(book().watchlist.job_id == "id-1");
}

TEST_CASE_FIXTURE(fixture, "cancelling ends with an error if others write "
                           "constantly") {
  submit({a});
  backend->stored.answer({book().model, 7, {}, "id-1", 3});
  backend->put_watchlist.fail(ec::conflict);
  CHECK(ask(jobs, delete_atom_v)->code() == ec::conflict);
  CHECK(backend->put_watchlist.calls() <= 10);
}

TEST_CASE_FIXTURE(fixture, "a submission that was cancelled meanwhile fails") {
  backend->train.hold();
  auto x = submit({a});
  CHECK(ask(jobs, delete_atom_v)->value);
  backend->train.release("training job submitted");
  run();
  CHECK(x->code() == ec::conflict);
  CHECK(book().training->state == job_state::cancelled);
  backend->train.answer("done");
  CHECK(submit({a})->value);
}

TEST_CASE_FIXTURE(fixture,
                  "a watchlist that is too large is refused before the "
                  "backend is asked") {
  store->watchlists_down = make_error(ec::too_large, "too large");
  CHECK(submit({a})->code() == ec::too_large);
  CHECK(backend->train.calls() == 0);
  CHECK(store->books.empty());
}

TEST_CASE_FIXTURE(fixture, "submissions are sent one at a time, in order") {
  backend->train.hold();
  auto x = submit({a});
  auto y = submit({b});
  auto z = submit({});
  CHECK(backend->train.calls() == 1);
  CHECK(backend->watchlist.calls() == 1);
  backend->train.release("first");
  run();
  REQUIRE(x->value);
  CHECK(x->value->response == "first");
  CHECK_FALSE(y->done());
  REQUIRE(backend->train.calls() == 2);
  backend->train.release_error(ec::refused);
  run();
  CHECK(y->code() == ec::refused);
  REQUIRE(backend->train.calls() == 3);
  backend->train.release("model reset");
  run();
  REQUIRE(z->value);
  CHECK(z->value->response == "model reset");
  CHECK(sent(0) == workload_list{a});
  CHECK(sent(1) == workload_list{b});
  CHECK(sent(2) == workload_list{});
}

TEST_CASE_FIXTURE(fixture,
                  "sixteen submissions may wait, the next is refused") {
  backend->train.hold();
  submit({a});
  std::vector<answer_ptr<training_result>> waiting;
  for (auto i = 0; i < 16; ++i)
    waiting.push_back(submit({a}));
  auto more = submit({a});
  CHECK(more->code() == ec::overloaded);
  CHECK(text_of(more->error).find("try again") != std::string::npos);
  for (auto& x : waiting)
    CHECK_FALSE(x->done());
  backend->train.answer("done");
  backend->train.release("done");
  run();
  for (auto& x : waiting)
    CHECK(x->value);
  CHECK(submit({a})->value);
}

TEST_CASE_FIXTURE(fixture, "the backend gets the remaining time") {
  backend->train.hold();
  submit({a});
  submit({b});
  CHECK(std::get<1>(backend->train.last()) == 15s);
  advance(4s);
  backend->train.release("done");
  run();
  CHECK(std::get<1>(backend->train.last()) == 11s);
}

TEST_CASE_FIXTURE(fixture, "a silent backend causes a timeout") {
  backend->train.hold();
  auto start = now();
  auto x = submit({a});
  advance(15s);
  CHECK_FALSE(x->done());
  advance(training_grace);
  CHECK(x->code() == ec::timeout);
  CHECK(x->at - start == 15s + training_grace);
}

TEST_CASE_FIXTURE(fixture,
                  "a backend that does not answer its watchlist delays "
                  "a submission, but does not fail it") {
  backend->watchlist.hold();
  auto x = submit({a});
  advance(4999ms);
  CHECK_FALSE(x->done());
  advance(1ms);
  REQUIRE(x->value);
  CHECK(x->value->action == training_action::train);
}

TEST_CASE_FIXTURE(fixture, "requests get at most the remaining time") {
  backend->train.hold();
  submit({a});
  auto x = submit({b});
  advance(14s);
  backend->watchlist.hold();
  backend->train.answer("done");
  backend->train.release("done");
  run();
  CHECK_FALSE(x->done());
  advance(1s);
  CHECK(x->done());
}

TEST_CASE_FIXTURE(fixture, "a submission that waited too long is not sent") {
  backend->train.hold();
  auto x = submit({a});
  advance(100ms);
  auto y = submit({b});
  advance(15s + training_grace);
  CHECK(x->code() == ec::timeout);
  CHECK(y->code() == ec::timeout);
  CHECK(text_of(y->error).ends_with("nothing was submitted, try again"));
  CHECK(backend->train.calls() == 1);
  backend->train.answer("done");
  CHECK(submit({b})->value);
}

TEST_CASE_FIXTURE(fixture, "a backend that crashes fails the submission") {
  backend->train.crash();
  CHECK(submit({a})->code() == ec::internal);
  CHECK(submit({a})->done());
}

TEST_CASE_FIXTURE(fixture, "a submission is not compared with the list of one "
                           "without an outcome") {
  backend->train.hold();
  submit({a});
  REQUIRE(pending(book()));
  // In this protocol the store has it before the backend is asked.
  backend->watchlist.answer({a});
  training_config cfg;
  cfg.compare_by_book = true;
  auto other = spawn(training, edge, jobs, spawn(fake_job_store, store), cfg);
  run();
  auto x = ask(other, train_atom_v, training_request{{a}, false, true});
  REQUIRE(x->value);
  CHECK(x->value->action == training_action::train);
}
