#include "tests/simulation/world.hpp"

#include "actors/training/planted_bug.hpp"
#include "nats/subjects.hpp"
#include "nats/training/progress_json.hpp"

#include <algorithm>
#include <memory>

namespace aiops::simulation {

using namespace nats;

namespace {

/// Added to the deadlines that the program guarantees, for the messages between
/// its actors.
constexpr milliseconds answer_margin{500};

/// Additional time in which a submission must be settled after the last fault.
constexpr seconds settle_margin{30};

/// Time until all connections are established again.
constexpr milliseconds reconnect_time{200};

/// Maximum time until a change is seen without a notification.
constexpr seconds reread_margin{25};

/// The current world, for functions that have no reference to it.
[[maybe_unused]] world* current_world = nullptr;

/// Whether a fault affects more than one replica.
bool hits_all(fault x) {
  return x >= fault::leader_change && x <= fault::book_unreadable;
}

/// Interval at which replicas compare the buckets with their state.
constexpr seconds compare_interval{35};

/// Maximum time until replicas accept that the store has lost something: a
/// missing value is accepted after 30 s, an older book after 10 s, and both are
/// checked every 20 s.
constexpr seconds loss_margin{65};

constexpr size_t clusters = 2;
constexpr size_t deployments = 6;

} // namespace

world::world(const plan& what, bool with_history)
  : plan_(what), time_(what.seed), faults_(plan_), store_(time_, faults_),
    net_(time_, faults_, store_), ledger_(time_, faults_, store_, plan_.world),
    backend_(time_, faults_, net_, store_, plan_.world, ledger_),
    random_(what.seed, 3), with_history_(with_history) {
  store_.max_payload = plan_.world.max_payload;
  store_.on_change = [this](auto& x) {
    time_.trace(x.revision);
    ledger_.on_stored(x);
  };
  store_.on_went_back = [this](auto since) { ledger_.on_went_back(since); };
  store_.on_bucket_removed = [this](auto& x) { ledger_.on_bucket_removed(x); };
  ledger_.set_backend(backend_);
  ledger_.on_violation = [this](auto x) { fail(x); };
  if (with_history)
    ledger_.note = [this](auto text) { note(text); };
  backend_.job_of = [this](size_t link, auto& payload) {
    return ledger_.job_of(link, payload);
  };
  backend_.send_report = [this](auto body, auto answered) {
    send_report(body, answered);
  };
  for (size_t i = 0; i < plan_.world.replicas; ++i)
    replicas_.push_back(
      std::make_unique<replica>(time_, faults_, net_, plan_.world, i, ledger_));
}

world::~world() {
  time_.end();
}

milliseconds world::clock_offset(const std::string& owner) const {
  // Same format as the owners of leases in `replica`.
  auto index = static_cast<size_t>(owner.at(owner.find('-') + 1) - '0');
  return replicas_.at(index)->clock_offset();
}

run_result world::run() {
#ifdef AIOPS_SIMULATION
  current_world = this;
  simulated_clock_offset = [](const std::string& owner) {
    return current_world->clock_offset(owner);
  };
  simulated_invariant_check = [](const std::string& broken) {
    current_world->ledger_.on_broken_book(broken);
  };
#endif
  backend_.start();
  for (auto& x : replicas_)
    x->start();
  // The first steps may happen while the replicas start.
  if (plan_.rate(fault::clock_skew) > 0)
    faults_.count(fault::clock_skew);
  for (auto& x : plan_.steps)
    time_.after(x.at, [this, x] { carry_out(x); });
  time_.run_for(plan_.safety);
  if (!time_.stopped())
    heal();
  if (!time_.stopped())
    check_liveness();
  result_.trace = time_.trace();
  result_.virtual_time = time_.elapsed();
  result_.steps = time_.steps();
  result_.faults = faults_.counts();
  result_.pairs = faults_.pairs();
  return std::move(result_);
}

void world::fail(const violation& x) {
  if (result_.failure)
    return;
  result_.failure = x;
  note("VIOLATED: " + x.invariant + ": " + x.detail);
  time_.stop();
}

void world::note(const std::string& text) {
  if (with_history_)
    result_.history.push_back(std::to_string(time_.elapsed().count()) + " ms  "
                              + text);
}

// -- clients ------------------------------------------------------------------

caf::timespan world::query_deadline() const {
  return plan_.world.request_timeout * 12 + seconds{2};
}

template <class T, class Handle, class... Ts>
void world::ask(size_t target, const std::string& what, caf::timespan deadline,
                const Handle& to, std::function<void(T&)> on_value,
                std::function<void(const caf::error&)> on_error, Ts... xs) {
  auto& asked = *replicas_[target];
  // The connection is refused.
  if (!to)
    return;
  auto late_is_wrong = !asked.paused();
  auto done = std::make_shared<bool>(false);
  auto disturbances = asked.disturbances();
  auto sent = time_.elapsed();
  waiting_.emplace_back(target, asked.deaths(), done);
  time_.after(deadline, [=, this, &asked] {
    if (late_is_wrong && !*done && asked.disturbances() == disturbances)
      ledger_.on_late_answer(what, time_.elapsed() - sent);
  });
  time_.ask<T>(
    to,
    [=, this](T& x) {
      *done = true;
      on_value(x);
    },
    [=, this](caf::error& err) {
      *done = true;
      on_error(err);
    },
    xs...);
}

workload_list world::draw_list(random_source& random) {
  auto dice = random.below(100);
  if (dice < 10)
    return {};
  auto result = last_list_;
  if (dice < 20)
    return result;
  if (dice < 45 && result.size() > 1) {
    result.erase(result.begin()
                 + static_cast<ptrdiff_t>(random.below(result.size())));
    return result;
  }
  auto large = plan_.world.name_length > 20;
  auto name = [&](char kind, uint64_t number) {
    return std::string(plan_.world.name_length, kind) + std::to_string(number);
  };
  if (dice < 75)
    result.clear();
  auto more = 1 + random.below(large ? 60 : 4);
  for (uint64_t i = 0; i < more; ++i)
    result.push_back({name('c', random.below(clusters)),
                      name('n', random.below(clusters)),
                      name('d', random.below(large ? 100 : deployments))});
  return normalize(std::move(result));
}

void world::post(size_t target, workload_list xs, bool force) {
  last_list_ = xs;
  post_answer answer;
  answer.replica = target;
  answer.asked = time_.now();
  training_request request{std::move(xs), force, false};
  ask<training_result>(
    target, "POST",
    plan_.world.train_timeout + plan_.world.request_timeout * 6 + answer_margin,
    replicas_[target]->training,
    [=, this](training_result& x) {
      auto got = answer;
      got.result = std::move(x);
      ledger_.on_post_answered(got);
    },
    [=, this](const caf::error& err) {
      auto got = answer;
      got.code = code_of(err);
      ledger_.on_post_answered(got);
    },
    train_atom_v, request);
}

void world::remove(size_t target) {
  note("client: DELETE at replica " + std::to_string(target));
  auto answered = [=, this](std::string how) {
    note("client: DELETE at replica " + std::to_string(target) + " answered "
         + how);
  };
  ask<stored_book>(
    target, "DELETE", query_deadline(), replicas_[target]->training_jobs,
    [=](stored_book&) { answered("200"); },
    [=](const caf::error& err) {
      answered(std::string{to_string(code_of(err))});
    },
    delete_atom_v);
}

void world::read_status(size_t target) {
  ask<snapshot_ptr<model_status>>(
    target, "GET status", query_deadline(), replicas_[target]->training_status,
    [this](snapshot_ptr<model_status>& x) {
      ledger_.on_status_shown(x->value());
    },
    [](const caf::error&) {}, get_atom_v);
}

void world::read_watchlist(size_t target) {
  ask<snapshot_ptr<workload_list>>(
    target, "GET watchlist", query_deadline(), replicas_[target]->watchlist,
    [](snapshot_ptr<workload_list>&) {}, [](const caf::error&) {}, get_atom_v);
}

void world::read_jobs(size_t target) {
  // The history needs up to 100 reads, each with its own deadline.
  ask<snapshot_ptr<job_summaries>>(
    target, "GET jobs", query_deadline() * 3, replicas_[target]->training_jobs,
    [](snapshot_ptr<job_summaries>&) {}, [](const caf::error&) {}, list_atom_v);
}

void world::send_report(const std::string& body,
                        std::function<void(ec)> answered) {
  auto target = random_.below(replicas_.size());
  auto& to = replicas_[target]->training_status;
  if (!to)
    return answered(ec::disconnected);
  auto progress = decode_progress(body);
  if (!progress)
    return answered(code_of(progress.error()));
  ask<caf::unit_t>(
    target, "PUT progress", query_deadline(), to,
    [=](caf::unit_t&) { answered(ec::none); },
    [=, this](const caf::error& err) {
      note("progress is refused: " + text_of(err));
      answered(code_of(err));
    },
    put_atom_v, std::move(*progress));
}

// -- steps --------------------------------------------------------------------

void world::carry_out(const step& x) {
  random_source random{x.detail, 4};
  if (x.kind != step_kind::fault)
    note("-- " + describe(x));
  switch (x.kind) {
    case step_kind::post:
    case step_kind::post_forced: {
      auto force = x.kind == step_kind::post_forced;
      auto xs = draw_list(random);
      post(x.target, xs, force);
      auto other = random.below(replicas_.size());
      if (faults_.happens(fault::same_post_twice))
        time_.after(
          random.between<milliseconds>(milliseconds{0}, milliseconds{50}),
          [=, this] { post(other, xs, force); });
      if (faults_.happens(fault::two_at_once))
        post(other, draw_list(random), force);
      break;
    }
    case step_kind::remove:
      remove(x.target);
      break;
    case step_kind::read_status:
      read_status(x.target);
      break;
    case step_kind::read_watchlist:
      read_watchlist(x.target);
      break;
    case step_kind::read_jobs:
      read_jobs(x.target);
      break;
    case step_kind::fault:
      // Between two steps of actors.
      time_.after_steps(random.below(60), [=, this] { carry_out_fault(x); });
      break;
  }
}

void world::carry_out_fault(const step& x) {
  if (!faults_.on() || time_.stopped())
    return;
  random_source random{x.detail, 5};
  note("-- " + describe(x));
  faults_.count(x.what);
  net_.meet(x.what, hits_all(x.what) ? std::nullopt : std::optional{x.target});
  auto& target = *replicas_[x.target];
  switch (x.what) {
    case fault::connection_lost:
      net_.cut(x.target, x.length);
      break;
    case fault::link_blocked:
      net_.block(x.target, x.length, random.chance(0.6), random.chance(0.6));
      break;
    case fault::answers_lost:
      net_.block(x.target, x.length + milliseconds{1}, false, true);
      time_.after(x.length, [=, this] {
        if (faults_.on())
          net_.cut(x.target, milliseconds{100});
      });
      break;
    case fault::leader_change:
      store_.lose_leader(x.length);
      break;
    case fault::store_full:
      store_.set_full(x.length);
      break;
    case fault::read_only:
      store_.set_read_only(x.length);
      break;
    case fault::slow_store:
      store_.set_slow(x.length);
      break;
    case fault::store_went_back:
      store_.go_back(x.length);
      break;
    case fault::bucket_removed: {
      auto kv = plan_.world.protocol == backend_protocol::kv;
      std::vector<std::string_view> names{subjects::gateway_bucket,
                                          subjects::aggregation_bucket};
      if (kv)
        names = {subjects::gateway_bucket, subjects::statistics_bucket,
                 subjects::parameters_bucket};
      store_.remove_bucket(std::string{random.pick(names)});
      break;
    }
    case fault::book_removed:
      ledger_.on_book_lost(replicas_.size());
      store_.overwrite(std::string{subjects::gateway_bucket},
                       std::string{subjects::book_key}, std::nullopt);
      break;
    case fault::book_unreadable:
      ledger_.on_book_lost(replicas_.size());
      store_.overwrite(std::string{subjects::gateway_bucket},
                       std::string{subjects::book_key}, "{\"jo");
      break;
    case fault::replica_crash:
      target.crash();
      ledger_.on_crash(x.target);
      time_.after(x.length, [&target] { target.start(); });
      break;
    case fault::replica_pause:
      target.pause();
      time_.after(x.length, [&target] { target.resume(); });
      break;
    case fault::actor_death:
      target.kill_one(x.detail);
      ledger_.on_crash(x.target);
      break;
    case fault::clock_jump:
      target.set_clock_offset(
        random.between<milliseconds>(-seconds{300}, seconds{300}));
      break;
    case fault::backend_absent:
    case fault::backend_crash:
      backend_.crash(x.length, false);
      break;
    case fault::backend_empty:
      backend_.crash(x.length, true);
      break;
    case fault::trains_unasked:
      backend_.train_unasked();
      break;
    default:
      break;
  }
}

// -- when the faults have stopped ---------------------------------------------

void world::heal() {
  note("== the faults stop");
  faults_.stop();
  store_.heal();
  for (auto& x : replicas_) {
    x->resume();
    x->start();
  }
  net_.heal();
  backend_.heal();
}

std::string world::wait(caf::timespan limit,
                        std::function<std::string()> problem) {
  auto end = time_.now() + limit;
  auto last = problem();
  while (!last.empty() && time_.now() < end && !time_.stopped()) {
    time_.run_for(milliseconds{500});
    last = problem();
  }
  return last;
}

void world::expect_calm(const std::string& invariant, caf::timespan limit,
                        std::function<std::string()> problem) {
  if (time_.stopped())
    return;
  auto last = wait(limit, problem);
  if (!last.empty())
    ledger_.fail(invariant, last);
}

std::string world::disagreement() {
  auto book = read_book(store_);
  if (!book)
    return {};
  for (auto& x : replicas_) {
    if (!x->training_status)
      return "replica " + std::to_string(x->index()) + " does not run";
    auto difference = std::make_shared<std::string>("does not answer");
    time_.ask<snapshot_ptr<training_overview>>(
      x->training_status,
      [=, &book](snapshot_ptr<training_overview>& got) {
        auto shown = view_of(got->value().book);
        auto same = shown.model == book->model && shown.jobs == book->jobs;
        *difference = same ? ""
                           : "shows " + describe(shown) + " instead of "
                               + describe(*book);
      },
      [=](caf::error& err) { *difference = text_of(err); }, overview_atom_v);
    time_.run_for(milliseconds{0});
    if (!difference->empty())
      return "replica " + std::to_string(x->index()) + ' ' + *difference;
  }
  return ledger_.mirror_difference();
}

bool world::reports_a_loss(const replica& x) {
  if (!x.training_status)
    return false;
  auto reported = std::make_shared<bool>(false);
  time_.ask<snapshot_ptr<training_overview>>(
    x.training_status,
    [=](snapshot_ptr<training_overview>& got) {
      *reported = reports_loss(got->value());
    },
    [](caf::error&) {}, overview_atom_v);
  time_.run_for(milliseconds{0});
  return *reported;
}

void world::check_false_alarm() {
  if (ledger_.lost())
    return;
  for (auto& x : replicas_)
    if (reports_a_loss(*x))
      ledger_.fail("no loss is reported without one",
                   "replica " + std::to_string(x->index()) + " reports one");
}

std::string world::silence_on_loss() {
  for (auto& x : replicas_)
    if (reports_a_loss(*x))
      return {};
  std::string who;
  for (auto index : ledger_.witnesses())
    who += ' ' + std::to_string(index);
  return "no replica says that the store lost something; those that knew it:"
         + who;
}

void world::check_liveness() {
  auto& config = plan_.world;
  auto patience = config.train_timeout + config.request_timeout * 4
                  + settle_margin;
  time_.run_until(std::max(time_.now(), net_.last_arrival()));
  time_.run_for(reconnect_time);
  // Requests of clients may wait for each other, each until its deadline.
  auto healed = time_.now();
  wait(std::chrono::hours{1}, [=, this] {
    auto open = ledger_.overdue(healed, patience);
    if (!open.empty() && open != "waiting")
      ledger_.fail("every submission is settled", open);
    return open;
  });
  // A training that began before may still die now.
  auto trains = backend_.running();
  auto died = trains ? trains->silent_from.value_or(time_.now()) : time_.now();
  // A submission with an unknown outcome waits for the previous training.
  expect_calm("no job runs whose trainer is dead",
              std::max<caf::timespan>(died - time_.now(), seconds{0})
                + 2 * (config.stall_after + settle_margin),
              [this] { return ledger_.unrest(); });
  expect_calm("all replicas and buckets agree",
              config.lease + config.request_timeout * 2
                + std::max(reread_margin, compare_interval),
              [this] { return disagreement(); });
  expect_calm("every request is answered by its deadline",
              config.train_timeout * 2 + config.request_timeout * 12, [this] {
                auto open = std::count_if(
                  waiting_.begin(), waiting_.end(), [this](auto& x) {
                    return !*x.done
                           && replicas_[x.target]->deaths() == x.deaths;
                  });
                return open == 0
                         ? std::string{}
                         : std::to_string(open) + " requests are not answered";
              });
  if (time_.stopped())
    return;
  ledger_.check_outcomes();
  check_false_alarm();
  if (!ledger_.witnesses().empty())
    expect_calm("a store that went back is reported",
                loss_margin + config.request_timeout * 4,
                [this] { return silence_on_loss(); });
  check_service(3);
}

void world::give_up(size_t target, time_point until,
                    std::shared_ptr<std::string> problem) {
  time_.ask<stored_book>(
    replicas_[target]->training_jobs, [=](stored_book&) { problem->clear(); },
    [=, this](caf::error& err) {
      *problem = text_of(err);
      if (code_of(err) == ec::overloaded && time_.now() < until)
        time_.after(seconds{1}, [=, this] { give_up(target, until, problem); });
    },
    delete_atom_v);
}

void world::submit_last(size_t target, std::string name, time_point until,
                        std::shared_ptr<post_outcome> outcome) {
  training_request request{{{"last", "last", name}}, false, false};
  time_.ask<training_result>(
    replicas_[target]->training,
    [=, this](training_result& x) {
      outcome->id = x.job_id;
      // Nor does a gateway know of one that the store lost.
      outcome->unasked = x.running
                         && (!ledger_.submitted(x.running->id)
                             || ledger_.lost());
      outcome->problem = x.running && !outcome->unasked ? "409" : "";
    },
    [=, this](caf::error& err) {
      outcome->problem = text_of(err);
      if (code_of(err) == ec::overloaded && time_.now() < until)
        time_.after(seconds{1},
                    [=, this] { submit_last(target, name, until, outcome); });
    },
    train_atom_v, request);
}

void world::check_service(int rounds) {
  if (time_.stopped())
    return;
  note("== DELETE, then POST");
  // Until a replica accepts that something is lost, it answers that the client
  // should try again.
  auto patience = ledger_.lost() ? loss_margin : seconds{0};
  auto deleted = std::make_shared<std::string>("was not answered");
  auto target = random_.below(replicas_.size());
  give_up(target, time_.now() + patience, deleted);
  expect_calm("DELETE works from every state", query_deadline() + patience,
              [=] { return *deleted; });
  if (time_.stopped())
    return;
  backend_.set_training_length(seconds{3});
  auto outcome = std::make_shared<post_outcome>();
  target = random_.below(replicas_.size());
  // The backend may have the watchlist of a job that no book has any more, and
  // does not train the same one again.
  auto name = ledger_.undone() ? "last" + std::to_string(rounds) : "last";
  submit_last(target, name, time_.now() + patience, outcome);
  expect_calm("POST works after DELETE",
              plan_.world.train_timeout + plan_.world.request_timeout * 6
                + patience,
              [=] { return outcome->problem; });
  if (!outcome->problem.empty())
    return;
  // A training that no gateway submitted was first reported meanwhile.
  if (outcome->unasked && rounds > 1)
    return check_service(rounds - 1);
  auto id = std::make_shared<std::string>(outcome->id);
  auto disturbed = [=, this] { return ledger_.disturbed(*id); };
  expect_calm("a training completes", seconds{3} + settle_margin + seconds{10},
              [=, this]() -> std::string {
                if (disturbed())
                  return {};
                auto book = read_book(store_);
                auto job = book ? book->find(*id) : nullptr;
                if (!job)
                  return "job " + *id + " is in no book";
                return job->state == job_state::completed
                         ? ""
                         : "job " + *id + " is "
                             + std::string{to_string(job->state)};
              });
  // A DELETE or POST that was answered with a timeout may still happen, and a
  // report without a name be on its way.
  if (disturbed() && rounds > 1)
    return check_service(rounds - 1);
  expect_calm("the world is notified of every training that has completed",
              plan_.world.lease * 2 + seconds{20},
              [this] { return ledger_.missing_hook(); });
  expect_calm("all replicas and buckets agree",
              plan_.world.request_timeout * 2 + reread_margin,
              [this] { return disagreement(); });
}

} // namespace aiops::simulation
