#include "actors/training/watchlist.hpp"

#include "tests/support/deterministic.hpp"
#include "tests/support/fakes.hpp"

#include <doctest/doctest.h>

using namespace aiops;
using namespace aiops::test;

namespace {

struct fixture : deterministic {
  backend_script_ptr backend = std::make_shared<backend_script>();
  training_jobs_script_ptr jobs = std::make_shared<training_jobs_script>();
  watchlist_actor aut = spawn(watchlist, spawn(fake_backend, backend),
                              spawn(fake_training_jobs, jobs),
                              watchlist_config{});
};

} // namespace

TEST_CASE_FIXTURE(fixture, "the watchlist comes from the backend") {
  backend->watchlist.answer({{"c", "n", "d"}});
  auto x = ask(aut, get_atom_v);
  REQUIRE(x->value);
  CHECK((*x->value)->value() == workload_list{{"c", "n", "d"}});
}

TEST_CASE_FIXTURE(fixture, "concurrent readers of the watchlist share a read") {
  backend->watchlist.hold();
  auto x = ask(aut, get_atom_v);
  auto y = ask(aut, get_atom_v);
  CHECK(backend->watchlist.calls() == 1);
  CHECK_FALSE(x->done());
  backend->watchlist.release({{"c", "n", "d"}});
  run();
  REQUIRE(x->value);
  REQUIRE(y->value);
  CHECK(*x->value == *y->value);
  ask(aut, get_atom_v);
  CHECK(backend->watchlist.calls() == 2);
}

TEST_CASE_FIXTURE(fixture, "an unchanged watchlist keeps its bytes") {
  backend->watchlist.answer({{"c", "n", "d"}});
  auto x = ask(aut, get_atom_v);
  auto y = ask(aut, get_atom_v);
  CHECK(*x->value == *y->value);
  backend->watchlist.answer({{"c", "n", "e"}});
  auto z = ask(aut, get_atom_v);
  CHECK(*z->value != *x->value);
}

TEST_CASE_FIXTURE(fixture, "a failing backend fails all waiting callers") {
  backend->watchlist.hold();
  auto x = ask(aut, get_atom_v);
  auto y = ask(aut, get_atom_v);
  backend->watchlist.release_error(ec::no_responders);
  run();
  CHECK(x->code() == ec::no_responders);
  CHECK(y->code() == ec::no_responders);
  backend->watchlist.answer({});
  CHECK(ask(aut, get_atom_v)->value);
}

TEST_CASE_FIXTURE(fixture, "a silent backend causes a timeout") {
  backend->watchlist.hold();
  auto x = ask(aut, get_atom_v);
  advance(4999ms);
  CHECK_FALSE(x->done());
  advance(1ms);
  CHECK(x->code() == ec::timeout);
}

TEST_CASE_FIXTURE(fixture, "a backend that crashes causes an error at once") {
  backend->watchlist.crash();
  CHECK(ask(aut, get_atom_v)->code() == ec::internal);
  CHECK(ask(aut, get_atom_v)->code() == ec::overloaded);
}

TEST_CASE_FIXTURE(fixture, "the watchlist that gateways submitted comes from "
                           "the book") {
  run();
  CHECK(ask(aut, overview_atom_v)->code() == ec::overloaded);
  jobs->publish({});
  run();
  auto none = ask(aut, overview_atom_v);
  REQUIRE(none->value);
  CHECK((*none->value)->value() == watchlist_overview{});
  stored_book book;
  book.value.watchlist.job_id = "1";
  book.value.watchlist.workloads = {{"c", "n", "d"}};
  book.value.watchlist.submitted_at = wall_now();
  jobs->publish(book);
  run();
  auto x = ask(aut, overview_atom_v);
  REQUIRE(x->value);
  CHECK((*x->value)->value()
        == watchlist_overview{{{"c", "n", "d"}}, "1", wall_now()});
  // Neither progress nor a submission that the backend did not accept changes
  // it.
  book.value.training.emplace().statistics.percentage_completed = 7;
  auto& submission = book.value.submission.emplace();
  submission.id = "2";
  submission.workloads = {{"c", "n", "e"}};
  jobs->publish(book);
  run();
  CHECK(*ask(aut, overview_atom_v)->value == *x->value);
  CHECK(backend->asked.empty());
}
