#include "actors/training.hpp"

#include "actors/training_status.hpp"

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
  store_script_ptr store = std::make_shared<store_script>();
  backend_actor backend_edge = spawn(fake_backend, backend);
  store_actor store_edge = spawn(fake_store, store);
  training_status_actor status = spawn(training_status, backend_edge,
                                       store_edge, training_status_config{});
  training_actor aut = spawn(training, backend_edge, store_edge, status,
                             training_config{});

  auto submit(workload_list xs) {
    return ask(aut, train_atom_v, std::move(xs));
  }

  const workload_list& sent(size_t i) const {
    return std::get<0>(backend->train.call(i));
  }
};

} // namespace

TEST_CASE_FIXTURE(fixture, "a new workload is a training") {
  backend->watchlist.answer({a});
  store->get.answer({{}, 7});
  auto x = submit({b, a, b});
  REQUIRE(x->value);
  CHECK(x->value->response == "training job submitted");
  CHECK(x->value->action == training_action::train);
  CHECK(sent(0) == workload_list{a, b});
  REQUIRE(store->put_if.calls() == 1);
  CHECK(store->put_if.last() == std::tuple{fresh, uint64_t{7}});
  CHECK(store->put.calls() == 0);
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
  backend->train.answer("the backend's words");
  auto x = submit(next);
  REQUIRE(x->value);
  CHECK(x->value->response == "the backend's words");
  CHECK(x->value->action == action);
  CHECK(sent(0) == next);
  CHECK(store->put_if.calls() == 0);
}

TEST_CASE_FIXTURE(fixture, "everything is asked at once, the backend's "
                           "watchlist before the submission") {
  backend->watchlist.hold();
  backend->train.hold();
  store->get.hold();
  submit({a});
  CHECK(backend->asked == std::vector<std::string>{"watchlist", "train"});
  CHECK(store->get.calls() == 1);
}

TEST_CASE_FIXTURE(fixture, "the answer comes when all three have answered, in "
                           "whatever order") {
  backend->watchlist.hold();
  backend->train.hold();
  store->get.hold();
  auto x = submit({a});
  std::vector<std::function<void()>> answers{
    [&] { backend->watchlist.release({}); },
    [&] { backend->train.release("training job submitted"); },
    [&] {
      store->get.release({{}, 7});
    },
  };
  size_t first = 0;
  SUBCASE("the watchlist first") {
    first = 0;
  }
  SUBCASE("the submission first") {
    first = 1;
  }
  SUBCASE("the revision first") {
    first = 2;
  }
  for (size_t i = 0; i < 3; ++i) {
    CHECK_FALSE(x->done());
    answers[(first + i) % 3]();
    run();
  }
  REQUIRE(x->value);
  CHECK(x->value->action == training_action::train);
  CHECK(store->put_if.last() == std::tuple{fresh, uint64_t{7}});
}

TEST_CASE_FIXTURE(fixture, "without the old watchlist nothing is shown on a "
                           "guess") {
  backend->watchlist.fail(ec::bad_reply);
  SUBCASE("workloads") {
    auto x = submit({a});
    REQUIRE(x->value);
    CHECK(x->value->response == "training job submitted");
    CHECK(x->value->action == training_action::none);
  }
  SUBCASE("none") {
    auto x = submit({});
    REQUIRE(x->value);
    CHECK(x->value->action == training_action::reset);
  }
  SUBCASE("and without the revision") {
    store->get.fail(ec::disconnected);
    CHECK(submit({a})->value);
  }
  CHECK(backend->train.calls() == 1);
  CHECK(store->put_if.calls() == 0);
}

TEST_CASE_FIXTURE(fixture, "without the revision nothing is stored") {
  store->get.fail(ec::disconnected);
  auto x = submit({a});
  REQUIRE(x->value);
  CHECK(x->value->response == "training job submitted");
  CHECK(x->value->action == training_action::train);
  CHECK(store->put_if.calls() == 0);
  CHECK(store->put.calls() == 0);
}

TEST_CASE_FIXTURE(fixture, "a refused submission stores nothing, whatever the "
                           "questions' answers") {
  backend->train.fail(ec::refused);
  SUBCASE("they came") {
    CHECK(submit({a})->code() == ec::refused);
  }
  SUBCASE("they come late") {
    backend->watchlist.hold();
    store->get.hold();
    CHECK(submit({a})->code() == ec::refused);
    backend->watchlist.release({});
    store->get.release({});
  }
  SUBCASE("they fail late") {
    backend->watchlist.hold();
    store->get.hold();
    CHECK(submit({a})->code() == ec::refused);
    advance(5s);
  }
  run();
  CHECK(store->put_if.calls() == 0);
  backend->train.answer("done");
  backend->watchlist.answer({});
  store->get.answer({});
  CHECK(submit({a})->value);
}

TEST_CASE_FIXTURE(fixture, "an error of the backend names the remedy") {
  auto text = [&](ec code) {
    backend->train.fail(code, "what happened");
    auto x = submit({a});
    CHECK(x->code() == code);
    CHECK(text_of(x->error).starts_with("what happened"));
    return text_of(x->error);
  };
  CHECK(text(ec::no_responders).ends_with("start it, then submit again"));
  CHECK(text(ec::timeout).find("may have started") != std::string::npos);
  CHECK(text(ec::bad_reply).find("--backend-protocol") != std::string::npos);
  CHECK(text(ec::refused) == "what happened");
  CHECK(store->put_if.calls() == 0);
}

TEST_CASE_FIXTURE(fixture, "the first progress may be faster than the first "
                           "statistics") {
  backend->train.hold();
  store->get.answer({{}, 4});
  auto x = submit({a});
  store->put_if.fail(ec::conflict);
  backend->train.release("training job submitted");
  run();
  REQUIRE(x->value);
  CHECK(x->value->response == "training job submitted");
  CHECK(std::get<1>(store->put_if.last()) == 4);
}

TEST_CASE_FIXTURE(fixture, "nobody waits for the first statistics") {
  store->put_if.hold();
  auto x = submit({a});
  CHECK(x->value);
  CHECK(store->put_if.held() == 1);
  SUBCASE("the next submission neither") {
    CHECK(submit({b})->value);
  }
  SUBCASE("nor for ever does who reads them") {
    auto y = ask(status, get_atom_v);
    advance(5s);
    CHECK(y->value);
  }
}

TEST_CASE_FIXTURE(fixture, "who reads after a submission sees that it began") {
  store->put_if.hold();
  CHECK(submit({a})->value);
  auto x = ask(status, get_atom_v);
  CHECK_FALSE(x->done());
  store->get.answer({fresh, 1});
  store->put_if.release(1);
  run();
  REQUIRE(x->value);
  CHECK((*x->value)->value().statistics == fresh);
}

TEST_CASE_FIXTURE(fixture, "the first statistics are sent before the answer") {
  std::vector<std::string> order;
  auto fake_status = [&](training_status_actor::pointer, int) {
    return training_status_actor::behavior_type{
      [](get_atom) -> caf::result<snapshot_ptr<model_status>> {
        return make_error(ec::internal, "not asked for");
      },
      [](put_atom, const training_statistics&) { /* nop */ },
      [&](put_atom, const training_statistics&, uint64_t) {
        order.emplace_back("statistics");
      },
      [](put_atom, const model_status_update&) { /* nop */ },
    };
  };
  auto submitter = [&](caf::event_based_actor* self, training_actor to) {
    self->request(to, 30s, train_atom_v, workload_list{a})
      .then([&](const training_result&) { order.emplace_back("answer"); },
            [&](const caf::error&) { order.emplace_back("error"); });
  };
  status = spawn(fake_status, 0);
  aut = spawn(training, backend_edge, store_edge, status, training_config{});
  spawn(submitter, aut);
  run();
  CHECK(order == std::vector<std::string>{"statistics", "answer"});
}

TEST_CASE_FIXTURE(fixture, "what the backend accepted is accepted, even when "
                           "the first statistics cannot be stored") {
  store->put_if.fail(ec::disconnected);
  CHECK(submit({a})->value);
  CHECK(submit({b})->value);
  CHECK(store->put_if.calls() == 2);
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

TEST_CASE_FIXTURE(fixture, "sixteen may wait, the next one is turned away") {
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

TEST_CASE_FIXTURE(fixture, "the backend gets what is left of the time") {
  backend->train.hold();
  submit({a});
  submit({b});
  CHECK(std::get<1>(backend->train.last()) == 15s);
  advance(4s);
  backend->train.release("done");
  run();
  CHECK(std::get<1>(backend->train.last()) == 11s);
}

TEST_CASE_FIXTURE(fixture, "a silent backend is a timeout in the end") {
  backend->train.hold();
  auto start = now();
  auto x = submit({a});
  advance(15s);
  CHECK_FALSE(x->done());
  advance(training_grace);
  CHECK(x->code() == ec::timeout);
  CHECK(x->at - start == 15s + training_grace);
}

TEST_CASE_FIXTURE(fixture, "a question that is not answered delays, but does "
                           "not fail") {
  training_action action;
  SUBCASE("the watchlist") {
    backend->watchlist.hold();
    action = training_action::none;
  }
  SUBCASE("the statistics") {
    store->get.hold();
    action = training_action::train;
  }
  auto x = submit({a});
  advance(4999ms);
  CHECK_FALSE(x->done());
  advance(1ms);
  REQUIRE(x->value);
  CHECK(x->value->action == action);
  CHECK(store->put_if.calls() == 0);
}

TEST_CASE_FIXTURE(fixture, "questions get no more than what is left of the "
                           "time") {
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
  CHECK(x->value);
}

TEST_CASE_FIXTURE(fixture, "who waited too long is not submitted") {
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

TEST_CASE_FIXTURE(fixture, "late answers of a failed submission do not disturb "
                           "the next one") {
  backend->watchlist.hold();
  store->get.hold();
  backend->train.fail(ec::no_responders);
  CHECK(submit({a})->code() == ec::no_responders);
  backend->train.answer("done");
  auto y = submit({b});
  backend->watchlist.release({b});
  store->get.release({{}, 3});
  run();
  CHECK_FALSE(y->done());
  backend->watchlist.release({});
  store->get.release({{}, 9});
  run();
  REQUIRE(y->value);
  CHECK(y->value->action == training_action::train);
  REQUIRE(store->put_if.calls() == 1);
  CHECK(std::get<1>(store->put_if.last()) == 9);
}

TEST_CASE_FIXTURE(fixture, "a backend that crashes fails the submission") {
  backend->train.crash();
  CHECK(submit({a})->code() == ec::internal);
  CHECK(submit({a})->code() == ec::overloaded);
}
