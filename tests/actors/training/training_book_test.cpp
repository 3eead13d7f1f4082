#include "actors/training/training_book.hpp"

#include "actors/training/training_invariants.hpp"
#include "base/error.hpp"

#include <doctest/doctest.h>

using namespace aiops;
using namespace std::chrono_literals;

namespace {

const workload a{"c", "n", "a"};
const workload b{"c", "n", "b"};

const training_job::time_point noon{
  std::chrono::sys_days{std::chrono::year{2026} / 1 / 31}};

/// A book and its changes, as one replica sees them.
struct fixture {
  training_book book;
  report_clock clock;
  std::chrono::seconds up{0};
  /// How late it sees the changes.
  std::chrono::milliseconds late{0};
  change_context context;

  fixture() {
    context.now = noon;
    context.fresh_id = "adopted";
    context.idle_text = "idle";
  }

  caf::actor_clock::time_point monotonic() const {
    return caf::actor_clock::time_point{up};
  }

  ec apply(const job_change& what) {
    clock.measure(context, monotonic());
    context.fresh_id = find_job(book, "adopted") ? "adopted next" : "adopted";
    auto next = apply_change(book, what, context);
    if (!next)
      return code_of(next.error());
    CHECK(broken_step(book, *next) == "");
    book = std::move(*next);
    clock.see(book, monotonic(), late);
    return ec::none;
  }

  void pass(std::chrono::seconds time) {
    context.now += time;
    up += time;
    clock.measure(context, monotonic());
  }

  ec submit(std::string id, training_action action = training_action::train,
            bool force = false) {
    return apply(job_submission{
      std::move(id), action, {a}, {{a}, {}}, force, basis_of(book), {}});
  }

  void accept(std::string id) {
    apply(job_acceptance{std::move(id), "training job submitted"});
  }

  void start(std::string id, training_action action = training_action::train,
             bool force = false) {
    CHECK(submit(id, action, force) == ec::none);
    accept(id);
  }

  ec report(training_statistics x, std::optional<std::string> status = {},
            std::string id = {}) {
    return apply(job_progress{std::move(id), std::move(status), std::move(x)});
  }

  ec say(std::string status) {
    return apply(job_progress{{}, std::move(status), {}});
  }

  void train_to(int64_t percentage) {
    start("1");
    report({10, percentage, 90, 1, 0.5, "train"});
  }

  void complete() {
    train_to(50);
    say("completed");
  }

  /// The state of the training.

  job_state state() const {
    return book.training->state;
  }

  /// The last job that left the book.
  const training_job& left() const {
    return book.leaving.back();
  }
};

const training_statistics fresh{0, 0, 3600, 0, 0.0, ""};

} // namespace

TEST_CASE("each state has a name that is read back") {
  for (size_t i = 0; i < job_state_count; ++i) {
    auto state = static_cast<job_state>(i);
    CHECK(job_state_of(to_string(state)) == state);
  }
  CHECK_FALSE(job_state_of("busy"));
}

TEST_CASE("the table of transitions") {
  using enum job_state;
  for (auto from : {submitted, fetching_data, training, stalled}) {
    CHECK_FALSE(ended(from));
    for (auto to :
         {fetching_data, training, completed, failed, cancelled, superseded})
      CHECK(can_follow(from, to));
    CHECK(can_follow(from, submitted) == (from == submitted));
    CHECK(can_follow(from, stalled));
    CHECK(running(from) == (from != stalled));
  }
  for (auto from : {completed, failed, cancelled, superseded}) {
    CHECK(ended(from));
    CHECK_FALSE(running(from));
    for (size_t to = 0; to < job_state_count; ++to)
      CHECK_FALSE(can_follow(from, static_cast<job_state>(to)));
  }
}

TEST_CASE_FIXTURE(fixture, "a training from submission to completion") {
  CHECK(submit("1") == ec::none);
  CHECK(pending(book));
  CHECK(current_job(book)->state == job_state::submitted);
  CHECK(book.submission->number == 1);
  CHECK(book.submission->workloads == workload_list{a});
  CHECK(book.submission->changes.added == workload_list{a});
  CHECK(book.model.status.empty());
  CHECK(book.watchlist.job_id.empty());
  accept("1");
  CHECK_FALSE(book.submission);
  CHECK(book.watchlist.job_id == "1");
  CHECK(book.watchlist.workloads == workload_list{a});
  CHECK(book.training->response == "training job submitted");
  CHECK(book.model == model_status{"training", fresh});
  pass(5s);
  CHECK(report({3, 1, 300, 0, 0.0, "fetching data"}) == ec::none);
  CHECK(state() == job_state::fetching_data);
  CHECK(book.training->updated_at == context.now);
  CHECK(report({4, 20, 200, 1, 0.5, "train"}, "training") == ec::none);
  CHECK(state() == job_state::training);
  CHECK(book.model == model_status{"training", {4, 20, 200, 1, 0.5, "train"}});
  CHECK(say("completed") == ec::none);
  CHECK(state() == job_state::completed);
  CHECK(book.training->ended_at == context.now);
  // The last report is adjusted to a completed model.
  CHECK(book.model == model_status{"completed", {4, 100, 0, 1, 0.5, "train"}});
}

TEST_CASE_FIXTURE(fixture, "only a submission that trains shows a training") {
  training_action action{};
  SUBCASE("update") {
    action = training_action::update;
  }
  SUBCASE("the same again") {
    action = training_action::none;
  }
  SUBCASE("reset") {
    action = training_action::reset;
  }
  complete();
  auto before = book.model;
  submit("2", action);
  CHECK(book.model == before);
  accept("2");
  CHECK(left().id == "2");
  CHECK(left().state == job_state::completed);
  CHECK(book.watchlist.job_id == "2");
  // The last training is still the current one.
  CHECK(book.training->id == "1");
  auto reset = model_status{"idle", {}};
  CHECK(book.model == (action == training_action::reset ? reset : before));
}

TEST_CASE_FIXTURE(fixture,
                  "a running job prevents a submission, unless forced") {
  train_to(50);
  CHECK(submit("2") == ec::conflict);
  CHECK_FALSE(book.submission);
  CHECK(submit("2", training_action::train, true) == ec::none);
  CHECK(book.submission->number == 2);
  // Until the submission is accepted, the other job is the training.
  CHECK(state() == job_state::training);
  accept("2");
  CHECK(book.training->id == "2");
  CHECK(left().id == "1");
  CHECK(left().state == job_state::superseded);
  CHECK(left().ended_at == context.now);
  CHECK(left().reason == "replaced by job 2");
}

TEST_CASE_FIXTURE(fixture, "a submission waits until the one before is "
                           "settled") {
  submit("1");
  CHECK(submit("2", training_action::train, true) == ec::conflict);
  accept("1");
  CHECK(submit("2", training_action::train, true) == ec::none);
}

TEST_CASE_FIXTURE(fixture, "a submission with another basis is a conflict") {
  complete();
  auto then = basis_of(book);
  start("2", training_action::update);
  CHECK(
    apply(job_submission{"3", training_action::none, {a}, {}, true, then, {}})
    == ec::conflict);
}

TEST_CASE_FIXTURE(fixture, "the same submission again changes nothing") {
  submit("1");
  auto before = book;
  CHECK(submit("1") == ec::none);
  CHECK(book == before);
  accept("1");
  before = book;
  CHECK(submit("1") == ec::none);
  CHECK(book == before);
}

TEST_CASE_FIXTURE(fixture, "an update leaves the training current") {
  train_to(50);
  start("2", training_action::update, true);
  CHECK(book.training->id == "1");
  CHECK(state() == job_state::training);
  CHECK(book.watchlist.job_id == "2");
  CHECK(book.model.status == "training");
  CHECK(report({11, 51, 90, 1, 0.5, "train"}) == ec::none);
  CHECK(book.training->statistics.percentage_completed == 51);
  SUBCASE("then it completes") {
    CHECK(report({12, 100, 0, 1, 0.5, "train"}, "completed") == ec::none);
    CHECK(state() == job_state::completed);
  }
  SUBCASE("the backend answers the update with its model") {
    CHECK(report({}, "completed") == ec::none);
    CHECK(state() == job_state::training);
    SUBCASE("and continues to train") {
      CHECK(report({20, 60, 90, 1, 0.5, "train"}) == ec::none);
      pass(31s);
      apply(job_silence{10min});
      CHECK(state() == job_state::training);
    }
    SUBCASE("and that was the end") {
      pass(31s);
      apply(job_silence{10min});
      CHECK(state() == job_state::completed);
    }
  }
}

TEST_CASE_FIXTURE(fixture,
                  "after a training, an update and a training, progress "
                  "of the first is refused") {
  train_to(50);
  pass(100s);
  start("2", training_action::update, true);
  start("3", training_action::train, true);
  auto before = book;
  CHECK(report({111, 51, 90, 1, 0.5, "train"}) == ec::conflict);
  CHECK(book == before);
  SUBCASE("after a further submission") {
    start("4", training_action::train, true);
    CHECK(report({111, 51, 90, 1, 0.5, "train"}) == ec::conflict);
  }
  SUBCASE("after a reset") {
    start("4", training_action::reset, true);
    start("5");
    CHECK(report({111, 51, 90, 1, 0.5, "train"}) == ec::conflict);
  }
}

TEST_CASE_FIXTURE(fixture, "a job that has stalled or ended prevents no "
                           "way") {
  train_to(50);
  SUBCASE("stalled") {
    pass(11s);
    apply(job_silence{10s});
    REQUIRE(state() == job_state::stalled);
    start("2");
    CHECK(left().state == job_state::superseded);
  }
  SUBCASE("completed") {
    say("completed");
    start("2");
    CHECK(left().state == job_state::completed);
  }
}

TEST_CASE_FIXTURE(fixture, "a submission that certainly failed only leaves an "
                           "entry in the history") {
  train_to(50);
  auto before = book;
  submit("2", training_action::train, true);
  pass(1s);
  // The older training reports meanwhile.
  CHECK(report({11, 51, 90, 1, 0.5, "train"}) == ec::none);
  apply(job_rejection{"2", "no backend"});
  CHECK_FALSE(book.submission);
  CHECK(book.training->id == "1");
  CHECK(book.training->statistics.percentage_completed == 51);
  CHECK(book.watchlist == before.watchlist);
  CHECK(left().id == "2");
  CHECK(left().state == job_state::failed);
  CHECK(left().reason == "no backend");
  // Numbers are not reused.
  CHECK(book.last_number == 2);
}

TEST_CASE_FIXTURE(fixture, "numbers of a lost book are not used again") {
  context.last_given_number = 7;
  submit("1");
  CHECK(book.submission->number == 8);
}

TEST_CASE_FIXTURE(fixture,
                  "a certain rejection overrides progress without an id") {
  submit("1");
  report({1, 1, 1, 0, 0.0, "train"});
  CHECK(book.submission->progressed);
  CHECK(pending(book));
  apply(job_rejection{"1", "refused"});
  CHECK_FALSE(book.submission);
  CHECK(left().id == "1");
  CHECK(left().state == job_state::failed);
  // The progress is about a training that no gateway submitted.
  CHECK(book.training->id == "adopted");
  CHECK(state() == job_state::training);
  CHECK(book.training->statistics.percentage_completed == 1);
  CHECK(book.watchlist.job_id.empty());
}

TEST_CASE_FIXTURE(fixture, "a training that begins while another one runs is "
                           "the submitted one") {
  start("1");
  report({500, 50, 90, 1, 0.5, "train"});
  submit("2", training_action::train, true);
  pass(1s);
  CHECK(report({501, 51, 90, 1, 0.5, "train"}) == ec::none);
  CHECK(book.training->statistics.time_elapsed == 501);
  CHECK(report({1, 2, 90, 1, 0.5, "train"}) == ec::none);
  CHECK(book.training->statistics.time_elapsed == 501);
  CHECK(book.submission->statistics.percentage_completed == 2);
  accept("2");
  CHECK(book.training->id == "2");
  CHECK(book.training->statistics.percentage_completed == 2);
  CHECK(left().statistics.time_elapsed == 501);
}

TEST_CASE_FIXTURE(fixture, "an outcome for another job changes nothing") {
  submit("1");
  auto before = book;
  for (auto change :
       {job_change{job_acceptance{"0", "x"}}, job_change{job_doubt{"0", "x"}},
        job_change{job_rejection{"0", "x"}}})
    CHECK(apply(change) == ec::none);
  CHECK(book == before);
}

TEST_CASE_FIXTURE(fixture, "without an answer a training may run, and other "
                           "submissions fail") {
  auto train = training_action::train;
  SUBCASE("training") {
    submit("1");
    apply(job_doubt{"1", "silent"});
    CHECK(state() == job_state::submitted);
    CHECK(book.training->reason == "silent");
    CHECK(book.model == model_status{"training", fresh});
    // The backend may not have the list.
    CHECK(book.watchlist.job_id.empty());
    SUBCASE("it does not run") {
      pass(31s);
      // A list that may never have been sent does not complete.
      apply(job_observation{"completed"});
      CHECK(state() == job_state::submitted);
      pass(600s);
      apply(job_silence{10min});
      CHECK(state() == job_state::stalled);
    }
    SUBCASE("it runs") {
      report({1, 2, 90, 1, 0.5, "train"});
      CHECK(state() == job_state::training);
      CHECK(book.watchlist.job_id == "1");
    }
    SUBCASE("the answer comes") {
      accept("1");
      CHECK(book.watchlist.job_id == "1");
      CHECK(book.training->reason.empty());
    }
    return;
  }
  SUBCASE("update") {
    train = training_action::update;
  }
  SUBCASE("reset") {
    train = training_action::reset;
  }
  complete();
  auto before = book;
  submit("2", train);
  apply(job_doubt{"2", "silent"});
  CHECK(left().state == job_state::failed);
  CHECK(book.model == before.model);
  CHECK(book.watchlist == before.watchlist);
}

TEST_CASE_FIXTURE(fixture, "a doubtful submission waits for the running "
                           "training") {
  train_to(50);
  submit("2", training_action::train, true);
  apply(job_doubt{"2", "silent"});
  CHECK_FALSE(pending(book));
  CHECK(busy(book));
  CHECK(book.submission->id == "2");
  CHECK(report({111, 51, 90, 1, 0.5, "train"}) == ec::none);
  CHECK(book.training->id == "1");
  SUBCASE("a younger training shows that it was accepted") {
    CHECK(report({1, 1, 90, 1, 0.5, "train"}) == ec::none);
    CHECK(book.training->id == "2");
    CHECK(book.watchlist.job_id == "2");
    CHECK(left().id == "1");
  }
  SUBCASE("when the other one ends, it may be next") {
    say("completed");
    CHECK(book.training->id == "2");
    CHECK(left().state == job_state::completed);
  }
  SUBCASE("the other one continues") {
    pass(600s);
    report({711, 60, 90, 1, 0.5, "train"});
    pass(100s);
    apply(job_silence{10min, 60s});
    CHECK_FALSE(book.submission);
    CHECK(left().state == job_state::failed);
    CHECK(book.training->id == "1");
  }
  SUBCASE("another submission replaces it") {
    CHECK(submit("3") == ec::conflict);
    CHECK(submit("3", training_action::train, true) == ec::none);
    CHECK(left().id == "2");
    CHECK(left().state == job_state::superseded);
  }
}

TEST_CASE_FIXTURE(fixture, "an overdue submission is settled by any "
                           "replica") {
  submit("1");
  pass(60s);
  apply(job_silence{10min, 60s});
  CHECK(pending(book));
  pass(1s);
  apply(job_silence{10min, 60s});
  CHECK_FALSE(pending(book));
  CHECK(state() == job_state::submitted);
  CHECK(submit("2") == ec::conflict);
  CHECK(submit("2", training_action::train, true) == ec::none);
}

TEST_CASE_FIXTURE(fixture, "progress before the acceptance is kept") {
  submit("1");
  report({1, 7, 100, 0, 0.0, "train"});
  CHECK(book.model.statistics.percentage_completed == 7);
  SUBCASE("accepted") {
    accept("1");
    CHECK(state() == job_state::training);
    CHECK(book.training->response == "training job submitted");
    CHECK(book.model.statistics.percentage_completed == 7);
  }
  SUBCASE("it has already ended") {
    say("completed");
    CHECK(current_job(book)->state == job_state::training);
    accept("1");
    CHECK(state() == job_state::completed);
  }
  SUBCASE("it failed at once") {
    report({1, 7, 100, 0, 0.0, "train"}, "training failed");
    accept("1");
    CHECK(state() == job_state::failed);
  }
  SUBCASE("progress without an answer") {
    apply(job_doubt{"1", "silent"});
    CHECK(state() == job_state::training);
    CHECK(book.watchlist.job_id == "1");
  }
}

TEST_CASE_FIXTURE(fixture, "progress of an older job is refused") {
  train_to(50);
  SUBCASE("by its id") {
    auto before = book;
    CHECK(report({1, 99, 1, 0, 0.0, "train"}, {}, "0") == ec::conflict);
    CHECK(book == before);
    CHECK(report({10, 51, 1, 0, 0.0, "train"}, {}, "1") == ec::none);
  }
  SUBCASE("by its age, if one was running before") {
    start("2", training_action::train, true);
    auto before = book;
    pass(5s);
    CHECK(report({36, 99, 1, 0, 0.0, "train"}) == ec::conflict);
    CHECK(book == before);
    // The report continues that of the older one.
    CHECK(report({11, 60, 1, 0, 0.0, "train"}) == ec::conflict);
    CHECK(report({5, 60, 1, 0, 0.0, "train"}) == ec::none);
  }
  SUBCASE("by its age, if one was cancelled before") {
    apply(job_cancellation{});
    start("2");
    CHECK(report({36, 99, 1, 0, 0.0, "train"}) == ec::conflict);
  }
  SUBCASE("but the times of backends differ") {
    CHECK(report({INT64_MAX, 60, 0, 0, 0.0, "train"}) == ec::none);
    CHECK(remaining_of(*book.training, context.now)->seconds > 0);
  }
}

TEST_CASE_FIXTURE(fixture, "progress of a watchlist that trains nothing is "
                           "refused") {
  start("1", training_action::update);
  // It is in the history.
  book.leaving.clear();
  SUBCASE("when nothing is submitted") {
    // The state of above.
  }
  SUBCASE("while a training is submitted") {
    submit("2", training_action::train, true);
  }
  auto before = book;
  CHECK(report({1, 50, 1, 0, 0.0, "train"}, "training", "1") == ec::conflict);
  CHECK(book == before);
}

TEST_CASE_FIXTURE(fixture, "late reports about a job that has ended") {
  complete();
  auto before = book;
  SUBCASE("progress from the middle") {
    CHECK(report({10, 50, 90, 1, 0.5, "train"}) == ec::conflict);
    CHECK(report({10, 50, 90, 1, 0.5, "train"}, "training") == ec::conflict);
    CHECK(report({10, 50, 90, 1, 0.5, "train"}, "training", "1")
          == ec::conflict);
    CHECK(say("training failed") == ec::conflict);
    CHECK(book == before);
  }
  SUBCASE("the end again") {
    CHECK(say("completed") == ec::none);
    CHECK(book == before);
  }
  SUBCASE("a status that is not about a training") {
    CHECK(say("upgrading") == ec::none);
    CHECK(book.training == before.training);
    CHECK(book.model == model_status{"upgrading", before.model.statistics});
  }
  SUBCASE("the end as a percentage") {
    CHECK(report({12, 100, 1, 5, 0.9, "train"}) == ec::none);
    CHECK(state() == job_state::completed);
    CHECK(book.model
          == model_status{"completed", {12, 100, 0, 5, 0.9, "train"}});
    CHECK(book.training->ended_at == before.training->ended_at);
  }
}

TEST_CASE_FIXTURE(fixture, "the end of a training with empty statistics keeps "
                           "the last report") {
  train_to(50);
  model_status expected;
  SUBCASE("completed") {
    expected = {"completed", {10, 100, 0, 1, 0.5, "train"}};
  }
  SUBCASE("failed") {
    expected = {"training failed", {10, 50, 90, 1, 0.5, "train"}};
  }
  CHECK(report({}, expected.status) == ec::none);
  CHECK(book.model == expected);
  // The same report again keeps them, too.
  CHECK(report({}, expected.status) == ec::none);
  CHECK(book.model == expected);
}

TEST_CASE_FIXTURE(fixture, "a field without a number keeps its last value") {
  auto no_numbers = [](training_statistics x) {
    reported_statistics result{x};
    for (auto& field : integer_fields)
      (result.*field.member).reset();
    result.model_accuracy.reset();
    return result;
  };
  SUBCASE("of the same training") {
    train_to(50);
    CHECK(apply(job_progress{{}, {}, no_numbers({0, 0, 0, 0, 0.0, "late"})})
          == ec::none);
    CHECK(book.model == model_status{"training", {10, 50, 90, 1, 0.5, "late"}});
  }
  SUBCASE("of the submission") {
    start("1");
    CHECK(apply(job_progress{{}, {}, no_numbers({})}) == ec::none);
    CHECK(book.model.statistics.remaining_time == 3600);
  }
  SUBCASE("not of another training") {
    complete();
    pass(1min);
    auto next = no_numbers({0, 0, 0, 0, 0.0, "train"});
    next.remaining_time = 7;
    CHECK(apply(job_progress{{}, {}, next}) == ec::none);
    CHECK(book.training->number == 2);
    CHECK(book.model.statistics
          == training_statistics{0, 0, 7, 0, 0.0, "train"});
  }
}

TEST_CASE_FIXTURE(fixture,
                  "the first statistics of a training differ by protocol") {
  context.initial = {0, 0, 0, 0, 0.0, "fetching data"};
  start("1");
  CHECK(book.model
        == model_status{"training", {0, 0, 0, 0, 0.0, "fetching data"}});
  CHECK_FALSE(remaining_of(*book.training, context.now));
}

TEST_CASE_FIXTURE(fixture, "a backend may report that it has a model for the "
                           "watchlist") {
  auto action = training_action::update;
  auto accepted = true;
  SUBCASE("after an update") {
    // The state of above.
  }
  SUBCASE("before the update is answered") {
    accepted = false;
  }
  SUBCASE("when the same is submitted again") {
    action = training_action::none;
  }
  train_to(50);
  say("training failed");
  submit("2", action);
  if (accepted)
    accept("2");
  CHECK(book.model.status == "training failed");
  CHECK(say("completed") == ec::none);
  auto expected = model_status{"completed", {10, 100, 0, 1, 0.5, "train"}};
  CHECK(book.model == expected);
  // The training still has failed.
  CHECK(book.training->state == job_state::failed);
  CHECK(report({}, "completed", "2") == ec::none);
  CHECK(book.model == expected);
  SUBCASE("accepted") {
    accept("2");
  }
  SUBCASE("refused") {
    apply(job_rejection{"2", "no"});
  }
  CHECK(book.model == expected);
}

TEST_CASE_FIXTURE(fixture, "an equal list is trained again when there is no "
                           "model for it") {
  auto expected = training_action::train;
  SUBCASE("failed") {
    train_to(50);
    say("training failed");
  }
  SUBCASE("cancelled") {
    train_to(50);
    apply(job_cancellation{});
  }
  SUBCASE("completed") {
    complete();
    expected = training_action::none;
  }
  CHECK(action_on(book, {a}, {a}) == expected);
}

TEST_CASE_FIXTURE(fixture, "a cancelled update shows no model") {
  train_to(50);
  submit("2", training_action::update, true);
  apply(job_cancellation{});
  CHECK(say("completed") == ec::conflict);
}

TEST_CASE_FIXTURE(fixture, "after a reset there is no model") {
  complete();
  start("2", training_action::reset);
  say("completed");
  CHECK(book.model == model_status{"idle", {}});
}

TEST_CASE_FIXTURE(fixture, "a reset ends the running training") {
  train_to(50);
  start("2", training_action::reset, true);
  CHECK(state() == job_state::superseded);
  CHECK(book.model == model_status{"idle", {}});
  CHECK(report({11, 51, 90, 1, 0.5, "train"}) == ec::conflict);
}

TEST_CASE_FIXTURE(fixture, "a job does not end while its outcome is pending") {
  submit("1");
  CHECK(pending(book));
  pass(60s);
  auto before = book;
  apply(job_observation{"training"});
  apply(job_observation{"completed"});
  apply(job_observation{"training failed"});
  apply(job_silence{1s});
  CHECK(book == before);
  SUBCASE("it comes") {
    accept("1");
    CHECK_FALSE(pending(book));
    // Counted from the outcome; the start may be long ago.
    CHECK(shown_status(book, "completed", context) == "training");
    apply(job_observation{"completed"});
    CHECK(state() == job_state::submitted);
    pass(31s);
    apply(job_observation{"completed"});
    CHECK(state() == job_state::completed);
  }
}

TEST_CASE_FIXTURE(fixture, "failed stays failed") {
  train_to(50);
  CHECK(say("training failed") == ec::none);
  CHECK(state() == job_state::failed);
  CHECK(book.training->reason != "");
  CHECK(book.model.status == "training failed");
  auto before = book;
  CHECK(say("training failed") == ec::none);
  CHECK(say("completed") == ec::conflict);
  CHECK(book == before);
  CHECK(report({11, 60, 0, 1, 0.5, "train"}, "training failed") == ec::none);
  CHECK(state() == job_state::failed);
  CHECK(book.model.statistics.percentage_completed == 60);
}

TEST_CASE_FIXTURE(fixture, "silence stalls a training, and a report brings it "
                           "back") {
  train_to(50);
  auto last_report = book.training->updated_at;
  pass(600s);
  CHECK(apply(job_silence{10min}) == ec::none);
  CHECK(state() == job_state::training);
  pass(1s);
  apply(job_silence{10min});
  CHECK(state() == job_state::stalled);
  CHECK(book.training->reason
        == "the training backend has not reported for 601 s");
  CHECK(book.training->updated_at == last_report);
  CHECK(book.model.status == "training failed");
  CHECK(shown_status(book, "training", context) == "training failed");
  SUBCASE("progress") {
    CHECK(report({612, 60, 90, 1, 0.5, "train"}) == ec::none);
    CHECK(state() == job_state::training);
    CHECK(book.training->reason.empty());
    CHECK(book.model.status == "training");
  }
  SUBCASE("the end") {
    CHECK(say("completed") == ec::none);
    CHECK(state() == job_state::completed);
  }
  SUBCASE("the end, seen by asking") {
    apply(job_observation{"completed"});
    CHECK(state() == job_state::completed);
  }
}

TEST_CASE_FIXTURE(fixture, "an update that is never settled fails") {
  complete();
  submit("2", training_action::update);
  pass(61s);
  apply(job_silence{10min});
  CHECK(left().state == job_state::failed);
  CHECK(book.model.status == "completed");
}

TEST_CASE_FIXTURE(fixture, "a cancellation") {
  SUBCASE("nothing") {
    CHECK(apply(job_cancellation{}) == ec::none);
    CHECK(book == training_book{});
  }
  SUBCASE("a model that was trained stays") {
    complete();
    auto before = book;
    CHECK(apply(job_cancellation{}) == ec::none);
    CHECK(book == before);
  }
  SUBCASE("a failure is removed") {
    train_to(50);
    say("training failed");
    apply(job_cancellation{});
    CHECK(book.model == model_status{"idle", {}});
  }
  SUBCASE("a submission that is not settled") {
    submit("1");
    apply(job_cancellation{});
    CHECK(state() == job_state::cancelled);
    CHECK_FALSE(book.submission);
    CHECK(forgotten(book));
    // The answer arrives too late.
    accept("1");
    CHECK(state() == job_state::cancelled);
    CHECK(book.watchlist.job_id.empty());
    CHECK(report({1, 51, 90, 1, 0.5, "train"}) == ec::conflict);
    CHECK(submit("2") == ec::none);
  }
  SUBCASE("a training and a submission") {
    train_to(50);
    submit("2", training_action::train, true);
    apply(job_cancellation{});
    CHECK(book.training->id == "2");
    CHECK(state() == job_state::cancelled);
    CHECK(left().state == job_state::cancelled);
    CHECK(forgotten(book));
  }
  SUBCASE("a training") {
    train_to(50);
    CHECK(apply(job_cancellation{}) == ec::none);
    CHECK(state() == job_state::cancelled);
    CHECK(book.model == model_status{"idle", {}});
    auto before = book;
    // It stays cancelled, also after further reports.
    pass(3600s);
    CHECK(apply(job_cancellation{}) == ec::none);
    CHECK(report({1, 51, 90, 1, 0.5, "train"}) == ec::conflict);
    CHECK(say("training") == ec::conflict);
    CHECK(apply(job_observation{"training"}) == ec::none);
    CHECK(book == before);
    CHECK(shown_status(book, "training", context) == "idle");
    CHECK(submit("2") == ec::none);
  }
}

TEST_CASE_FIXTURE(fixture, "a training that no gateway submitted is adopted") {
  SUBCASE("there was none") {
    CHECK(report({40, 20, 90, 1, 0.5, "train"}) == ec::none);
    CHECK(book.training->id == "adopted");
    CHECK(book.training->started_at == context.now - 40s);
  }
  SUBCASE("with an id") {
    CHECK(report({40, 20, 90, 1, 0.5, "train"}, {}, "7") == ec::none);
    CHECK(book.training->id == "7");
  }
  SUBCASE("for a very long time") {
    CHECK(report({INT64_MAX, 20, 90, 1, 0.5, "train"}) == ec::none);
  }
  SUBCASE("just after another that no gateway submitted") {
    say("completed");
    REQUIRE(book.training->id == "adopted");
    CHECK(report({99, 20, 90, 1, 0.5, "train"}, "training") == ec::none);
    CHECK(book.training->number == 2);
  }
  SUBCASE("long after the last one") {
    complete();
    pass(100s);
    // It would have begun before the end of the last one.
    CHECK(report({131, 20, 90, 1, 0.5, "train"}) == ec::conflict);
    CHECK(report({99, 20, 90, 1, 0.5, "train"}) == ec::none);
    CHECK(book.training->number == 2);
    CHECK(book.training->workloads == workload_list{a});
    CHECK(left().id == "1");
  }
  SUBCASE("although there was nothing to train") {
    complete();
    start("2", training_action::none);
    CHECK(report({1, 2, 90, 1, 0.5, "train"}) == ec::none);
    CHECK(book.training->number == 3);
  }
  CHECK(state() == job_state::training);
  CHECK(book.model.status == "training");
}

TEST_CASE_FIXTURE(fixture, "a completion without a job is a job") {
  CHECK(say("completed") == ec::none);
  CHECK(state() == job_state::completed);
  CHECK(book.model.status == "completed");
}

TEST_CASE_FIXTURE(fixture, "the status that the backend answers") {
  SUBCASE("a training without a job is adopted") {
    apply(job_observation{"training"});
    CHECK(state() == job_state::submitted);
    CHECK(book.model.status == "training");
  }
  SUBCASE("another status without a job is ignored") {
    apply(job_observation{"completed"});
    CHECK(book == training_book{});
  }
  SUBCASE("just after a submission it may be about an earlier one") {
    start("1");
    CHECK(shown_status(book, "completed", context) == "training");
    apply(job_observation{"completed"});
    CHECK(state() == job_state::submitted);
    pass(31s);
    CHECK(shown_status(book, "completed", context) == "completed");
    apply(job_observation{"completed"});
    CHECK(state() == job_state::completed);
  }
  SUBCASE("after `training`, it is about this one") {
    train_to(50);
    auto last_report = book.training->updated_at;
    pass(1s);
    apply(job_observation{"completed"});
    CHECK(state() == job_state::training);
    apply(job_observation{"training"});
    CHECK(state() == job_state::training);
    CHECK(book.training->updated_at == last_report);
    apply(job_observation{"completed"});
    CHECK(state() == job_state::completed);
    CHECK(book.model.statistics.percentage_completed == 100);
  }
  SUBCASE("after the last report it is about this one") {
    train_to(100);
    apply(job_observation{"completed"});
    CHECK(state() == job_state::completed);
  }
  SUBCASE("between two reports it may not be") {
    train_to(50);
    pass(30s);
    apply(job_observation{"completed"});
    CHECK(state() == job_state::training);
    pass(1s);
    apply(job_observation{"completed"});
    CHECK(state() == job_state::completed);
  }
  SUBCASE("an immediate failure is about this one if it is the first") {
    start("1");
    apply(job_observation{"training failed"});
    CHECK(state() == job_state::failed);
  }
  SUBCASE("but may be about the one before") {
    complete();
    start("2");
    say("training failed");
    start("3");
    apply(job_observation{"training failed"});
    CHECK(state() == job_state::submitted);
  }
  SUBCASE("a failure") {
    train_to(50);
    apply(job_observation{"training"});
    apply(job_observation{"training failed"});
    CHECK(state() == job_state::failed);
  }
  SUBCASE("another status") {
    train_to(50);
    apply(job_observation{"training"});
    auto before = book;
    apply(job_observation{"not started"});
    apply(job_observation{"training"});
    apply(job_observation{"resting"});
    CHECK(book == before);
    CHECK(shown_status(book, "resting", context) == "resting");
  }
  SUBCASE("another training, after a while") {
    complete();
    apply(job_observation{"training"});
    CHECK(state() == job_state::completed);
    pass(31s);
    apply(job_observation{"training"});
    CHECK(book.training->number == 2);
    CHECK(state() == job_state::submitted);
  }
}

TEST_CASE_FIXTURE(fixture, "an unknown status is passed on") {
  train_to(50);
  CHECK(say("paused") == ec::none);
  CHECK(state() == job_state::training);
  CHECK(book.model == model_status{"paused", {10, 50, 90, 1, 0.5, "train"}});
}

TEST_CASE_FIXTURE(fixture, "empty progress changes nothing") {
  CHECK(apply(job_progress{}) == ec::none);
  CHECK(book == training_book{});
}

TEST_CASE_FIXTURE(fixture, "remaining time") {
  auto remaining = [this] { return remaining_of(*book.training, context.now); };
  start("1");
  CHECK(remaining()->seconds == 3600);
  CHECK(remaining()->estimated);
  SUBCASE("the estimate of the backend") {
    report({10, 10, 42, 1, 0.5, "train"});
    CHECK(remaining()->seconds == 42);
    CHECK_FALSE(remaining()->estimated);
  }
  SUBCASE("an estimate from the progress") {
    report({10, 10, 0, 1, 0.5, "train"});
    CHECK(remaining()->seconds == 90);
    CHECK(remaining()->estimated);
    pass(40s);
    CHECK(remaining()->seconds == 50);
    pass(400s);
    CHECK(remaining()->seconds == 0);
  }
  SUBCASE("an estimate by the clock of the gateway") {
    pass(20s);
    report({0, 50, 0, 1, 0.5, "train"});
    CHECK(remaining()->seconds == 20);
  }
  SUBCASE("no time has passed") {
    report({0, 50, 0, 1, 0.5, "train"});
    CHECK_FALSE(remaining());
  }
  SUBCASE("no progress") {
    report({10, 0, 0, 0, 0.0, "train"});
    CHECK_FALSE(remaining());
    report({10, 100, 0, 0, 0.0, "train"});
    CHECK_FALSE(remaining());
  }
  SUBCASE("nothing left") {
    say("completed");
    CHECK_FALSE(remaining());
  }
}

TEST_CASE_FIXTURE(fixture, "elapsed time") {
  start("1");
  pass(7s);
  CHECK(elapsed_of(*book.training, context.now) == 7);
  report({5, 1, 0, 0, 0.0, "train"});
  CHECK(elapsed_of(*book.training, context.now) == 5);
  // These reports are older.
  report({4, 2, 0, 0, 0.0, "train"});
  report({5, 0, 0, 0, 0.0, "train"});
  CHECK(book.training->statistics.percentage_completed == 1);
  SUBCASE("except one that restarts after a pause") {
    pass(31s);
    report({0, 0, 0, 0, 0.0, "train"});
    CHECK(book.training->statistics.percentage_completed == 0);
    return;
  }
  CHECK(book.training->statistics.time_elapsed == 5);
  say("completed");
  pass(100s);
  CHECK(elapsed_of(*book.training, context.now) == 5);
}

TEST_CASE_FIXTURE(fixture, "different clocks of replicas have no effect") {
  train_to(50);
  // Another replica, whose clock is minutes ahead.
  context.now += 5min;
  apply(job_silence{1min});
  apply(job_observation{"completed"});
  CHECK(state() == job_state::training);
  pass(61s);
  apply(job_silence{1min});
  CHECK(state() == job_state::stalled);
}

TEST_CASE_FIXTURE(fixture, "texts from outside are cut to whole characters") {
  std::string long_text(1000, '"');
  for (int i = 0; i < 1000; ++i)
    long_text += "ä";
  start("1");
  apply(
    job_progress{{}, long_text, training_statistics{1, 2, 3, 4, 5, long_text}});
  CHECK(book.model.status.size() < 100);
  CHECK(book.training->statistics.stage.size() < 100);
  CHECK(book.training->statistics.stage.starts_with("\"\""));
}

TEST_CASE_FIXTURE(fixture, "values of an earlier program") {
  SUBCASE("a training continues, and may stall") {
    book = import_model({"training", {30, 20, 60, 1, 0.5, "train"}},
                        noon - 20min, context);
    CHECK(state() == job_state::submitted);
    CHECK(book.model.statistics.percentage_completed == 20);
    clock.see(book, monotonic());
    pass(601s);
    apply(job_silence{10min});
    CHECK(state() == job_state::stalled);
  }
  SUBCASE("anything else is shown") {
    book = import_model({"completed", {}}, noon, context);
    CHECK_FALSE(book.training);
    CHECK(book.model.status == "completed");
  }
}

TEST_CASE_FIXTURE(fixture, "progress that names a submission overrides its "
                           "rejection") {
  CHECK(submit("1") == ec::none);
  CHECK(report({3, 10, 20, 1, 0.5, "train"}, "training", "1") == ec::none);
  apply(job_rejection{"1", "no backend"});
  REQUIRE(book.training);
  CHECK(book.training->id == "1");
  CHECK(state() == job_state::training);
  CHECK(book.watchlist.job_id == "1");
  CHECK(book.leaving.empty());
}

TEST_CASE_FIXTURE(fixture,
                  "a running training does not confirm a job without an "
                  "answer while an older one may continue") {
  train_to(10);
  apply(job_cancellation{});
  CHECK(submit("2") == ec::none);
  apply(job_doubt{"2", "no answer"});
  REQUIRE(book.training->id == "2");
  pass(std::chrono::seconds{40});
  apply(job_observation{"training"});
  apply(job_observation{"completed"});
  CHECK(state() == job_state::submitted);
}

TEST_CASE_FIXTURE(fixture, "a training that was seen late is not taken for the "
                           "one before") {
  train_to(10);
  pass(10s);
  apply(job_cancellation{});
  SUBCASE("the replica was stopped") {
    late = 10s;
    start("2");
    late = 0s;
  }
  SUBCASE("it saw the job only after the outcome") {
    auto seen = clock;
    start("2");
    clock = seen;
    pass(10s);
    context.now -= 5min;
    clock.see(book, monotonic());
  }
  pass(10s);
  CHECK(report({20, 10, 20, 1, 0.5, "train"}) == ec::none);
  CHECK(book.training->id == "2");
}

TEST_CASE_FIXTURE(fixture, "a wall clock that is behind does not make a "
                           "training that has reported younger") {
  train_to(10);
  start("2", training_action::train, true);
  REQUIRE(book.training->may_receive_stale_progress);
  pass(40s);
  CHECK(report({40, 10, 90, 2, 0.5, "train"}) == ec::none);
  // The replica was restarted.
  clock = {};
  context.now -= 5min;
  clock.see(book, monotonic());
  SUBCASE("the next report") {
    pass(4s);
    CHECK(report({44, 20, 80, 3, 0.5, "train"}) == ec::none);
    CHECK(book.training->statistics.time_elapsed == 44);
  }
  SUBCASE("after a long time") {
    pass(60s);
    CHECK(report({100, 20, 80, 3, 0.5, "train"}) == ec::none);
    CHECK(book.training->statistics.time_elapsed == 100);
  }
  SUBCASE("a report of the training before") {
    pass(1s);
    CHECK(report({80, 20, 80, 3, 0.5, "train"}) == ec::conflict);
  }
  SUBCASE("a very long time") {
    CHECK(report({INT64_MAX, 20, 80, 3, 0.5, "train"}) == ec::conflict);
  }
}

TEST_CASE_FIXTURE(fixture,
                  "a wall clock that is ahead does not make a job older") {
  train_to(10);
  CHECK(report({100, 20, 20, 1, 0.5, "train"}) == ec::none);
  apply(job_cancellation{});
  CHECK(submit("2") == ec::none);
  context.now += 5min;
  SUBCASE("before the outcome") {
    CHECK(report({90, 20, 20, 1, 0.5, "train"}) == ec::conflict);
    CHECK_FALSE(book.submission->progressed);
  }
  SUBCASE("after it") {
    accept("2");
    CHECK(report({90, 20, 20, 1, 0.5, "train"}) == ec::conflict);
    CHECK_FALSE(book.training->progressed);
  }
}

TEST_CASE_FIXTURE(fixture,
                  "the last report of a training that has completed may "
                  "come late") {
  start("1");
  pass(20s);
  CHECK(report({20, 100, 0, 7, 0.5, "train"}) == ec::none);
  CHECK(say("completed") == ec::none);
  CHECK(submit("2") == ec::none);
  pass(1s);
  SUBCASE("before the outcome") {
    CHECK(report({20, 100, 0, 7, 0.5, "train"}) == ec::none);
    CHECK_FALSE(book.submission->progressed);
  }
  SUBCASE("after it") {
    accept("2");
    CHECK(report({20, 100, 0, 7, 0.5, "train"}) == ec::conflict);
    CHECK_FALSE(book.training->progressed);
  }
}

TEST_CASE_FIXTURE(fixture, "a report without an id does not complete a list "
                           "that may never have been sent") {
  CHECK(submit("1") == ec::none);
  apply(job_doubt{"1", "no answer"});
  REQUIRE(book.training->id == "1");
  CHECK(say("completed") == ec::conflict);
  CHECK(state() == job_state::submitted);
  CHECK(report({3, 10, 20, 1, 0.5, "train"}) == ec::none);
  CHECK(say("completed") == ec::none);
  CHECK(state() == job_state::completed);
}

TEST_CASE_FIXTURE(fixture, "after a loss of the book, a late report does not "
                           "replace a later training") {
  CHECK(report({30, 10, 20, 1, 0.5, "train"}, "training", "old") == ec::none);
  CHECK(book.training->id == "old");
  pass(2s);
  CHECK(report({4, 10, 20, 2, 0.5, "train"}, "training", "new") == ec::none);
  CHECK(book.training->id == "new");
  CHECK(report({31, 10, 20, 3, 0.5, "train"}, "training", "old")
        == ec::conflict);
  CHECK(book.training->id == "new");
}

TEST_CASE_FIXTURE(fixture, "a cancellation or failure since is part of the "
                           "basis") {
  start("1");
  auto basis = basis_of(book);
  auto enter = [&] {
    return apply(
      job_submission{"2", training_action::none, {a}, {}, false, basis, {a}});
  };
  SUBCASE("cancelled") {
    apply(job_cancellation{});
    CHECK(enter() == ec::conflict);
  }
  SUBCASE("failed") {
    CHECK(say("training failed") == ec::none);
    CHECK(enter() == ec::conflict);
  }
  SUBCASE("completed") {
    CHECK(say("completed") == ec::none);
    CHECK(enter() == ec::none);
  }
}

TEST_CASE_FIXTURE(fixture, "wall clocks do not decide whether a report may be "
                           "about an update") {
  train_to(10);
  start("2", training_action::update, true);
  context.now += 5min;
  CHECK(say("completed") == ec::none);
  CHECK(state() == job_state::training);
  context.now -= 10min;
  pass(31s);
  CHECK(say("completed") == ec::none);
  CHECK(state() == job_state::completed);
}

TEST_CASE("the delay of a stored value") {
  using namespace std::chrono;
  lateness delay;
  auto local = [](milliseconds x) { return lateness::time_point{x}; };
  // The first values have nothing to be compared with.
  CHECK(delay.of(noon - 60s, local(6s)) == milliseconds::max());
  CHECK(delay.of(noon, local(7s)) == milliseconds::max());
  CHECK(delay.of(noon + 1s, local(8s + 20ms)) == 20ms);
  CHECK(delay.of(noon + 2s, local(19s)) == 10s);
  CHECK(delay.of(noon + 13s, local(20s)) == 0ms);
  // A clock of the store that was set back is used again after some values.
  for (int i = 0; i < 70; ++i)
    delay.of(noon, local(30s));
  CHECK(delay.of(noon, local(30s)) == 0ms);
}

TEST_CASE_FIXTURE(fixture, "an outcome is not a report of a training") {
  CHECK(submit("1") == ec::none);
  CHECK(report({9, 10, 20, 6, 0.5, "train"}) == ec::none);
  pass(60s);
  apply(job_doubt{"1", "not stored"});
  REQUIRE(book.training->id == "1");
  CHECK(submit("2", training_action::train, true) == ec::none);
  CHECK(report({0, 1, 20, 7, 0.5, "train"}) == ec::none);
  CHECK(book.submission->progressed);
  CHECK(book.training->statistics.time_elapsed == 9);
}
