#include "actors/supervisor.hpp"

#include "tests/support/deterministic.hpp"
#include "tests/support/fakes.hpp"

#include "actors/gpu_info.hpp"
#include "actors/training/watchlist.hpp"

#include <doctest/doctest.h>

#include <stdexcept>

using namespace aiops;
using namespace aiops::test;

namespace {

using names = std::vector<std::string>;

/// An actor that ignores exit messages.
caf::behavior stubborn(caf::event_based_actor* self, int) {
  self->set_exit_handler([](caf::exit_msg&) {});
  return {
    [](int) {},
  };
}

/// Children in the order backend, watchlist, probe, gpu info: the second
/// depends on the first, the fourth on the third.
struct fixture : deterministic {
  backend_script_ptr backend = std::make_shared<backend_script>();
  gpu_probe_script_ptr probe = std::make_shared<gpu_probe_script>();
  directory known;
  /// The children that were started (+) and that ended (-), in order.
  names events;
  names reasons;
  internal_supervisor_actor aut;

  template <class Handle>
  caf::actor note(const std::string& child, const Handle& handle) {
    auto result = caf::actor_cast<caf::actor>(handle);
    end_with_test(result);
    events.push_back("+" + child);
    result->attach_functor(
      [this, child](const caf::error&) { events.push_back("-" + child); });
    return result;
  }

  child_spec backend_child() {
    return {"backend", [this](caf::actor_system& sys, gateway_actors& x) {
              x.backend = sys.spawn(fake_backend, backend);
              return note("backend", x.backend);
            }};
  }

  child_spec watchlist_child() {
    return {"watchlist", [this](caf::actor_system& sys, gateway_actors& x) {
              REQUIRE(x.backend);
              x.watchlist = sys.spawn(watchlist, x.backend,
                                      training_jobs_actor{},
                                      watchlist_config{});
              return note("watchlist", x.watchlist);
            }};
  }

  child_spec probe_child() {
    return {"probe", [this](caf::actor_system& sys, gateway_actors& x) {
              x.gpu_probe = sys.spawn(fake_gpu_probe, probe);
              return note("probe", x.gpu_probe);
            }};
  }

  child_spec gpu_child() {
    return {"gpu", [this](caf::actor_system& sys, gateway_actors& x) {
              x.gpu_info = sys.spawn(gpu_info, x.gpu_probe, events_actor{},
                                     gpu_info_config{});
              return note("gpu", x.gpu_info);
            }};
  }

  child_spec stubborn_child() {
    return {"stubborn", [this](caf::actor_system& sys, gateway_actors&) {
              return note("stubborn", sys.spawn(stubborn, 0));
            }};
  }

  void start(std::vector<child_spec> children) {
    aut = spawn(supervisor, std::move(children), &known, supervisor_config{},
                [this](std::string why) { reasons.push_back(std::move(why)); });
    run();
  }

  void start_all() {
    start({backend_child(), watchlist_child(), probe_child(), gpu_child()});
  }

  names take_events() {
    return std::exchange(events, {});
  }

  ~fixture() {
    // The ends of the children are recorded in members, so they come first.
    if (aut)
      kill(aut);
    for (auto& x : {known.get()})
      for (auto& handle : {caf::actor_cast<caf::actor>(x->backend),
                           caf::actor_cast<caf::actor>(x->watchlist),
                           caf::actor_cast<caf::actor>(x->gpu_probe),
                           caf::actor_cast<caf::actor>(x->gpu_info)})
        if (handle)
          kill(handle);
  }
};

} // namespace

TEST_CASE_FIXTURE(fixture, "children are started in order and published") {
  start_all();
  CHECK(take_events() == names{"+backend", "+watchlist", "+probe", "+gpu"});
  auto x = known.get();
  CHECK(x->backend);
  CHECK(x->watchlist);
  CHECK(x->gpu_info);
  CHECK_FALSE(x->training);
  CHECK(ask(x->watchlist, get_atom_v)->value);
}

TEST_CASE_FIXTURE(fixture, "a crash replaces the child and those after it") {
  start_all();
  take_events();
  auto before = known.get();
  probe->get.crash();
  ask(before->gpu_info, get_atom_v);
  CHECK(take_events() == names{"-probe", "-gpu"});
  auto meanwhile = known.get();
  CHECK(meanwhile->watchlist == before->watchlist);
  CHECK_FALSE(meanwhile->gpu_probe);
  CHECK_FALSE(meanwhile->gpu_info);
  advance(99ms);
  CHECK(take_events().empty());
  advance(1ms);
  CHECK(take_events() == names{"+probe", "+gpu"});
  auto after = known.get();
  CHECK(after->backend == before->backend);
  CHECK(after->gpu_probe != before->gpu_probe);
  CHECK(after->gpu_info != before->gpu_info);
  probe->get.answer({});
  CHECK(ask(after->gpu_info, get_atom_v)->value);
}

TEST_CASE_FIXTURE(fixture,
                  "children after one that ended stop in reverse order") {
  start_all();
  take_events();
  kill(known.get()->backend);
  CHECK(take_events() == names{"-backend", "-gpu", "-probe", "-watchlist"});
  CHECK_FALSE(known.get()->backend);
  CHECK_FALSE(known.get()->gpu_info);
  advance(100ms);
  CHECK(take_events() == names{"+backend", "+watchlist", "+probe", "+gpu"});
  CHECK(known.get()->gpu_info);
}

TEST_CASE_FIXTURE(fixture, "a child that quits is restarted") {
  start_all();
  take_events();
  caf::anon_send_exit(known.get()->gpu_info, caf::exit_reason::user_shutdown);
  run();
  advance(100ms);
  CHECK(take_events() == names{"-gpu", "+gpu"});
}

TEST_CASE_FIXTURE(fixture, "an earlier child that dies during the pause is "
                           "restarted with the others") {
  start_all();
  take_events();
  kill(known.get()->gpu_info);
  kill(known.get()->backend);
  CHECK(take_events() == names{"-gpu", "-backend", "-probe", "-watchlist"});
  advance(1s);
  CHECK(take_events() == names{"+backend", "+watchlist", "+probe", "+gpu"});
}

TEST_CASE_FIXTURE(fixture, "the pause doubles with each restart") {
  start_all();
  for (auto pause :
       {100ms, 200ms, 400ms, 800ms, 1600ms, 3200ms, 5000ms, 5000ms}) {
    kill(known.get()->gpu_info);
    advance(pause - 1ms);
    CHECK_FALSE(known.get()->gpu_info);
    advance(1ms);
    CHECK(known.get()->gpu_info);
  }
  advance(1min);
  kill(known.get()->gpu_info);
  advance(100ms);
  CHECK(known.get()->gpu_info);
}

TEST_CASE_FIXTURE(fixture, "more than ten restarts in a minute are too many") {
  start_all();
  for (auto i = 0; i < 10; ++i) {
    kill(known.get()->gpu_info);
    advance(5s);
    REQUIRE(known.get()->gpu_info);
    CHECK(reasons.empty());
  }
  take_events();
  kill(known.get()->gpu_info);
  REQUIRE(reasons.size() == 1);
  CHECK(reasons.front().find("gpu ended") != std::string::npos);
  advance(10min);
  CHECK(take_events() == names{"-gpu"});
  kill(known.get()->backend);
  CHECK(reasons.size() == 1);
  anon_send_exit(aut, caf::exit_reason::user_shutdown);
  run();
  CHECK(take_events() == names{"-backend", "-probe", "-watchlist"});
}

TEST_CASE_FIXTURE(fixture,
                  "ten restarts in more than a minute are not too many") {
  start_all();
  for (auto i = 0; i < 40; ++i) {
    kill(known.get()->gpu_info);
    advance(7s);
    REQUIRE(known.get()->gpu_info);
  }
  CHECK(reasons.empty());
}

TEST_CASE_FIXTURE(fixture, "an exit stops the children in reverse order, then "
                           "the supervisor") {
  start_all();
  take_events();
  auto ended = false;
  aut->attach_functor([&](const caf::error&) { ended = true; });
  anon_send_exit(aut, caf::exit_reason::user_shutdown);
  run();
  CHECK(ended);
  CHECK(take_events() == names{"-gpu", "-probe", "-watchlist", "-backend"});
  CHECK_FALSE(known.get()->backend);
  advance(1min);
  CHECK(take_events().empty());
}

TEST_CASE_FIXTURE(fixture, "an exit during the pause ends the supervisor") {
  start_all();
  kill(known.get()->gpu_info);
  take_events();
  anon_send_exit(aut, caf::exit_reason::user_shutdown);
  run();
  advance(1min);
  CHECK(take_events() == names{"-probe", "-watchlist", "-backend"});
}

TEST_CASE_FIXTURE(fixture, "a child that does not stop is killed") {
  start({backend_child(), stubborn_child()});
  take_events();
  anon_send_exit(aut, caf::exit_reason::user_shutdown);
  run();
  advance(299ms);
  CHECK(take_events().empty());
  advance(1ms);
  CHECK(take_events() == names{"-stubborn", "-backend"});
}

TEST_CASE_FIXTURE(fixture, "an absent child is skipped") {
  child_spec absent{
    "absent", [](caf::actor_system&, gateway_actors&) { return caf::actor{}; }};
  start({backend_child(), absent, watchlist_child()});
  CHECK(take_events() == names{"+backend", "+watchlist"});
  kill(known.get()->backend);
  advance(100ms);
  CHECK(take_events()
        == names{"-backend", "-watchlist", "+backend", "+watchlist"});
  anon_send_exit(aut, caf::exit_reason::user_shutdown);
  run();
  CHECK(take_events() == names{"-watchlist", "-backend"});
}

TEST_CASE_FIXTURE(fixture, "a child that cannot start is started again later") {
  auto failures = 2;
  child_spec weak{"weak", [&](caf::actor_system&, gateway_actors&) {
                    if (failures-- > 0)
                      throw std::runtime_error("no thread");
                    return caf::actor{};
                  }};
  start({backend_child(), weak, watchlist_child()});
  CHECK(take_events() == names{"+backend"});
  CHECK(known.get()->backend);
  advance(100ms);
  CHECK(take_events().empty());
  advance(200ms);
  CHECK(take_events() == names{"+watchlist"});
  CHECK(known.get()->watchlist);
  CHECK(reasons.empty());
}
