#include "actors/events.hpp"

#include "tests/support/deterministic.hpp"

#include <doctest/doctest.h>

using namespace aiops;
using namespace aiops::test;

namespace {

using heard_ptr = std::shared_ptr<std::vector<event_value>>;

event_listener_actor::behavior_type listener(event_listener_actor::pointer,
                                             heard_ptr heard) {
  return {
    [=](update_atom, const event_value& x) { heard->push_back(x); },
  };
}

/// Topics by their index in `event_value`.
enum topic : size_t { training, watched, aggregation, gpus, backend };

using topics = std::vector<size_t>;

struct fixture : deterministic {
  events_actor aut = spawn(events, events_config{});

  /// Follows the events from now on.
  struct follower {
    event_listener_actor handle;
    heard_ptr heard = std::make_shared<std::vector<event_value>>();

    topics take() {
      topics result;
      for (auto& x : std::exchange(*heard, {}))
        result.push_back(x.index());
      return result;
    }

    template <class T>
    T last() const {
      REQUIRE_FALSE(heard->empty());
      return std::get<T>(heard->back());
    }
  };

  follower follow() {
    follower result;
    result.handle = spawn(listener, result.heard);
    CHECK(ask(aut, subscribe_atom_v, result.handle)->value);
    return result;
  }

  void tell(event_value x) {
    caf::anon_send(aut, update_atom_v, std::move(x));
    run();
  }

  template <class T>
  void tell_snapshot(T x) {
    tell(make_snapshot(std::move(x)));
  }
};

training_overview running_job() {
  training_overview result;
  result.book.last_number = 1;
  training_job job;
  job.id = "7f4a0d1e-6c55-4f0e-9d6e-0d9c2f3b1a77";
  job.number = 1;
  job.state = job_state::training;
  job.workloads = {{"c", "n", "d"}};
  job.started_at = job.updated_at = {};
  auto& list = result.book.watchlist;
  list.job_id = job.id;
  list.number = job.number;
  list.workloads = job.workloads;
  result.book.training = std::move(job);
  result.backend = {true, true, ""};
  return result;
}

gpu_inventory two_gpus() {
  gpu_inventory result;
  result.gpus = {{"nvidia.com/gpu", 2, 1}};
  result.source = "file";
  return result;
}

} // namespace

TEST_CASE_FIXTURE(fixture, "whoever comes hears at once how everything "
                           "stands") {
  auto nobody = follow();
  CHECK(nobody.take().empty());
  tell_snapshot(two_gpus());
  tell_snapshot(cluster_overview{});
  tell_snapshot(running_job());
  auto x = follow();
  CHECK(x.take() == topics{training, watched, aggregation, gpus, backend});
}

TEST_CASE_FIXTURE(fixture, "every change is handed on in order") {
  auto x = follow();
  auto y = follow();
  for (int64_t n = 1; n <= 5; ++n) {
    auto seen = two_gpus();
    seen.gpus[0].allocatable = n;
    tell_snapshot(seen);
    cluster_overview counted;
    counted.aggregated_at = wall_now() + n * 1s;
    tell_snapshot(counted);
  }
  REQUIRE(x.heard->size() == 10);
  CHECK(x.heard->size() == y.heard->size());
  for (size_t n = 0; n < 5; ++n) {
    auto& seen = std::get<snapshot_ptr<gpu_inventory>>((*x.heard)[2 * n]);
    CHECK(seen->value().gpus[0].allocatable == static_cast<int64_t>(n + 1));
    CHECK((*y.heard)[2 * n] == (*x.heard)[2 * n]);
  }
}

TEST_CASE_FIXTURE(fixture, "what is equal is not told again") {
  auto x = follow();
  tell_snapshot(running_job());
  tell_snapshot(two_gpus());
  tell_snapshot(cluster_overview{});
  CHECK(x.take().size() == 5);
  tell_snapshot(running_job());
  tell_snapshot(two_gpus());
  tell_snapshot(cluster_overview{});
  CHECK(x.take().empty());
  SUBCASE("a later look at the same GPUs") {
    auto seen = two_gpus();
    seen.observed_at = wall_now();
    tell_snapshot(seen);
    CHECK(x.take().empty());
  }
  SUBCASE("GPUs that are stale") {
    auto seen = two_gpus();
    seen.stale = true;
    tell_snapshot(seen);
    CHECK(x.take() == topics{gpus});
    seen.reason = "the API server is gone";
    tell_snapshot(seen);
    CHECK(x.take() == topics{gpus});
  }
  SUBCASE("how many aggregations there were and how long the last one took") {
    cluster_overview counted;
    counted.aggregations = 7;
    counted.failures = 1;
    counted.took = 5ms;
    counted.aggregating = true;
    tell_snapshot(counted);
    CHECK(x.take().empty());
  }
  SUBCASE("counts of another time") {
    cluster_overview counted;
    counted.aggregated_at = wall_now();
    tell_snapshot(counted);
    CHECK(x.take() == topics{aggregation});
  }
}

TEST_CASE_FIXTURE(fixture, "the training tells the watchlist and the backend "
                           "when they changed") {
  auto x = follow();
  auto now = running_job();
  tell_snapshot(now);
  CHECK(x.take() == topics{training, watched, backend});
  SUBCASE("progress") {
    now.book.training->statistics.percentage_completed = 50;
    tell_snapshot(now);
    CHECK(x.take() == topics{training});
  }
  SUBCASE("another watchlist") {
    auto& list = now.book.watchlist;
    auto before = list.job_id;
    list.job_id = "3d0b7f3c-0c7e-4a55-8a52-8a3f5f8d1c11";
    list.workloads = {{"c", "n", "e"}, {"c", "n", "f"}};
    list.submitted_at = wall_now();
    SUBCASE("that is trained") {
      now.book.training->id = list.job_id;
      now.book.training->workloads = list.workloads;
      tell_snapshot(now);
      CHECK(x.heard->size() == 2);
      CHECK(x.heard->front().index() == training);
    }
    SUBCASE("that leaves the training alone") {
      tell_snapshot(now);
      CHECK(x.heard->size() == 1);
    }
    auto told = x.last<watchlist_change>();
    CHECK(told.workloads == list.workloads);
    CHECK(told.job_id == list.job_id);
    CHECK(told.previous_job_id == before);
    CHECK(told.submitted_at == wall_now());
    CHECK(told.changes.added
          == workload_list{{"c", "n", "e"}, {"c", "n", "f"}});
    CHECK(told.changes.removed == workload_list{{"c", "n", "d"}});
    // The store lost it: the watchlist before is in place again.
    tell_snapshot(running_job());
    told = x.last<watchlist_change>();
    CHECK(told.job_id == before);
    CHECK(told.previous_job_id == list.job_id);
    CHECK(told.changes.added == workload_list{{"c", "n", "d"}});
    CHECK(told.changes.removed.size() == 2);
  }
  SUBCASE("a submission that the backend did not accept yet") {
    auto& job = now.book.submission.emplace();
    job.id = "3d0b7f3c-0c7e-4a55-8a52-8a3f5f8d1c11";
    job.workloads = {{"c", "n", "e"}};
    tell_snapshot(now);
    CHECK(x.last<snapshot_ptr<training_overview>>()->value() == now);
    CHECK(x.take() == topics{training});
    // Refused: all is as it was.
    tell_snapshot(running_job());
    CHECK(x.take() == topics{training});
  }
  SUBCASE("what is kept of earlier jobs and of their number") {
    now.book.leaving.emplace_back();
    now.book.last_number = 7;
    now.book.training->contested = true;
    now.book.training->completion_told = true;
    tell_snapshot(now);
    CHECK(x.take().empty());
  }
  SUBCASE("the store lost something") {
    now.losses = 1;
    tell_snapshot(now);
    CHECK(x.take() == topics{training});
  }
  SUBCASE("another state of the backend") {
    now.backend = {true, false, "nobody listens"};
    tell_snapshot(now);
    CHECK(x.last<backend_health>() == now.backend);
    CHECK(x.take() == topics{training, backend});
  }
  SUBCASE("the book cannot be read") {
    now.stale_reason = "no connection to NATS";
    tell_snapshot(now);
    CHECK(x.take() == topics{training});
  }
}

TEST_CASE_FIXTURE(fixture, "without a job the watchlist has no time") {
  auto x = follow();
  tell_snapshot(training_overview{});
  REQUIRE(x.heard->size() == 3);
  CHECK(std::get<watchlist_change>((*x.heard)[1]) == watchlist_change{});
}

TEST_CASE_FIXTURE(fixture, "the first watchlist is the difference to none") {
  tell_snapshot(running_job());
  auto x = follow();
  REQUIRE(x.heard->size() == 3);
  auto& told = std::get<watchlist_change>((*x.heard)[1]);
  CHECK(told.previous_job_id.empty());
  CHECK(told.changes.added == told.workloads);
  CHECK(told.changes.removed.empty());
}

TEST_CASE_FIXTURE(fixture, "a snapshot of nothing is no news") {
  auto x = follow();
  tell(snapshot_ptr<gpu_inventory>{});
  tell(snapshot_ptr<training_overview>{});
  CHECK(x.take().empty());
  CHECK(follow().take().empty());
}

TEST_CASE_FIXTURE(fixture, "a listener that subscribes twice hears once") {
  auto x = follow();
  CHECK(ask(aut, subscribe_atom_v, x.handle)->value);
  tell_snapshot(two_gpus());
  CHECK(x.take() == topics{gpus});
}

TEST_CASE_FIXTURE(fixture, "a listener that is gone makes room") {
  aut = spawn(events, events_config{2});
  auto x = follow();
  auto y = follow();
  auto late = spawn(listener, std::make_shared<std::vector<event_value>>());
  CHECK(ask(aut, subscribe_atom_v, late)->code() == ec::overloaded);
  kill(x.handle);
  CHECK(ask(aut, subscribe_atom_v, late)->value);
  tell_snapshot(two_gpus());
  CHECK(y.take() == topics{gpus});
}

TEST_CASE("that the backend confirmed a training is no news") {
  training_overview before;
  before.book.training.emplace();
  auto after = before;
  after.book.training->confirmed = true;
  CHECK(same_news(make_snapshot(before), make_snapshot(after)));
  after.book.training->state = job_state::training;
  CHECK_FALSE(same_news(make_snapshot(before), make_snapshot(after)));
}
