#include "actors/training_status.hpp"

#include "tests/support/deterministic.hpp"
#include "tests/support/fakes.hpp"

#include <doctest/doctest.h>

#include <functional>

using namespace aiops;
using namespace aiops::test;

namespace {

const training_statistics half{30, 50, 30, 3, 0.5, "train"};

struct fixture : deterministic {
  backend_script_ptr backend = std::make_shared<backend_script>();
  store_script_ptr store = std::make_shared<store_script>();
  backend_actor backend_edge = spawn(fake_backend, backend);
  store_actor store_edge = spawn(fake_store, store);
  training_status_actor aut = spawn(training_status, backend_edge, store_edge,
                                    training_status_config{});
};

} // namespace

TEST_CASE_FIXTURE(fixture, "a status has the backend's words and the store's "
                           "statistics") {
  backend->status.answer("training");
  store->get.answer({half, 7});
  auto x = ask(aut, get_atom_v);
  REQUIRE(x->value);
  CHECK((*x->value)->value() == model_status{"training", half});
}

TEST_CASE_FIXTURE(fixture, "backend and store are asked at the same time") {
  backend->status.hold();
  store->get.hold();
  auto x = ask(aut, get_atom_v);
  CHECK(backend->status.calls() == 1);
  CHECK(store->get.calls() == 1);
  store->get.release({half, 1});
  run();
  CHECK_FALSE(x->done());
  backend->status.release("training");
  run();
  REQUIRE(x->value);
}

TEST_CASE_FIXTURE(fixture, "concurrent readers of the status share a read") {
  backend->status.hold();
  std::vector<answer_ptr<snapshot_ptr<model_status>>> readers;
  for (auto i = 0; i < 64; ++i)
    readers.push_back(ask(aut, get_atom_v));
  CHECK(backend->status.calls() == 1);
  CHECK(store->get.calls() == 1);
  backend->status.release("completed");
  run();
  for (auto& reader : readers) {
    REQUIRE(reader->value);
    CHECK(*reader->value == *readers.front()->value);
  }
  backend->status.answer("completed");
  ask(aut, get_atom_v);
  CHECK(backend->status.calls() == 2);
}

TEST_CASE_FIXTURE(fixture, "an unchanged status keeps its bytes") {
  auto x = ask(aut, get_atom_v);
  auto y = ask(aut, get_atom_v);
  CHECK(*x->value == *y->value);
  backend->status.answer("training");
  CHECK(*ask(aut, get_atom_v)->value != *x->value);
}

TEST_CASE_FIXTURE(fixture, "either side's failure fails the read at once") {
  SUBCASE("the backend's") {
    backend->status.fail(ec::no_responders);
    store->get.hold();
    CHECK(ask(aut, get_atom_v)->code() == ec::no_responders);
    // The other half comes too late to matter.
    backend->status.answer("training");
    auto next = ask(aut, get_atom_v);
    store->get.release({half, 1});
    run();
    CHECK_FALSE(next->done());
    store->get.release({{}, 2});
    run();
    REQUIRE(next->value);
    CHECK((*next->value)->value() == model_status{"training", {}});
  }
  SUBCASE("the store's") {
    store->get.fail(ec::disconnected);
    CHECK(ask(aut, get_atom_v)->code() == ec::disconnected);
  }
  SUBCASE("both") {
    backend->status.fail(ec::disconnected);
    store->get.fail(ec::timeout);
    CHECK(ask(aut, get_atom_v)->code() == ec::disconnected);
  }
}

TEST_CASE_FIXTURE(fixture, "a silent backend or store is a timeout") {
  SUBCASE("backend") {
    backend->status.hold();
  }
  SUBCASE("store") {
    store->get.hold();
  }
  auto x = ask(aut, get_atom_v);
  advance(4999ms);
  CHECK_FALSE(x->done());
  advance(1ms);
  CHECK(x->code() == ec::timeout);
}

TEST_CASE_FIXTURE(fixture, "progress is acknowledged when it is stored") {
  store->put.hold();
  auto x = ask(aut, put_atom_v, half);
  CHECK_FALSE(x->done());
  CHECK(std::get<0>(store->put.last()) == half);
  store->put.release(1);
  run();
  CHECK(x->value);
}

TEST_CASE_FIXTURE(fixture, "progress that cannot be stored is an error") {
  SUBCASE("refused") {
    store->put.fail(ec::disconnected);
    CHECK(ask(aut, put_atom_v, half)->code() == ec::disconnected);
  }
  SUBCASE("no answer") {
    store->put.hold();
    auto x = ask(aut, put_atom_v, half);
    advance(5s);
    CHECK(x->code() == ec::timeout);
  }
}

TEST_CASE_FIXTURE(fixture, "a status update stores its statistics, if any") {
  CHECK(ask(aut, put_atom_v, model_status_update{"completed", {}})->value);
  CHECK(store->put.calls() == 0);
  CHECK(ask(aut, put_atom_v, model_status_update{"training", half})->value);
  REQUIRE(store->put.calls() == 1);
  CHECK(std::get<0>(store->put.last()) == half);
  store->put.fail(ec::timeout);
  CHECK(ask(aut, put_atom_v, model_status_update{"training", half})->code()
        == ec::timeout);
}

TEST_CASE_FIXTURE(fixture, "a read that began before a put was acknowledged "
                           "does not answer who asks after it") {
  store->get.hold();
  auto early = ask(aut, get_atom_v);
  CHECK(ask(aut, put_atom_v, half)->value);
  auto late = ask(aut, get_atom_v);
  auto later = ask(aut, get_atom_v);
  CHECK(store->get.calls() == 1);
  store->get.release({{}, 0});
  run();
  REQUIRE(early->value);
  CHECK((*early->value)->value().statistics == training_statistics{});
  CHECK_FALSE(late->done());
  CHECK(store->get.calls() == 2);
  store->get.release({half, 1});
  run();
  REQUIRE(late->value);
  REQUIRE(later->value);
  CHECK((*late->value)->value().statistics == half);
  CHECK(store->get.calls() == 2);
}

TEST_CASE_FIXTURE(fixture, "after a put that failed, too, nobody rides on an "
                           "older read") {
  store->get.hold();
  ask(aut, get_atom_v);
  store->put.fail(ec::timeout);
  ask(aut, put_atom_v, half);
  auto late = ask(aut, get_atom_v);
  store->get.release_error(ec::timeout);
  run();
  CHECK_FALSE(late->done());
  store->get.release({half, 1});
  run();
  CHECK(late->value);
}

TEST_CASE_FIXTURE(fixture, "a read does not start before the end of a put "
                           "that was there first") {
  std::function<void()> end;
  SUBCASE("stored") {
    store->put.hold();
    ask(aut, put_atom_v, half);
    end = [&] { store->put.release(1); };
  }
  SUBCASE("not stored") {
    store->put.hold();
    ask(aut, put_atom_v, half);
    end = [&] { store->put.release_error(ec::disconnected); };
  }
  SUBCASE("with a status") {
    store->put.hold();
    ask(aut, put_atom_v, model_status_update{"training", half});
    end = [&] { store->put.release(1); };
  }
  SUBCASE("guarded") {
    store->put_if.hold();
    ask(aut, put_atom_v, half, uint64_t{7});
    end = [&] { store->put_if.release(8); };
  }
  SUBCASE("guarded, and late") {
    store->put_if.hold();
    ask(aut, put_atom_v, half, uint64_t{7});
    end = [&] { store->put_if.release_error(ec::conflict); };
  }
  SUBCASE("no answer") {
    store->put.hold();
    ask(aut, put_atom_v, half);
    end = [&] { advance(5s); };
  }
  store->get.answer({half, 8});
  auto x = ask(aut, get_atom_v);
  auto y = ask(aut, get_atom_v);
  CHECK(store->get.calls() == 0);
  CHECK(backend->status.calls() == 0);
  end();
  run();
  CHECK(store->get.calls() == 1);
  REQUIRE(x->value);
  REQUIRE(y->value);
  CHECK((*x->value)->value().statistics == half);
}

TEST_CASE_FIXTURE(fixture, "a read in flight does not answer who asks while a "
                           "put is in flight") {
  store->get.hold();
  store->put.hold();
  auto early = ask(aut, get_atom_v);
  ask(aut, put_atom_v, half);
  auto late = ask(aut, get_atom_v);
  store->get.release({{}, 0});
  run();
  CHECK(early->value);
  CHECK_FALSE(late->done());
  CHECK(store->get.calls() == 1);
  store->put.release(1);
  run();
  store->get.release({half, 1});
  run();
  REQUIRE(late->value);
  CHECK((*late->value)->value().statistics == half);
}

TEST_CASE_FIXTURE(fixture, "a reader waits for the puts that were there first, "
                           "and for no later ones") {
  store->put.hold();
  ask(aut, put_atom_v, half);
  ask(aut, put_atom_v, half);
  auto x = ask(aut, get_atom_v);
  ask(aut, put_atom_v, half);
  auto y = ask(aut, get_atom_v);
  store->put.release(1);
  run();
  CHECK(store->get.calls() == 0);
  store->put.release(2);
  run();
  CHECK(store->get.calls() == 1);
  CHECK(x->value);
  CHECK_FALSE(y->done());
  store->put.release(3);
  run();
  CHECK(store->get.calls() == 2);
  CHECK(y->value);
}

TEST_CASE_FIXTURE(fixture, "a steady stream of puts starves nobody") {
  store->put.hold();
  ask(aut, put_atom_v, half);
  for (auto i = 0; i < 100; ++i) {
    auto x = ask(aut, get_atom_v);
    ask(aut, put_atom_v, half);
    CHECK_FALSE(x->done());
    store->put.release(1);
    run();
    CHECK(x->value);
  }
}

TEST_CASE_FIXTURE(fixture, "guarded progress names its revision") {
  SUBCASE("stored") {
    CHECK(ask(aut, put_atom_v, half, uint64_t{7})->value);
  }
  SUBCASE("newer progress is fine") {
    store->put_if.fail(ec::conflict);
    CHECK(ask(aut, put_atom_v, half, uint64_t{7})->value);
  }
  SUBCASE("not stored") {
    store->put_if.fail(ec::disconnected);
    CHECK(ask(aut, put_atom_v, half, uint64_t{7})->code() == ec::disconnected);
  }
  SUBCASE("no answer") {
    store->put_if.hold();
    auto x = ask(aut, put_atom_v, half, uint64_t{7});
    advance(5s);
    CHECK(x->code() == ec::timeout);
  }
  CHECK(store->put_if.last() == std::tuple{half, uint64_t{7}});
  CHECK(store->put.calls() == 0);
}
