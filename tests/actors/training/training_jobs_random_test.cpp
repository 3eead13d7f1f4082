#include "actors/training/training_jobs.hpp"

#include "actors/training/training_invariants.hpp"
#include "base/error.hpp"

#include "tests/support/deterministic.hpp"
#include "tests/support/fakes.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>

using namespace aiops;
using namespace aiops::test;

/// Two replicas with a backend that reports anything, a store that fails
/// sometimes, and random submissions and cancellations.

namespace {

const workload a{"c", "n", "a"};

struct walk : deterministic {
  explicit walk(unsigned seed) : random(seed) {
    for (auto& x : replicas)
      x = start();
  }

  training_jobs_actor start() {
    training_jobs_config cfg;
    cfg.wall_clock = [this] { return wall_now(); };
    cfg.make_id = [this] { return "adopted-" + std::to_string(++ids); };
    auto result = spawn(training_jobs, spawn(fake_job_store, store),
                        spawn(fake_backend, backend), cfg);
    run();
    return result;
  }

  static std::vector<std::string> ids_of(const job_summaries& jobs) {
    std::vector<std::string> result;
    for (auto& x : jobs)
      result.push_back(x.job.id);
    return result;
  }

  job_summaries fresh_list() {
    auto replica = start();
    auto jobs = ask(replica, list_atom_v);
    REQUIRE(jobs->value);
    kill(replica);
    return (*jobs->value)->value();
  }

  int64_t below(int64_t n) {
    return std::uniform_int_distribution<int64_t>{0, n - 1}(random);
  }

  bool once_in(int64_t n) {
    return below(n) == 0;
  }

  training_jobs_actor& any() {
    return replicas[static_cast<size_t>(below(2))];
  }

  auto change(job_change what) {
    return ask(any(), put_atom_v, std::move(what));
  }

  void submit() {
    auto id = std::to_string(++ids);
    auto action = static_cast<training_action>(below(4));
    auto entered = change(job_submission{
      id, action, {a}, {{a}, {}}, once_in(2), basis_of(store->book.value), {}});
    if (!entered->value)
      return;
    submitted.push_back(id);
    // Otherwise the gateway ends here.
    switch (below(4)) {
      case 0:
        change(job_acceptance{id, "training job submitted"});
        break;
      case 1:
        change(job_rejection{id, "no backend"});
        break;
      case 2:
        change(job_doubt{id, "silent"});
        break;
      default:
        break;
    }
  }

  /// Reports progress about this or an older job, in any order.
  void report() {
    static const std::vector<std::optional<std::string>> words = {
      std::nullopt,      "training", "completed",
      "training failed", "paused",   "no model trained"};
    job_progress x;
    if (once_in(3) && !submitted.empty())
      x.id = submitted[static_cast<size_t>(
        below(static_cast<int64_t>(submitted.size())))];
    x.status = words[static_cast<size_t>(
      once_in(3) ? below(static_cast<int64_t>(words.size())) : 1)];
    if (!once_in(5))
      x.statistics = training_statistics{below(2) * below(1000),
                                         below(101),
                                         below(100),
                                         below(5),
                                         0.5,
                                         once_in(4) ? "fetching data"
                                                    : "train"};
    auto was = store->books.size();
    auto done = change(x);
    if (done->value)
      check_kept(x, done->value->after.value, was);
  }

  /// Acknowledged progress is in a stored book.
  void check_kept(const job_progress& x, const training_book& after,
                  size_t was) {
    auto stored = after == store->book.value
                  || std::find(store->books.begin() + static_cast<long>(was),
                               store->books.end(), after)
                       != store->books.end();
    CHECK(stored);
    if (!x.statistics || x.status == "completed")
      return;
    auto has = [&](const training_job* job) {
      // A report that is older than a later one is ignored.
      auto back = job->statistics.time_elapsed
                  - x.statistics->time_elapsed.value_or(0);
      return job->statistics == *x.statistics
             || (job->progressed && back >= 0 && back <= 30);
    };
    auto jobs = jobs_of(after);
    CHECK((std::any_of(jobs.begin(), jobs.end(), has)
           || after.model.statistics == *x.statistics));
  }

  void disturb() {
    switch (below(6)) {
      case 0:
        store->refuse = make_error(ec::timeout, "request lost");
        break;
      case 1:
        store->lose_answer = make_error(ec::timeout, "answer lost");
        break;
      case 2:
        store->quiet = !store->quiet;
        break;
      case 3:
        store->down = store->down ? caf::error{}
                                  : make_error(ec::disconnected, "down");
        break;
      case 4:
        backend->put.fail(ec::timeout);
        break;
      default: {
        auto& victim = any();
        kill(victim);
        victim = start();
        break;
      }
    }
  }

  void step() {
    switch (below(8)) {
      case 0:
        submit();
        break;
      case 1:
        change(job_observation{once_in(2) ? "training" : "completed"});
        break;
      case 2:
        if (once_in(4))
          ask(any(), delete_atom_v);
        break;
      case 3:
        advance(std::chrono::seconds{below(once_in(10) ? 1200 : 60)});
        break;
      case 4:
        disturb();
        break;
      default:
        report();
        break;
    }
  }

  /// Checks each book against the one before.
  void check_history() const {
    training_book before;
    for (auto& book : store->books) {
      CHECK(broken_invariant(before, book) == "");
      CHECK(book.last_number <= before.last_number + 1);
      for (auto* job : jobs_of(book))
        if (auto last = find_job(before, job->id))
          CHECK(
            (last->state == job->state || can_follow(last->state, job->state)));
      before = book;
    }
  }

  /// Ends all faults.
  void heal() {
    store->refuse = store->lose_answer = store->down = {};
    store->quiet = false;
    backend->put.answer(caf::unit);
    store->publish();
    run();
  }

  /// Checks that a watchlist can still be submitted.
  void check_free() {
    advance(25min);
    auto& book = store->book.value;
    CHECK_FALSE(busy(book));
    CHECK(book.model.status != "training");
    auto entered = change(job_submission{"last",
                                         training_action::train,
                                         {a},
                                         {{a}, {}},
                                         false,
                                         basis_of(book),
                                         {}});
    REQUIRE(entered->value);
    CHECK(ask(any(), delete_atom_v)->value);
    CHECK(book.training->state == job_state::cancelled);
  }

  void check_equal() {
    std::vector<stored_book> books;
    for (auto& replica : replicas) {
      auto stored = ask(replica, get_atom_v);
      REQUIRE(stored->value);
      books.push_back(*stored->value);
      auto jobs = ask(replica, list_atom_v);
      REQUIRE(jobs->value);
      auto& list = (*jobs->value)->value();
      CHECK(std::is_sorted(list.begin(), list.end(), [](auto& l, auto& r) {
        return l.job.number > r.job.number;
      }));
      for (auto& x : list)
        CHECK((ended(x.job.state) || find_job(store->book.value, x.job.id)));
      // A new replica reads the whole history.
      CHECK(ids_of(list) == ids_of(fresh_list()));
    }
    CHECK(books[0].revision == store->book.revision);
    CHECK(books[0].value == books[1].value);
    CHECK(books[0].value == store->book.value);
  }

  std::mt19937 random;
  job_store_script_ptr store = std::make_shared<job_store_script>();
  backend_script_ptr backend = std::make_shared<backend_script>();
  int ids = 0;
  std::vector<std::string> submitted;
  std::array<training_jobs_actor, 2> replicas;
};

} // namespace

TEST_CASE("random changes lock nothing, lose nothing, and leave the replicas "
          "equal") {
  for (unsigned seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    walk test{seed};
    for (auto i = 0; i < 150; ++i)
      test.step();
    test.heal();
    test.check_equal();
    test.check_free();
    test.check_equal();
    test.check_history();
  }
}
