#include "tests/simulation/ledger.hpp"

#include "nats/json.hpp"
#include "nats/subjects.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace aiops::simulation {

using namespace nats;

std::vector<std::string> ignored_invariants;

namespace {

std::string text(training_action x) {
  return std::string{to_string(x)};
}

std::string text(job_state x) {
  return std::string{to_string(x)};
}

bool shows_progress(job_state x) {
  return x == job_state::fetching_data || x == job_state::training;
}

/// Whether the backend trained or changed a model.
bool took_effect(effect x) {
  return x != effect::none && x != effect::refused;
}

} // namespace

ledger::ledger(timeline& time, faults& what, jetstream_model& store,
               const setup& config)
  : time_(time), faults_(what), store_(store), config_(config) {
  // nop
}

void ledger::fail(std::string invariant, std::string detail) {
  auto ignored = [&](auto& text) {
    return invariant.find(text) != std::string::npos;
  };
  if (std::any_of(ignored_invariants.begin(), ignored_invariants.end(), ignored)
      || std::exchange(failed_, true))
    return;
  if (on_violation)
    on_violation({std::move(invariant), std::move(detail)});
}

std::string ledger::name_of(const std::string& id) const {
  auto i = jobs_.find(id);
  return "job " + id
         + (i == jobs_.end() ? " (of no submission)"
                             : " (" + text(i->second.action) + ")");
}

// -- the backend --------------------------------------------------------------

void ledger::on_submission(size_t replica, const backend_submission& what) {
  auto& x = job(what.id);
  if (x.sent == time_point{}) {
    x.replica = replica;
    x.workloads = what.workloads;
    x.sent = time_.now();
  }
  auto& sent = sent_[replica];
  sent.emplace_back(encode_workloads(what.workloads), what.id);
  if (note)
    note("replica " + std::to_string(replica) + " submits job " + what.id + ": "
         + sent.back().first);
}

std::string ledger::job_of(size_t replica, const std::string& payload) const {
  auto i = sent_.find(replica);
  if (i == sent_.end())
    return {};
  auto last = std::find_if(i->second.rbegin(), i->second.rend(),
                           [&](auto& x) { return x.first == payload; });
  return last != i->second.rend() ? last->second : std::string{};
}

void ledger::on_received(const std::string& id, effect what, bool by_request) {
  if (note)
    note("backend: " + std::string{to_string(what)} + ' ' + name_of(id)
         + (by_request ? "" : " found in the store"));
  auto& x = job(id);
  auto before = std::count_if(
    x.receipts.begin(), x.receipts.end(),
    [](auto& r) { return r.by_request && took_effect(r.what); });
  x.receipts.push_back({what, time_.now(), by_request});
  if (by_request && took_effect(what) && before > 0)
    fail("one effect at the backend per job",
         name_of(id) + " reached the backend twice");
}

void ledger::on_answered(const std::string& id, bool good) {
  if (note)
    note(std::string{"backend: answers "} + (good ? "yes" : "no") + " to "
         + name_of(id));
  if (good)
    job(id).answered_good = true;
}

bool ledger::accepted(const std::string& id) const {
  auto i = jobs_.find(id);
  return i != jobs_.end()
         && std::any_of(i->second.receipts.begin(), i->second.receipts.end(),
                        [](auto& r) { return took_effect(r.what); });
}

bool ledger::submitted(const std::string& id) const {
  auto i = jobs_.find(id);
  return i != jobs_.end() && i->second.sent != time_point{};
}

void ledger::on_report_answered(const true_training& which,
                                const sent_report& report, ec code) {
  if (note)
    note("backend: report " + std::to_string(report.epoch) + " of "
         + name_of(which.job) + " answered " + std::string{to_string(code)});
  if (code == ec::none && report.has_statistics && lost_at_ == time_point{}
      && stored_epochs_.count(report.epoch) == 0 && !is_outdated(which, report))
    fail("acknowledged progress is stored",
         "report " + std::to_string(report.epoch) + " of " + name_of(which.job)
           + " was acknowledged, but no book had it");
  if (code != ec::conflict)
    return;
  if (is_healthy(which))
    fail("progress of the healthy training is taken",
         "report " + std::to_string(report.epoch) + " of " + name_of(which.job)
           + " was refused");
}

bool ledger::is_outdated(const true_training& which,
                         const sent_report& report) const {
  // The job that showed it may have left the book since the report was checked.
  return std::any_of(jobs_.begin(), jobs_.end(), [&](auto& entry) {
    auto& [id, x] = entry;
    if (x.epochs.empty() || time_.now() - x.heard.back() > start_tolerance)
      return false;
    auto epoch = x.epochs.back();
    auto shown = backend_->find(epoch / epoch_base);
    if (!shown || epoch % epoch_base == 0)
      return false;
    auto same = id == which.job || !report.has_id;
    auto& other = shown->reports[static_cast<size_t>(epoch % epoch_base) - 1];
    return same && other.elapsed >= report.elapsed;
  });
}

bool ledger::is_healthy(const true_training& which) const {
  auto i = jobs_.find(which.job);
  if (which.state != truth::runs || i == jobs_.end() || store_lost_
      || lost_at_ != time_point{})
    return false;
  auto& known = i->second;
  auto given_up = !known.state || known.state == job_state::cancelled
                  || known.state == job_state::completed
                  || known.state == job_state::failed;
  if (given_up || !known.confirmed || !known.entered)
    return false;
  // A training or a reset may replace it, even if that is not known yet. A mere
  // change of the watchlist may not.
  return std::none_of(jobs_.begin(), jobs_.end(), [&](auto& entry) {
    auto& [id, x] = entry;
    auto later = id != which.job && x.entered && *x.entered >= *known.entered;
    auto replaces = x.action == training_action::train
                    || x.action == training_action::reset;
    auto refused = x.state == job_state::failed && !accepted(id);
    return later && replaces && !refused;
  });
}

// -- the store ----------------------------------------------------------------

void ledger::on_broken_book(const std::string& broken) {
  // A replica may take the book after a loss for the next of what it knew.
  if (!lost())
    fail("the invariants of the book hold", broken);
}

void ledger::on_went_back(time_point since) {
  store_lost_ = true;
  lost_at_ = time_.now();
  std::erase_if(numbers_, [&](auto& x) { return x.second.second > since; });
  for (auto& [write, when] : book_writes_)
    if (when > since)
      lost_writes_.insert(write);
  for (auto& [id, x] : jobs_) {
    x.state.reset();
    // No replica has to know what was lost.
    while (x.heard.size() > 1 && x.heard.back() > since)
      x.heard.pop_back();
  }
  book_ = read_book(store_);
  auto found = store_.find(std::string{subjects::gateway_bucket},
                           std::string{subjects::book_key});
  for (auto& [replica, shown] : shown_)
    if (shown.revision > (found ? found->revision : 0))
      witnesses_.insert(replica);
}

void ledger::on_bucket_removed(const std::string& bucket) {
  if (bucket != subjects::gateway_bucket)
    return;
  on_went_back(time_point{});
}

void ledger::on_stored(const jetstream_model::change& x) {
  if (is_book(x)) {
    if (!x.value) {
      if (note)
        note("store: the book was removed");
      return;
    }
    if (x.value->size() > max_book_size)
      fail("the book stays small",
           "it has " + std::to_string(x.value->size()) + " bytes");
    auto next = read_book(store_);
    if (note && next) {
      note("store: book " + std::to_string(x.revision) + ": "
           + describe(*next));
    }
    if (next) {
      check_undone(*next);
      check_reused_revision(*next);
      check_book(*next);
    }
    return;
  }
  check_parameters(x);
  if (auto archived = archived_job(x)) {
    archived_.insert(archived->id);
    last_archived_ = std::max(last_archived_, archived->number);
    check_number(*archived);
    if (archived->state == job_state::completed)
      check_completion(archived->id, "the history");
  }
}

void ledger::check_parameters(const jetstream_model::change& x) {
  if (x.bucket != subjects::parameters_bucket
      || x.key != subjects::parameters_key)
    return;
  auto next = std::string{};
  if (x.value)
    read_text(parse_json(*x.value), "uuid", next);
  parameter_writes_.emplace_back(time_.now(), next);
  auto last = std::exchange(parameters_job_, next);
  if (!next.empty() || last.empty() || !book_ || lost_at_ != time_point{})
    return;
  auto open = book_->unsettled();
  auto given_up = book_->nothing_to_show
                  || std::any_of(book_->jobs.begin(), book_->jobs.end(),
                                 [](auto& job) {
                                   return job.state == job_state::cancelled;
                                 });
  auto stands = open ? open->id == last
                     : book_->watchlist_job == last && !given_up;
  if (stands)
    fail("the parameters of a submission stay",
         "those of " + name_of(last) + " were removed");
}

void ledger::check_reused_revision(const book_view& next) {
  auto before = book_ ? book_->write : std::string{};
  // The store compares revisions only, so it has lost this book, too.
  if (!before.empty() && next.previous != before
      && lost_writes_.count(next.previous) > 0) {
    if (note)
      note("store: the last book is lost to one that was judged by a lost one");
    on_went_back(book_writes_[before] - caf::timespan{1});
  }
  book_writes_[next.write] = time_.now();
}

void ledger::check_undone(const book_view& next) {
  // Only a write that was sent before the loss knows no later number.
  auto late = faults_.counts()[static_cast<size_t>(fault::write_late)] > 0
              && lost() && time_.now() - lost_at_ <= longest_write;
  if (book_ && late && next.last_number < book_->last_number)
    for (auto& x : book_->jobs)
      if (!next.find(x.id))
        undone_.insert(x.id);
}

void ledger::check_book(const book_view& next) {
  auto before = std::exchange(book_, next);
  for (auto& x : next.jobs) {
    if (before && !before->find(x.id) && jobs_.count(x.id) == 0 && !x.settled)
      check_action(x, *before);
    check_job(x, next);
  }
  if (next.model.statistics.current_epoch != 0)
    stored_epochs_.insert(next.model.statistics.current_epoch);
}

void ledger::check_job(const job_view& x, const book_view& book) {
  check_number(x);
  auto percentage = x.statistics.percentage_completed;
  if (percentage < 0 || percentage > 100)
    fail("shown progress is 0 to 100",
         name_of(x.id) + " shows " + std::to_string(percentage));
  auto& known = job(x.id);
  if (!known.entered)
    known.heard.push_back(*(known.entered = time_.now()));
  known.action = x.action;
  if (x.accepted && !known.accepted_in_book)
    known.accepted_in_book = time_.now();
  known.doubted = known.doubted
                  || (x.settled && !x.accepted && running(x.state));
  check_transition(x, known, book);
  known.state = x.state;
  known.number = x.number;
  known.reason = x.reason;
  if (x.state == job_state::completed)
    check_completion(x.id, "the book");
  check_progress(x, known);
}

void ledger::check_number(const job_view& x) {
  auto [i, added] = numbers_.try_emplace(x.number, x.id, time_.now());
  if (i->second.first != x.id && !store_lost_)
    fail("numbers never repeat", "number " + std::to_string(x.number)
                                   + " is of " + name_of(i->second.first)
                                   + " and of " + name_of(x.id));
}

void ledger::check_transition(const job_view& x, true_job& known,
                              const book_view& book) {
  auto stalls = x.state == job_state::stalled && known.state != x.state;
  if (stalls && known.state
      && time_.now() - known.heard.back()
           < config_.stall_after - start_tolerance / 4)
    fail("no training stalls that reports",
         name_of(x.id) + " stalled, but was heard of "
           + std::to_string(std::chrono::duration_cast<seconds>(
                              time_.now() - known.heard.back())
                              .count())
           + " s ago");
  if (!known.state || *known.state == x.state
      || can_follow(*known.state, x.state))
    return;
  // A rejection restores the job that the rejected one had superseded.
  auto put_back = *known.state == job_state::superseded
                  && std::any_of(book.jobs.begin(), book.jobs.end(),
                                 [&](auto& other) {
                                   return other.number > x.number
                                          && other.state == job_state::failed;
                                 });
  // The backend found in the store what was removed too late, and trains it.
  auto adopted = (*known.state == job_state::failed
                  || *known.state == job_state::superseded)
                 && x.number > known.number && accepted(x.id);
  if (!put_back && !adopted)
    fail("states follow one another as they may", name_of(x.id) + " went from "
                                                    + text(*known.state)
                                                    + " to " + text(x.state));
}

void ledger::check_completion(const std::string& id, const std::string& where) {
  auto i = jobs_.find(id);
  // Adopted ones are checked by their progress.
  if (i == jobs_.end() || i->second.sent == time_point{})
    return;
  auto& known = i->second;
  if (!accepted(id) && seems_trained(known))
    return;
  // A backend that lost its list has none, as was asked.
  if (known.action == training_action::reset && backend_->watchlist().empty())
    return;
  if (!accepted(id)) {
    fail(known.receipts.empty() ? "what was never sent never completes"
                                : "a refused submission never becomes current",
         name_of(id) + " is completed in " + where
           + ", but the backend never took it");
    return;
  }
  if (known.action == training_action::train && !may_have_completed(id))
    fail("a job completes when its training has",
         name_of(id) + " is completed in " + where
           + ", but its training is not");
}

bool ledger::told_without_name(const true_job& x) const {
  if (x.epochs.empty())
    return false;
  auto epoch = x.epochs.back();
  auto training = backend_->find(epoch / epoch_base);
  return training && epoch % epoch_base != 0
         && !training->reports[static_cast<size_t>(epoch % epoch_base) - 1]
               .has_id;
}

bool ledger::disturbed(const std::string& id) const {
  if (undone_.contains(id))
    return true;
  auto i = jobs_.find(id);
  if (i == jobs_.end() || !i->second.state)
    return false;
  auto& x = i->second;
  if (x.state == job_state::cancelled || x.state == job_state::superseded)
    return true;
  auto other = x.epochs.empty() ? nullptr
                                : backend_->find(x.epochs.back() / epoch_base);
  auto over = x.state == job_state::failed || x.state == job_state::stalled;
  return over && other && other->job != id && told_without_name(x);
}

bool ledger::seems_trained(const true_job& x) const {
  // What it shows was checked when it was entered.
  if (x.doubted && !x.accepted_in_book && told_without_name(x))
    return true;
  auto since = x.entered.value_or(x.sent);
  auto& trainings = backend_->trainings();
  auto refused = std::any_of(x.receipts.begin(), x.receipts.end(),
                             [](auto& r) { return r.what == effect::refused; });
  return std::any_of(trainings.begin(), trainings.end(), [&](auto& training) {
    auto later = training.ended.value_or(time_.now()) > since;
    auto ends_without_name = !refused
                             && std::any_of(training.reports.begin(),
                                            training.reports.end(),
                                            [](auto& report) {
                                              return report.completed
                                                     && !report.has_id
                                                     && !report.has_statistics;
                                            });
    return later && (training.job.empty() || ends_without_name);
  });
}

bool ledger::may_have_completed(const std::string& id) const {
  auto& known = jobs_.at(id);
  auto trained = false;
  for (auto& x : backend_->trainings()) {
    trained = trained || x.job == id;
    if (x.state != truth::completed)
      continue;
    if (x.job == id)
      return true;
    // The end of a training that does not name its job.
    for (auto& report : x.reports)
      if (report.completed && !report.has_id
          && config_.protocol == backend_protocol::kv)
        return true;
    // Two submissions overtook each other on their way to the backend, or it
    // began a training of its own: it only reports that its last training has
    // completed.
    auto other = jobs_.find(x.job);
    auto overtaken = other == jobs_.end() || x.job.empty()
                     || other->second.sent <= known.receipts.front().at;
    // Gateways do not know what the store lost or what had no answer.
    auto unknown = store_lost_
                   || (!config_.progress_with_id && !other->second.confirmed);
    if (trained && (overtaken || unknown))
      return true;
  }
  return !trained;
}

void ledger::check_progress(const job_view& x, true_job& known) {
  auto epoch = x.statistics.current_epoch;
  if (epoch == 0) {
    if (!known.epochs.empty() && !store_lost_ && x.state != job_state::failed)
      fail("acknowledged progress is not lost",
           name_of(x.id) + " had shown report "
             + std::to_string(known.epochs.back()) + " and shows none now");
    return;
  }
  stored_epochs_.insert(epoch);
  if (!known.epochs.empty() && known.epochs.back() == epoch)
    return;
  auto again = std::find(known.epochs.begin(), known.epochs.end(), epoch)
               != known.epochs.end();
  auto repeats = faults_.counts()[static_cast<size_t>(fault::progress_repeated)]
                 > 0;
  if (again && !repeats && !store_lost_)
    fail("acknowledged progress is not lost",
         name_of(x.id) + " went back from report "
           + std::to_string(known.epochs.back()) + " to "
           + std::to_string(epoch));
  known.epochs.push_back(epoch);
  known.heard.push_back(time_.now());
  auto training = backend_->find(epoch / epoch_base);
  if (!training || training->job == x.id)
    return;
  auto& report = training->reports[static_cast<size_t>(epoch % epoch_base) - 1];
  auto submitted = known.sent != time_point{};
  // A job that was imported from the model status has no id.
  if (!submitted && (!report.has_id || lost()))
    return;
  auto age = known.entered ? time_.now() - *known.entered : caf::timespan{0};
  auto ambiguous = !report.has_id
                   && seconds{report.elapsed} <= age + start_tolerance;
  if (!ambiguous)
    fail("progress is not given to another job",
         name_of(x.id) + " shows report " + std::to_string(epoch) + " ("
           + std::to_string(report.elapsed) + " s) of "
           + name_of(training->job));
}

bool ledger::trained_well(const book_view& book) const {
  auto good = [](job_state x) {
    return running(x) || x == job_state::completed;
  };
  auto i = jobs_.find(book.watchlist_job);
  // The last one may have been cancelled before the backend's answer.
  auto last = std::find_if(book.jobs.begin(), book.jobs.end(), [&](auto& x) {
    return x.action == training_action::train
           && (x.accepted || x.id == book.training);
  });
  return good(last != book.jobs.end() ? last->state
              : i != jobs_.end() ? i->second.state.value_or(job_state::failed)
                                 : job_state::failed)
         && book.model.status != model_text::failed;
}

void ledger::check_action(const job_view& x, const book_view& before) {
  // The store may have lost the list.
  if (lost_at_ != time_point{})
    return;
  auto by_book = action_for(before.watchlist, x.workloads);
  auto by_backend = action_for(backend_->watchlist(), x.workloads);
  // After a DELETE there is no list in the store.
  auto parameters = store_.find(std::string{subjects::parameters_bucket},
                                std::string{subjects::parameters_key});
  auto listed = parameters ? decode_parameters(parameters->value)
                           : std::optional<workload_list>{};
  auto by_store = action_for(listed.value_or(workload_list{}), x.workloads);
  auto kv = config_.protocol == backend_protocol::kv;
  // A list whose training failed is trained again.
  auto same = by_book == training_action::none
              || by_backend == training_action::none
              || (kv && by_store == training_action::none);
  if (x.action == training_action::train && same && !trained_well(before))
    return;
  // A cancelled training does not count.
  if (before.nothing_to_show && x.action == action_for({}, x.workloads))
    return;
  if (x.action != by_book && x.action != by_backend
      && !(kv && x.action == by_store))
    fail("the action is judged by the list that stands there",
         name_of(x.id) + " was entered as " + text(x.action)
           + ", but by the book it is " + text(by_book) + " and by the backend "
           + text(by_backend));
}

// -- clients and hooks --------------------------------------------------------

void ledger::on_post_answered(const post_answer& x) {
  if (note)
    note("client: POST at replica " + std::to_string(x.replica) + " answered "
         + (x.code != ec::none ? std::string{to_string(x.code)}
            : x.result.running ? "409"
                               : "200 " + name_of(x.result.job_id)));
  auto never = [this](fault what) {
    return faults_.counts()[static_cast<size_t>(what)] == 0;
  };
  // Operations of other clients at the same time are no reason.
  if (x.code == ec::refused && never(fault::backend_refuses)
      && never(fault::read_only) && never(fault::bucket_removed))
    fail("a submission is refused only by who refuses",
         "a POST was refused, but neither backend nor store refuse any");
  if (x.code == ec::conflict && conflicts_with_itself(x))
    fail("a submission conflicts only with others",
         "a POST was answered with a conflict, but no one else stored "
         "anything");
  if (x.code != ec::none || x.result.running || x.result.job_id.empty())
    return;
  auto& known = job(x.result.job_id);
  known.confirmed = true;
  if (!known.answered_good)
    fail("a 200 means that the backend acknowledged",
         name_of(x.result.job_id) + " was answered 200");
  else if (!known.accepted_in_book && known.state != job_state::cancelled
           && lost_at_ < x.asked)
    fail("a 200 means that the store has it",
         name_of(x.result.job_id)
           + " was answered 200, but no book has its acceptance");
}

bool ledger::conflicts_with_itself(const post_answer& x) const {
  // These look like a write of another client.
  for (auto what : {fault::stale_read, fault::false_conflict,
                    fault::race_conflict, fault::write_late})
    if (faults_.counts()[static_cast<size_t>(what)] > 0)
      return false;
  std::set<std::string> writers;
  for (auto& [when, id] : parameter_writes_)
    if (when >= x.asked)
      writers.insert(id);
  auto own = writers.size() == 1 ? jobs_.find(*writers.begin()) : jobs_.end();
  if (lost() || own == jobs_.end())
    return false;
  auto others = std::any_of(jobs_.begin(), jobs_.end(), [&](auto& entry) {
    auto& entered = entry.second.entered;
    return entry.first != own->first && entered && *entered >= x.asked;
  });
  auto& job = own->second;
  return !others && job.replica == x.replica && job.sent >= x.asked
         && job.state == job_state::failed && job.receipts.empty();
}

void ledger::on_status_shown(const model_status& x) {
  auto percentage = x.statistics.percentage_completed;
  if (percentage < 0 || percentage > 100)
    fail("shown progress is 0 to 100",
         "the status shows " + std::to_string(percentage));
}

void ledger::on_late_answer(const std::string& request, milliseconds after) {
  fail("every request is answered by its deadline",
       request + " was not answered after " + std::to_string(after.count())
         + " ms");
}

void ledger::on_hook(size_t replica, const training_job& x) {
  if (note)
    note("hook: replica " + std::to_string(replica) + " notifies of "
         + name_of(x.id) + ": " + text(x.state));
  if (!ended(x.state))
    fail("hooks are notified of the end",
         name_of(x.id) + " was notified as " + text(x.state));
  if (x.state == job_state::completed)
    check_completion(x.id, "a notification");
  auto [i, added] = notified_.try_emplace(x.id, x.state, x.number);
  auto& [state, number] = i->second;
  // The backend found in the store what was taken back too late, and trains it:
  // that is another job, whose progress names the same id.
  auto adopted = state == job_state::failed && x.number > number
                 && accepted(x.id);
  if (!added && state != x.state && !adopted && lost_at_ == time_point{})
    fail("notifications of a job agree", name_of(x.id) + " was notified as "
                                           + text(state) + " and as "
                                           + text(x.state));
  i->second = {x.state, x.number};
}

void ledger::on_lease(size_t replica, const lease_status& lease) {
  leases_[replica] = lease;
  if (!lease.held || store_lost_)
    return;
  for (auto& [other, held] : leases_)
    if (other != replica && held.held && held.until > time_.now()
        && lease.until > time_.now())
      fail("one replica holds the lease", "replicas " + std::to_string(other)
                                            + " and " + std::to_string(replica)
                                            + " hold it at the same time");
}

void ledger::on_book_shown(size_t replica, const stored_book& book) {
  auto& last = shown_[replica];
  if (book.revision < last.revision && book.revision != 0 && !store_lost_)
    fail("the book that a replica shows never goes back",
         "replica " + std::to_string(replica) + " showed revision "
           + std::to_string(last.revision) + " and then "
           + std::to_string(book.revision));
  last = {book.revision, std::max(last.number, last_number_of(book))};
}

void ledger::on_book_lost(size_t replicas) {
  lost_at_ = time_.now();
  // A number is lost if it is stored nowhere else and not every replica has it
  // in memory.
  auto remembered = shown_.size() < replicas ? uint64_t{0} : UINT64_MAX;
  for (auto& [replica, shown] : shown_)
    remembered = std::min(remembered, shown.number);
  remembered = std::max(remembered, last_archived_);
  std::erase_if(numbers_, [&](auto& x) { return x.first > remembered; });
  for (auto& [id, x] : jobs_) {
    x.state.reset();
    x.epochs.clear();
  }
}

void ledger::on_crash(size_t replica) {
  leases_.erase(replica);
  shown_.erase(replica);
  witnesses_.erase(replica);
  if (lost_at_ != time_point{})
    std::erase_if(numbers_, [&](auto& x) { return x.first > last_archived_; });
}

// -- without faults -----------------------------------------------------------

std::string ledger::unrest() const {
  auto book = read_book(store_);
  if (!book)
    return {};
  if (auto open = book->unsettled())
    return name_of(open->id) + " is not settled";
  if (backend_->busy())
    return "the backend is not done with a submission";
  auto running = book->running_job();
  if (!running)
    return {};
  auto trains = backend_->running();
  if (trains && !trains->silent_from)
    return {};
  return name_of(running->id) + " is " + text(running->state)
         + ", but the backend trains nothing";
}

std::string ledger::overdue(time_point since, caf::timespan limit) const {
  auto book = read_book(store_);
  auto open = book ? book->unsettled() : nullptr;
  if (!open)
    return {};
  auto i = jobs_.find(open->id);
  auto entered = i != jobs_.end() ? i->second.entered.value_or(since) : since;
  if (time_.now() - std::max(since, entered) < limit)
    return "waiting";
  return name_of(open->id) + " is still not settled";
}

void ledger::check_outcomes() {
  if (store_lost_)
    return;
  for (auto& [id, x] : jobs_) {
    if (!x.state || x.sent == time_point{})
      continue;
    if (shows_progress(*x.state) && !accepted(id) && !seems_trained(x))
      fail("a refused submission never becomes current",
           name_of(id) + " is " + text(*x.state)
             + ", but the backend never took it");
    if (x.confirmed && lost_at_ == time_point{} && !archived_.contains(id)
        && !(book_ && book_->find(id)))
      fail("an acknowledged submission is not lost",
           name_of(id) + " stands neither in the book nor in the history");
    auto trains = x.action == training_action::train;
    if (x.confirmed && !trains && *x.state == job_state::failed)
      fail("an acknowledged submission does not fail",
           name_of(id) + " failed: " + x.reason);
  }
}

std::string ledger::mirror_difference() const {
  auto book = read_book(store_);
  if (!book || book->jobs.empty())
    return {};
  auto trains = backend_->running();
  if (trains && !trains->silent_from && is_healthy(*trains)
      && book->model.status != model_text::training)
    return name_of(trains->job) + " is trained, but shown as "
           + book->model.status;
  auto kv = config_.protocol == backend_protocol::kv;
  auto bucket = std::string{kv ? subjects::statistics_bucket
                               : subjects::aggregation_bucket};
  auto found = store_.find(bucket, std::string{subjects::statistics_key});
  auto expected = kv ? encode_model(book->model)
                     : encode_statistics(book->model.statistics);
  auto cancelled = book->nothing_to_show;
  // Readers treat no value like zeros.
  auto blank = book->model.statistics == training_statistics{}
               && book->model.status != model_text::training
               && book->model.status != model_text::failed;
  if (found && found->value != expected)
    return bucket + " has " + found->value + " instead of " + expected;
  if (!found && !cancelled && !blank)
    return bucket + " has nothing instead of " + expected;
  if (!kv)
    return {};
  // The backend may have the list of a job that it did not answer.
  auto undecided = std::any_of(
    book->jobs.begin(), book->jobs.end(), [&](auto& x) {
      return !ended(x.state) && !x.accepted && jobs_.count(x.id) > 0
             && jobs_.at(x.id).sent != time_point{};
    });
  if (undecided)
    return {};
  auto listed = book->find(book->watchlist_job);
  if (!listed || !listed->accepted || cancelled || store_lost_)
    return {};
  auto parameters = store_.find(std::string{subjects::parameters_bucket},
                                std::string{subjects::parameters_key});
  auto id = std::string{};
  if (parameters)
    read_text(parse_json(parameters->value), "uuid", id);
  if (id != listed->id)
    return "the parameters are those of "
           + (id.empty() ? std::string{"no job"} : name_of(id)) + " instead of "
           + name_of(listed->id);
  return {};
}

std::string ledger::missing_hook() const {
  if (store_lost_)
    return {};
  for (auto& [id, x] : jobs_)
    if (x.state == job_state::completed && x.action == training_action::train
        && notified_.count(id) == 0)
      return name_of(id) + " completed, but no hook was called";
  return {};
}

} // namespace aiops::simulation
