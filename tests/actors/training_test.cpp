#include "actors/training.hpp"

#include "tests/support/deterministic.hpp"
#include "tests/support/fakes.hpp"

#include <doctest/doctest.h>

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
  training_actor aut = spawn(training, backend_edge, store_edge,
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

TEST_CASE_FIXTURE(fixture, "backend and store are asked at the same time, and "
                           "before anything is sent") {
  backend->watchlist.hold();
  store->get.hold();
  submit({a});
  CHECK(backend->watchlist.calls() == 1);
  CHECK(store->get.calls() == 1);
  store->get.release({});
  run();
  CHECK(backend->train.calls() == 0);
  backend->watchlist.release({});
  run();
  CHECK(backend->train.calls() == 1);
}

TEST_CASE_FIXTURE(fixture, "nothing is half done when a question fails") {
  ec code;
  SUBCASE("the backend is down") {
    code = ec::no_responders;
    backend->watchlist.fail(code);
  }
  SUBCASE("the backend's watchlist cannot be read") {
    code = ec::bad_reply;
    backend->watchlist.fail(code);
  }
  SUBCASE("the statistics cannot be read") {
    code = ec::disconnected;
    store->get.fail(code);
  }
  SUBCASE("both fail") {
    code = ec::disconnected;
    backend->watchlist.fail(code);
    store->get.fail(ec::timeout);
  }
  auto x = submit({a});
  CHECK(x->code() == code);
  CHECK(backend->train.calls() == 0);
  CHECK(store->put_if.calls() == 0);
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

TEST_CASE_FIXTURE(fixture, "what the backend accepted is accepted, even when "
                           "the first statistics cannot be stored") {
  SUBCASE("an error") {
    store->put_if.fail(ec::disconnected);
    CHECK(submit({a})->value);
  }
  SUBCASE("no answer") {
    store->put_if.hold();
    auto x = submit({a});
    advance(5s);
    CHECK(x->value);
  }
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
  backend->watchlist.hold();
  submit({a});
  advance(4s);
  backend->watchlist.release({});
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

TEST_CASE_FIXTURE(fixture, "a question that is not answered is a timeout") {
  SUBCASE("the watchlist") {
    backend->watchlist.hold();
  }
  SUBCASE("the statistics") {
    store->get.hold();
  }
  auto x = submit({a});
  advance(4999ms);
  CHECK_FALSE(x->done());
  advance(1ms);
  CHECK(x->code() == ec::timeout);
  CHECK(text_of(x->error).ends_with("nothing was submitted, try again"));
  CHECK(backend->train.calls() == 0);
}

TEST_CASE_FIXTURE(fixture, "who waited too long is not submitted") {
  backend->train.hold();
  auto x = submit({a});
  advance(100ms);
  auto y = submit({b});
  advance(15s + training_grace);
  CHECK(x->code() == ec::timeout);
  CHECK(y->code() == ec::timeout);
  CHECK(backend->train.calls() == 1);
  backend->train.answer("done");
  CHECK(submit({b})->value);
}

TEST_CASE_FIXTURE(fixture, "a late second half of a failed question does not "
                           "disturb the next submission") {
  backend->watchlist.fail(ec::no_responders);
  store->get.hold();
  CHECK(submit({a})->code() == ec::no_responders);
  backend->watchlist.hold();
  auto y = submit({b});
  store->get.release({{}, 3});
  run();
  CHECK(backend->train.calls() == 0);
  backend->watchlist.release({});
  run();
  CHECK(backend->train.calls() == 0);
  store->get.release({{}, 9});
  run();
  REQUIRE(y->value);
  CHECK(std::get<1>(store->put_if.last()) == 9);
}

TEST_CASE_FIXTURE(fixture, "a backend that crashes fails the submission") {
  backend->train.crash();
  CHECK(submit({a})->code() == ec::internal);
  CHECK(submit({a})->code() == ec::overloaded);
}
