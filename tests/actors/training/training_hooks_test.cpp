#include "actors/training/training_hooks.hpp"

#include "tests/support/deterministic.hpp"
#include "tests/support/fakes.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace aiops;
using namespace aiops::test;

namespace {

/// The jobs: a book and a list that a test writes.
struct jobs_script {
  stored_book book;
  /// By number; may have jobs that the book has too.
  std::vector<training_job> jobs;
  script<snapshot_ptr<job_summaries>> list{make_snapshot(job_summaries{})};
  std::vector<book_listener_actor> listeners;

  void publish() {
    ++book.revision;
    for (auto& listener : listeners)
      caf::anon_send(listener, update_atom_v, book);
  }
};

using jobs_script_ptr = std::shared_ptr<jobs_script>;

training_jobs_actor::behavior_type fake_jobs(training_jobs_actor::pointer self,
                                             jobs_script_ptr script) {
  return {
    [](put_atom, const job_change&) -> caf::result<book_update> {
      return make_error(ec::internal, "not expected");
    },
    [=](delete_atom) { return script->book; },
    [=](get_atom) { return script->book; },
    [=](list_atom) { return script->list(self); },
    [=](get_atom, const std::string& id) -> caf::result<training_job> {
      for (auto& job : script->jobs)
        if (job.id == id)
          return job;
      return make_error(ec::not_found, "no such job");
    },
    [=](subscribe_atom, const book_listener_actor& listener) {
      script->listeners.push_back(listener);
      if (script->book.revision > 0)
        caf::anon_send(listener, update_atom_v, script->book);
    },
    [](update_atom, const stored_book&) { /* nop */ },
  };
}

using numbers = std::vector<uint64_t>;

struct fixture : deterministic {
  jobs_script_ptr jobs = std::make_shared<jobs_script>();
  job_store_script_ptr store = std::make_shared<job_store_script>();
  lease_script_ptr leases = std::make_shared<lease_script>();
  std::vector<job_hook_script_ptr> hooks;
  training_jobs_actor jobs_edge = spawn(fake_jobs, jobs);
  job_store_actor store_edge = spawn(fake_job_store, store);
  lease_actor lease_edge = spawn(fake_lease, leases);
  std::vector<job_hook_actor> hook_edges;
  training_hooks_config cfg;
  training_hooks_actor aut;
  uint64_t term = 0;
  /// Number of the submission that has no outcome; 0 for none.
  uint64_t unsettled = 0;

  fixture() {
    for (int i = 0; i < 2; ++i) {
      hooks.push_back(std::make_shared<job_hook_script>());
      hook_edges.push_back(spawn(fake_job_hook, hooks.back()));
    }
  }

  void start() {
    aut = spawn(training_hooks, jobs_edge, store_edge, lease_edge, hook_edges,
                cfg);
    run();
  }

  void give_lease() {
    leases->publish({true, ++term, now() + 24h * 365});
    run();
  }

  void take_lease() {
    leases->publish({});
    run();
  }

  void start_with_lease() {
    start();
    give_lease();
  }

  void restart() {
    kill(aut);
    jobs->listeners.clear();
    leases->listeners.clear();
    start_with_lease();
  }

  /// Sets the state of a job that the backend accepted: a new one or the last
  /// one.
  void put(uint64_t number, job_state state,
           training_action action = training_action::train) {
    if (jobs->jobs.empty() || jobs->jobs.back().number != number)
      add(number);
    unsettled = 0;
    auto& job = jobs->jobs.back();
    job.state = state;
    job.action = action;
    job.response = "training job submitted";
    publish();
  }

  /// A new job, for which the backend has not answered yet.
  void submit(uint64_t number) {
    add(number);
    unsettled = number;
    publish();
  }

  /// The backend refuses that job.
  void refuse() {
    unsettled = 0;
    jobs->jobs.back().state = job_state::failed;
    publish();
  }

  void add(uint64_t number) {
    auto& job = jobs->jobs.emplace_back();
    job.number = number;
    job.id = "job " + std::to_string(number);
  }

  /// Makes the book and the list from the jobs: the last accepted one that
  /// trains is the training.
  void publish() {
    auto& book = jobs->book.value;
    book = {};
    for (auto& job : jobs->jobs) {
      book.last_number = job.number;
      auto leaving = std::optional{job};
      if (job.number == unsettled)
        std::swap(book.submission, leaving);
      else if (job.action == training_action::train && !job.response.empty())
        std::swap(book.training, leaving);
      if (leaving)
        book.leaving.push_back(std::move(*leaving));
    }
    // The others are in the history only.
    if (auto& jobs_left = book.leaving; jobs_left.size() > max_leaving)
      jobs_left.erase(jobs_left.begin(), jobs_left.end() - max_leaving);
    jobs->list.answer(make_snapshot(listed()));
    jobs->publish();
    run();
  }

  /// The jobs as they are listed.
  job_summaries listed() const {
    job_summaries result;
    for (auto i = jobs->jobs.rbegin(); i != jobs->jobs.rend(); ++i)
      result.push_back(summary_of(*i));
    return result;
  }

  /// The jobs that a hook has received.
  numbers notified(size_t hook = 0) const {
    numbers result;
    for (size_t i = 0; i < hooks[hook]->put.calls(); ++i)
      result.push_back(std::get<0>(hooks[hook]->put.call(i)).number);
    return result;
  }
};

} // namespace

// -- which jobs ---------------------------------------------------------------

TEST_CASE_FIXTURE(fixture,
                  "every hook is notified of every job that ends, once") {
  start_with_lease();
  for (uint64_t n = 1; n <= 5; ++n) {
    put(n, job_state::submitted);
    put(n, job_state::training);
    CHECK(notified().size() == n - 1);
    put(n, n % 2 == 0 ? job_state::completed : job_state::failed);
    CHECK(store->notified == n);
  }
  advance(24h);
  CHECK(notified(0) == numbers{1, 2, 3, 4, 5});
  CHECK(notified(1) == numbers{1, 2, 3, 4, 5});
  CHECK(std::get<0>(hooks[0]->put.call(3)).state == job_state::completed);
}

TEST_CASE_FIXTURE(fixture, "hooks are notified of jobs that have ended only") {
  start_with_lease();
  for (auto state : {job_state::submitted, job_state::fetching_data,
                     job_state::training, job_state::stalled}) {
    put(1, state);
    CHECK(notified().empty());
  }
  SUBCASE("completed") {
    put(1, job_state::completed);
  }
  SUBCASE("failed") {
    put(1, job_state::failed);
  }
  SUBCASE("cancelled") {
    put(1, job_state::cancelled);
  }
  SUBCASE("superseded") {
    jobs->jobs.back().state = job_state::superseded;
    put(2, job_state::submitted);
  }
  CHECK(notified() == numbers{1});
}

TEST_CASE_FIXTURE(fixture, "progress of a job causes no request") {
  start_with_lease();
  put(1, job_state::completed);
  put(2, job_state::training);
  auto asked = jobs->list.calls();
  for (int i = 0; i < 100; ++i)
    put(2, job_state::training);
  CHECK(jobs->list.calls() == asked);
}

TEST_CASE_FIXTURE(fixture, "jobs that train nothing are skipped") {
  start_with_lease();
  put(1, job_state::completed, training_action::reset);
  put(2, job_state::completed, training_action::update);
  CHECK(store->notified == 2);
  put(3, job_state::completed);
  put(4, job_state::completed, training_action::none);
  CHECK(notified() == numbers{3});
  CHECK(store->notified == 4);
}

TEST_CASE_FIXTURE(fixture, "a job runs until the next one is accepted") {
  start_with_lease();
  put(1, job_state::training);
  submit(2);
  CHECK(notified().empty());
  SUBCASE("it is refused") {
    refuse();
    CHECK(notified().empty());
    jobs->jobs.front().state = job_state::completed;
    publish();
    CHECK(notified() == numbers{1, 2});
  }
  SUBCASE("it may have arrived") {
    jobs->jobs.back().reason = "no answer";
    publish();
    CHECK(notified().empty());
    jobs->jobs.front().state = job_state::completed;
    publish();
    CHECK(notified() == numbers{1});
  }
  SUBCASE("it is accepted") {
    jobs->jobs.front().state = job_state::superseded;
    put(2, job_state::submitted);
    CHECK(notified() == numbers{1});
  }
  SUBCASE("it trains nothing") {
    put(2, job_state::completed, training_action::update);
    CHECK(notified().empty());
    CHECK(store->notified == 0);
    jobs->jobs.front().state = job_state::completed;
    publish();
    CHECK(notified() == numbers{1});
    CHECK(store->notified == 2);
  }
}

TEST_CASE_FIXTURE(fixture, "jobs that wait for one that runs cause no "
                           "requests") {
  start_with_lease();
  put(1, job_state::training);
  submit(2);
  refuse();
  auto asked = jobs->list.calls();
  publish();
  CHECK(jobs->list.calls() == asked);
  CHECK(notified().empty());
  jobs->jobs.front().state = job_state::completed;
  publish();
  CHECK(jobs->list.calls() == asked);
  CHECK(notified() == numbers{1, 2});
}

// -- in order, at least once --------------------------------------------------

TEST_CASE_FIXTURE(fixture, "hooks are notified of earlier jobs in order") {
  for (uint64_t n = 1; n <= 4; ++n)
    put(n, job_state::completed);
  put(5, job_state::training);
  store->notified = 1;
  start_with_lease();
  CHECK(notified() == numbers{2, 3, 4});
  CHECK(notified(1) == numbers{2, 3, 4});
  CHECK(store->notified == 4);
  put(5, job_state::completed);
  CHECK(store->notified == 5);
}

TEST_CASE_FIXTURE(fixture, "a job waits until all hooks have the one before") {
  start_with_lease();
  hooks[1]->put.hold();
  put(1, job_state::completed);
  put(2, job_state::completed);
  CHECK(notified(0) == numbers{1});
  CHECK(notified(1) == numbers{1});
  CHECK(store->notified == 0);
  hooks[1]->put.release(caf::unit);
  run();
  CHECK(store->notified == 1);
  CHECK(notified(0) == numbers{1, 2});
  hooks[1]->put.release(caf::unit);
  run();
  CHECK(store->notified == 2);
}

TEST_CASE_FIXTURE(fixture, "a gap in the numbers delays no notification") {
  put(7, job_state::completed);
  put(9, job_state::training);
  start_with_lease();
  CHECK(notified() == numbers{7});
  CHECK(store->notified == 7);
  auto asked = jobs->list.calls();
  put(9, job_state::training);
  CHECK(jobs->list.calls() == asked);
  put(9, job_state::cancelled);
  CHECK(notified() == numbers{7, 9});
}

TEST_CASE_FIXTURE(fixture, "after a restart nothing is lost, and nothing is "
                           "repeated that was stored") {
  start_with_lease();
  put(1, job_state::completed);
  hooks[1]->put.fail(ec::disconnected);
  put(2, job_state::completed);
  CHECK(notified(0) == numbers{1, 2});
  hooks[1]->put.answer(caf::unit);
  restart();
  CHECK(notified(0) == numbers{1, 2, 2});
  CHECK(notified(1) == numbers{1, 2, 2});
  restart();
  advance(24h);
  CHECK(notified(0).size() == 3);
}

// -- failures -----------------------------------------------------------------

TEST_CASE_FIXTURE(fixture, "a hook that fails is tried again with growing "
                           "pauses, the others are not") {
  start_with_lease();
  hooks[1]->put.fail(ec::disconnected, "connection refused");
  put(1, job_state::completed);
  size_t n = 1;
  for (auto pause : {1s, 2s, 4s, 8s, 16s, 32s, 60s, 60s}) {
    CHECK(notified(1).size() == n);
    advance(pause - 1ms);
    CHECK(notified(1).size() == n);
    advance(1ms);
    CHECK(notified(1).size() == ++n);
  }
  CHECK(notified(0).size() == 1);
  CHECK(store->notified == 0);
  hooks[1]->put.answer(caf::unit);
  advance(60s);
  CHECK(store->notified == 1);
  // The next job starts with the first pause again.
  hooks[1]->put.fail(ec::disconnected);
  put(2, job_state::completed);
  n = notified(1).size();
  advance(1s);
  CHECK(notified(1).size() == n + 1);
}

TEST_CASE_FIXTURE(fixture, "a hook that does not answer is tried again") {
  start_with_lease();
  hooks[0]->put.hold();
  put(1, job_state::completed);
  advance(5s + 999ms);
  CHECK(notified().size() == 1);
  advance(1ms);
  CHECK(notified().size() == 2);
  // An answer that comes late changes nothing.
  hooks[0]->put.release(caf::unit);
  run();
  CHECK(store->notified == 0);
  hooks[0]->put.release(caf::unit);
  run();
  CHECK(store->notified == 1);
}

TEST_CASE_FIXTURE(fixture, "a failing hook is abandoned after some time, so "
                           "that others get the next job") {
  start_with_lease();
  hooks[1]->put.fail(ec::disconnected);
  put(1, job_state::completed);
  put(2, job_state::completed);
  advance(1h - 60s);
  CHECK(notified(0) == numbers{1});
  hooks[1]->put.answer(caf::unit);
  hooks[1]->put.fail(ec::disconnected);
  advance(60s);
  CHECK(store->notified == 1);
  CHECK(notified(0) == numbers{1, 2});
}

TEST_CASE_FIXTURE(fixture, "without time for retries, a hook is tried once") {
  cfg.give_up = 0s;
  start_with_lease();
  hooks[0]->put.fail(ec::disconnected);
  put(1, job_state::completed);
  CHECK(notified() == numbers{1});
  CHECK(store->notified == 1);
}

TEST_CASE_FIXTURE(fixture, "a hook that ends is like one that fails") {
  start_with_lease();
  hooks[0]->put.crash();
  put(1, job_state::completed);
  CHECK(notified(1) == numbers{1});
  CHECK(store->notified == 0);
  // The supervisor restarts all actors that depend on it.
  hooks[0]->put.answer(caf::unit);
  hook_edges[0] = spawn(fake_job_hook, hooks[0]);
  restart();
  CHECK(store->notified == 1);
  CHECK(notified(0) == numbers{1, 1});
}

TEST_CASE_FIXTURE(fixture, "an unreachable store is asked again") {
  store->down = make_error(ec::disconnected, "no connection");
  put(1, job_state::completed);
  start_with_lease();
  advance(30s);
  CHECK(notified().empty());
  store->down = {};
  advance(60s);
  CHECK(store->notified == 1);
  // A notification that could not be stored is not repeated.
  hooks[0]->put.hold();
  put(2, job_state::completed);
  store->down = make_error(ec::disconnected, "no connection");
  hooks[0]->put.release(caf::unit);
  run();
  advance(30s);
  CHECK(store->notified == 1);
  store->down = {};
  advance(60s);
  CHECK(store->notified == 2);
  CHECK(notified() == numbers{1, 2});
}

TEST_CASE_FIXTURE(fixture, "a list that cannot be read is asked for again") {
  put(1, job_state::completed);
  jobs->list.fail(ec::disconnected);
  start_with_lease();
  advance(10s);
  CHECK(notified().empty());
  publish();
  advance(10s);
  CHECK(notified() == numbers{1});
}

TEST_CASE_FIXTURE(fixture, "a job that ends while the list is read is not "
                           "missed") {
  put(1, job_state::training);
  jobs->list.hold();
  start_with_lease();
  REQUIRE(jobs->list.held() == 1);
  auto old = make_snapshot(listed());
  put(1, job_state::completed);
  jobs->list.release(old);
  run();
  CHECK(notified() == numbers{1});
}

TEST_CASE_FIXTURE(fixture, "subscribing is repeated until it succeeds") {
  kill(jobs_edge);
  start();
  advance(5s);
  CHECK(leases->listeners.size() == 2);
}

// -- one replica at a time ----------------------------------------------------

TEST_CASE_FIXTURE(fixture, "without the lease no hook is notified") {
  put(1, job_state::completed);
  start();
  advance(1h);
  CHECK(notified().empty());
  CHECK(jobs->list.calls() == 0);
  give_lease();
  CHECK(notified() == numbers{1});
}

TEST_CASE_FIXTURE(fixture, "a replica that loses the lease stops at once") {
  start_with_lease();
  hooks[0]->put.hold();
  hooks[1]->put.fail(ec::disconnected);
  put(1, job_state::completed);
  take_lease();
  hooks[0]->put.release(caf::unit);
  advance(1h);
  CHECK(notified(0).size() == 1);
  CHECK(notified(1).size() == 1);
  CHECK(store->notified == 0);
  // The other replica has notified the hooks meanwhile.
  store->notified = 1;
  give_lease();
  CHECK(notified(0).size() == 1);
  put(2, job_state::completed);
  CHECK(notified(0) == numbers{1, 2});
}

TEST_CASE_FIXTURE(fixture, "a lease that is not renewed ends without a "
                           "message") {
  start();
  leases->publish({true, 1, now() + 4s});
  run();
  SUBCASE("for an answer") {
    hooks[0]->put.hold();
    put(1, job_state::completed);
    advance(4s);
    hooks[0]->put.release(caf::unit);
    run();
    CHECK(store->notified == 0);
    // Renewed later: the number in the store is used.
    leases->publish({true, 1, now() + 4s});
    run();
    CHECK(notified() == numbers{1, 1});
  }
  SUBCASE("for another try") {
    hooks[0]->put.fail(ec::disconnected);
    put(1, job_state::completed);
    advance(1h);
    CHECK(notified().size() == 3);
  }
}

TEST_CASE_FIXTURE(fixture, "a new term reads the stored number again") {
  for (uint64_t n = 1; n <= 3; ++n)
    put(n, job_state::completed);
  start_with_lease();
  CHECK(notified().size() == 3);
  store->notified = 2;
  give_lease();
  CHECK(notified() == numbers{1, 2, 3, 3});
}

TEST_CASE_FIXTURE(fixture, "without hooks the number still increases") {
  hook_edges.clear();
  start_with_lease();
  put(1, job_state::completed);
  CHECK(store->notified == 1);
}
