#include "actors/events.hpp"

#include "tests/support/deterministic.hpp"

#include <doctest/doctest.h>

using namespace aiops;
using namespace aiops::test;

namespace {

using event_list_ptr = std::shared_ptr<std::vector<event_value>>;

event_listener_actor::behavior_type listener(event_listener_actor::pointer,
                                             event_list_ptr heard) {
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
    event_list_ptr heard = std::make_shared<std::vector<event_value>>();

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

  void publish(event_value x) {
    caf::anon_send(aut, update_atom_v, std::move(x));
    run();
  }

  template <class T>
  void publish_snapshot(T x) {
    publish(make_snapshot(std::move(x)));
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

TEST_CASE_FIXTURE(fixture, "a new listener receives the last value of each "
                           "topic") {
  auto early = follow();
  CHECK(early.take().empty());
  publish_snapshot(two_gpus());
  publish_snapshot(cluster_overview{});
  publish_snapshot(running_job());
  auto x = follow();
  CHECK(x.take() == topics{training, watched, aggregation, gpus, backend});
}

TEST_CASE_FIXTURE(fixture, "changes are sent in order") {
  auto x = follow();
  auto y = follow();
  for (int64_t n = 1; n <= 5; ++n) {
    auto seen = two_gpus();
    seen.gpus[0].allocatable = n;
    publish_snapshot(seen);
    cluster_overview counted;
    counted.aggregated_at = wall_now() + n * 1s;
    publish_snapshot(counted);
  }
  REQUIRE(x.heard->size() == 10);
  CHECK(x.heard->size() == y.heard->size());
  for (size_t n = 0; n < 5; ++n) {
    auto& seen = std::get<snapshot_ptr<gpu_inventory>>((*x.heard)[2 * n]);
    CHECK(seen->value().gpus[0].allocatable == static_cast<int64_t>(n + 1));
    CHECK((*y.heard)[2 * n] == (*x.heard)[2 * n]);
  }
}

TEST_CASE_FIXTURE(fixture, "equal values are not sent again") {
  auto x = follow();
  publish_snapshot(running_job());
  publish_snapshot(two_gpus());
  publish_snapshot(cluster_overview{});
  CHECK(x.take().size() == 5);
  publish_snapshot(running_job());
  publish_snapshot(two_gpus());
  publish_snapshot(cluster_overview{});
  CHECK(x.take().empty());
  SUBCASE("a later scan of the same GPUs") {
    auto seen = two_gpus();
    seen.observed_at = wall_now();
    publish_snapshot(seen);
    CHECK(x.take().empty());
  }
  SUBCASE("GPUs that are stale") {
    auto seen = two_gpus();
    seen.stale = true;
    publish_snapshot(seen);
    CHECK(x.take() == topics{gpus});
    seen.reason = "the API server is gone";
    publish_snapshot(seen);
    CHECK(x.take() == topics{gpus});
  }
  SUBCASE("the number of aggregations and the duration of the last one") {
    cluster_overview counted;
    counted.aggregations = 7;
    counted.failures = 1;
    counted.took = 5ms;
    counted.aggregating = true;
    publish_snapshot(counted);
    CHECK(x.take().empty());
  }
  SUBCASE("counts of another time") {
    cluster_overview counted;
    counted.aggregated_at = wall_now();
    publish_snapshot(counted);
    CHECK(x.take() == topics{aggregation});
  }
}

TEST_CASE_FIXTURE(fixture, "a training with another watchlist or backend state "
                           "also sends these") {
  auto x = follow();
  auto now = running_job();
  publish_snapshot(now);
  CHECK(x.take() == topics{training, watched, backend});
  SUBCASE("progress") {
    now.book.training->statistics.percentage_completed = 50;
    publish_snapshot(now);
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
      publish_snapshot(now);
      CHECK(x.heard->size() == 2);
      CHECK(x.heard->front().index() == training);
    }
    SUBCASE("that does not change the training") {
      publish_snapshot(now);
      CHECK(x.heard->size() == 1);
    }
    auto change = x.last<watchlist_change>();
    CHECK(change.workloads == list.workloads);
    CHECK(change.job_id == list.job_id);
    CHECK(change.previous_job_id == before);
    CHECK(change.submitted_at == wall_now());
    CHECK(change.changes.added
          == workload_list{{"c", "n", "e"}, {"c", "n", "f"}});
    CHECK(change.changes.removed == workload_list{{"c", "n", "d"}});
    // The store lost it, so the previous watchlist is valid again.
    publish_snapshot(running_job());
    change = x.last<watchlist_change>();
    CHECK(change.job_id == before);
    CHECK(change.previous_job_id == list.job_id);
    CHECK(change.changes.added == workload_list{{"c", "n", "d"}});
    CHECK(change.changes.removed.size() == 2);
  }
  SUBCASE("a submission that the backend did not accept yet") {
    auto& job = now.book.submission.emplace();
    job.id = "3d0b7f3c-0c7e-4a55-8a52-8a3f5f8d1c11";
    job.workloads = {{"c", "n", "e"}};
    publish_snapshot(now);
    CHECK(x.last<snapshot_ptr<training_overview>>()->value() == now);
    CHECK(x.take() == topics{training});
    // It was refused, so nothing has changed.
    publish_snapshot(running_job());
    CHECK(x.take() == topics{training});
  }
  SUBCASE("jobs to be moved to the history and the last number") {
    now.book.leaving.emplace_back();
    now.book.last_number = 7;
    now.book.training->may_receive_stale_progress = true;
    now.book.training->completion_reported = true;
    publish_snapshot(now);
    CHECK(x.take().empty());
  }
  SUBCASE("the store lost something") {
    now.losses = 1;
    publish_snapshot(now);
    CHECK(x.take() == topics{training});
  }
  SUBCASE("another state of the backend") {
    now.backend = {true, false, "no responders"};
    publish_snapshot(now);
    CHECK(x.last<backend_health>() == now.backend);
    CHECK(x.take() == topics{training, backend});
  }
  SUBCASE("the book cannot be read") {
    now.stale_reason = "no connection to NATS";
    publish_snapshot(now);
    CHECK(x.take() == topics{training});
  }
}

TEST_CASE_FIXTURE(fixture, "without a job the watchlist has no time") {
  auto x = follow();
  publish_snapshot(training_overview{});
  REQUIRE(x.heard->size() == 3);
  CHECK(std::get<watchlist_change>((*x.heard)[1]) == watchlist_change{});
}

TEST_CASE_FIXTURE(fixture, "the first watchlist is the difference to none") {
  publish_snapshot(running_job());
  auto x = follow();
  REQUIRE(x.heard->size() == 3);
  auto& change = std::get<watchlist_change>((*x.heard)[1]);
  CHECK(change.previous_job_id.empty());
  CHECK(change.changes.added == change.workloads);
  CHECK(change.changes.removed.empty());
}

TEST_CASE_FIXTURE(fixture, "a null snapshot is not sent") {
  auto x = follow();
  publish(snapshot_ptr<gpu_inventory>{});
  publish(snapshot_ptr<training_overview>{});
  CHECK(x.take().empty());
  CHECK(follow().take().empty());
}

TEST_CASE_FIXTURE(fixture,
                  "a listener that subscribes twice receives events once") {
  auto x = follow();
  CHECK(ask(aut, subscribe_atom_v, x.handle)->value);
  publish_snapshot(two_gpus());
  CHECK(x.take() == topics{gpus});
}

TEST_CASE_FIXTURE(fixture, "a listener that has ended does not count") {
  aut = spawn(events, events_config{2});
  auto x = follow();
  auto y = follow();
  auto late = spawn(listener, std::make_shared<std::vector<event_value>>());
  CHECK(ask(aut, subscribe_atom_v, late)->code() == ec::overloaded);
  kill(x.handle);
  CHECK(ask(aut, subscribe_atom_v, late)->value);
  publish_snapshot(two_gpus());
  CHECK(y.take() == topics{gpus});
}

TEST_CASE("the confirmation of a training by the backend is not sent") {
  training_overview before;
  before.book.training.emplace();
  auto after = before;
  after.book.training->confirmed = true;
  CHECK(same_event(make_snapshot(before), make_snapshot(after)));
  after.book.training->state = job_state::training;
  CHECK_FALSE(same_event(make_snapshot(before), make_snapshot(after)));
}
