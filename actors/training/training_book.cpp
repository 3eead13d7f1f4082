#include "actors/training/training_book.hpp"

#include "actors/training/planted_bug.hpp"
#include "base/error.hpp"
#include "base/utf8.hpp"

#include <algorithm>
#include <utility>

namespace aiops {

namespace {

using std::chrono::duration_cast;
using std::chrono::seconds;
using time_point = training_job::time_point;

caf::error conflict(std::string text) {
  return make_error(ec::conflict, std::move(text));
}

std::string describe(const training_job& job) {
  return "job " + job.id + " (" + std::string{to_string(job.state)} + ")";
}

// Maximum sizes of texts in the book, in bytes of JSON.
constexpr size_t reason_size = 88;
constexpr size_t response_size = 48;
constexpr size_t status_size = 24;

/// The maximum size of a character in JSON, in bytes.
size_t json_size(std::string_view character) {
  auto c = static_cast<unsigned char>(character.front());
  constexpr size_t escaped = 6; // as in \u0000
  return c < 0x20 || c == '"' || c == '\\' ? escaped : character.size();
}

/// Cuts a text to the size that the book keeps: whole characters of valid
/// UTF-8.
std::string clip(const std::string& text, size_t limit) {
  if (planted(planted_bug::text_not_cut))
    return text;
  std::string result;
  std::string_view rest = text;
  while (!rest.empty()) {
    auto before = rest;
    if (next_code_point(rest) < 0) {
      rest.remove_prefix(1);
      continue;
    }
    auto character = before.substr(0, before.size() - rest.size());
    auto size = json_size(character);
    if (size > limit)
      break;
    limit -= size;
    result += character;
  }
  return result;
}

bool failure_text(std::string_view text) {
  return text == model_text::failed || text == "failed";
}

bool trains(const training_job& job) {
  return job.action == training_action::train;
}

/// Whether there is such a job and the backend may be training it.
bool runs(const std::optional<training_job>& job) {
  return job && running(job->state);
}

/// Whether the last training did not complete.
bool has_no_model(const std::optional<training_job>& last) {
  return last
         && (last->state == job_state::failed
             || last->state == job_state::stalled
             || last->state == job_state::cancelled);
}

/// Enters a state; returns false when the transition is not allowed.
bool enter(training_job& job, job_state next, std::string reason,
           time_point now) {
  if (!can_follow(job.state, next))
    return false;
  job.state = next;
  job.reason = clip(reason, reason_size);
  job.updated_at = now;
  if (ended(next))
    job.ended_at = now;
  return true;
}

/// A completed model is at 100 percent, also if the last report had less.
void normalize_completed(training_statistics& x) {
  x.percentage_completed = 100;
  x.remaining_time = 0;
  x.stage = training_stage;
}

void complete(training_book& book, time_point now) {
  auto& job = *book.training;
  if (!enter(job, job_state::completed, {}, now))
    return;
  normalize_completed(job.statistics);
  book.model = {std::string{model_text::completed}, job.statistics};
}

void fail(training_book& book, std::string reason, time_point now) {
  auto& job = *book.training;
  if (enter(job, job_state::failed, std::move(reason), now))
    book.model = {std::string{model_text::failed}, job.statistics};
}

/// Takes the submission out of its place.
training_job take_submission(training_book& book) {
  auto result = std::move(*book.submission);
  book.submission.reset();
  return result;
}

/// Ends the submission, which then belongs to the history.
void end_submission(training_book& book, job_state state, std::string reason,
                    time_point now) {
  auto job = take_submission(book);
  enter(job, state, std::move(reason), now);
  book.leaving.push_back(std::move(job));
}

/// Whether the backend may still report progress of this job after another one
/// has replaced it.
bool may_still_report(const training_job& job) {
  if (planted(planted_bug::stale_progress_not_inherited))
    return false;
  return !ended(job.state) || job.state == job_state::cancelled
         || job.state == job_state::superseded || job.state == job_state::failed
         || (job.may_receive_stale_progress && !job.progressed);
}

/// Makes `job` the training; the one before leaves the book.
void begin(training_book& book, training_job job, time_point now) {
  if (auto& last = book.training) {
    job.may_receive_stale_progress = may_still_report(*last);
    if (last->progressed)
      job.stale_progress_elapsed = last->statistics.time_elapsed;
    else if (job.may_receive_stale_progress)
      job.stale_progress_elapsed = last->stale_progress_elapsed;
    enter(*last, job_state::superseded, "replaced by job " + job.id, now);
    book.leaving.push_back(std::move(*last));
  }
  book.training = std::move(job);
}

uint64_t next_number(training_book& book, const change_context& context) {
  book.last_number = std::max(book.last_number, context.last_given_number) + 1;
  return book.last_number;
}

/// A `timeElapsed`, bounded, so that calculations with it cannot overflow.
seconds bounded(int64_t elapsed) {
  constexpr int64_t century = int64_t{100} * 365 * 24 * 3600;
  return seconds{std::clamp<int64_t>(elapsed, 0, century)};
}

/// Enters a training that no gateway submitted, or whose job the store has
/// lost.
void adopt(training_book& book, std::string id, int64_t elapsed,
           const change_context& context) {
  training_job job;
  job.id = id.empty() ? context.fresh_id : std::move(id);
  job.adopted = true;
  job.workloads = book.watchlist.workloads;
  job.list_id = job.base_id = book.watchlist.list_id;
  job.started_at = context.now - bounded(elapsed);
  job.updated_at = context.now;
  job.number = next_number(book, context);
  begin(book, std::move(job), context.now);
}

/// The backend has the list of this job.
void accept_list(training_book& book, const training_job& job) {
  if (!job.adopted && book.watchlist.number < job.number)
    book.watchlist = {job.id,        job.number,  job.action, job.started_at,
                      job.workloads, job.list_id, false};
}

/// Makes the submission, which trains, the training.
void begin_submitted(training_book& book, std::string reason,
                     const change_context& context) {
  auto job = take_submission(book);
  if (!job.progressed) {
    enter(job, job_state::submitted, std::move(reason), context.now);
    job.statistics = context.initial;
  } else {
    // `updated_at` stays the time of the backend's last report.
    job.reason = clip(reason, reason_size);
  }
  auto status = std::exchange(job.reported_status, {});
  begin(book, std::move(job), context.now);
  book.model = {std::string{model_text::training}, book.training->statistics};
  // A report of the backend may arrive before its answer.
  if (status == model_text::completed)
    complete(book, context.now);
  else if (failure_text(status))
    fail(book, "the backend reports that the training failed", context.now);
  else if (!status.empty())
    book.model.status = status;
}

/// A submission of doubtful outcome waits only while another training runs.
training_book tidy(training_book book, const change_context& context) {
  if (book.submission && !pending(book) && !runs(book.training)) {
    // Time and reason of its last change stay as they are.
    auto last_report = book.submission->updated_at;
    auto reason = book.submission->reason;
    begin_submitted(book, std::move(reason), context);
    book.training->updated_at = last_report;
  }
  return book;
}

bool blank(const job_progress& progress) {
  return !progress.statistics || progress.statistics == training_statistics{};
}

bool reports_end(const job_progress& progress) {
  return progress.status
         && (*progress.status == model_text::completed
             || failure_text(*progress.status));
}

/// Whether the report is about a running training.
bool reports_training(const job_progress& x) {
  return x.statistics && (!x.status || *x.status == model_text::training);
}

/// The longest possible time since an event: a replica that started later has
/// not seen it, and wall clocks differ.
milliseconds longest(milliseconds seen, time_point since, time_point now) {
  return std::max(seen, duration_cast<milliseconds>(now - since));
}

/// The age of a job. When this replica has not seen its beginning, it is the
/// longest that wall clocks allow, but at least that of the last report, which
/// came `quiet` ago: the clock of a replica that was restarted may be behind.
milliseconds age_of(const training_job& job, milliseconds seen, bool exact,
                    milliseconds quiet, time_point now) {
  if (exact)
    return seen;
  auto age = longest(seen, job.started_at, now);
  if (!job.progressed)
    return age;
  return std::max<milliseconds>(age,
                                bounded(job.statistics.time_elapsed) + quiet);
}

std::optional<int64_t> elapsed_in(const job_progress& x) {
  return x.statistics ? x.statistics->time_elapsed : std::nullopt;
}

/// Whether `timeElapsed` is longer than `age` allows, so that the report is
/// about an older training.
bool older_than(const job_progress& progress, milliseconds age,
                seconds tolerance = settling_time) {
  auto elapsed = elapsed_in(progress);
  return elapsed && seconds{*elapsed} > duration_cast<seconds>(age) + tolerance;
}

/// Tolerance between the times of a backend and those of the gateway.
constexpr seconds jitter{1};

/// Whether the report continues that of a training which began before an event
/// of age `age`.
bool continues_older(const job_progress& x, int64_t last_elapsed,
                     milliseconds age) {
  return older_than(x, age, jitter) && *elapsed_in(x) >= last_elapsed;
}

/// Whether a report is older than the last one, but not so much older that the
/// training can have restarted.
bool overtaken(const training_job& job, const job_progress& x,
               milliseconds quiet) {
  // After a long silence the training may have restarted.
  if (quiet > settling_time)
    return false;
  auto elapsed = elapsed_in(x);
  // An end is accepted, unless it may be that of another training.
  auto end = reports_end(x) && (blank(x) || !job.may_receive_stale_progress);
  if (!job.progressed || !elapsed || end)
    return false;
  auto& last = job.statistics;
  auto epoch = x.statistics->current_epoch.value_or(0);
  auto back = last.time_elapsed - *elapsed;
  return (back > 0 && seconds{back} <= settling_time)
         || (back == 0 && epoch < last.current_epoch)
         || (back == 0 && epoch == last.current_epoch
             && x.statistics->percentage_completed.value_or(100)
                  < last.percentage_completed);
}

/// Whether progress after the end of the last training can be that of another
/// training, which no gateway submitted.
bool starts_another(const training_book& book, const job_progress& progress,
                    const change_context& context) {
  auto& last = *book.training;
  auto may = last.state != job_state::cancelled;
  if (!may || !reports_training(progress)
      || progress.statistics->percentage_completed.value_or(0) >= 100)
    return false;
  // Trainings are submitted without a gateway, so the next one begins like
  // this.
  if (last.adopted && last.state != job_state::superseded)
    return true;
  auto since_end = longest(context.quiet, *last.ended_at, context.now);
  auto settled = context.quiet > settling_time;
  // A training that was ended by a reset may still report.
  if (last.state == job_state::superseded && last.progressed
      && continues_older(progress, last.statistics.time_elapsed, since_end))
    return false;
  // The last submission trains nothing, so a training may have continued.
  auto& list = book.watchlist;
  if (list.number > last.number && list.action != training_action::train)
    return settled || !older_than(progress, since_end);
  return settled && !older_than(progress, since_end);
}

/// Enters the statistics of a report. Statistics that are all 0 in a report of
/// the end of a training are ignored.
void enter(training_statistics& to, const job_progress& progress) {
  if (progress.statistics && !(reports_end(progress) && blank(progress))) {
    to = progress.statistics->over(to);
    to.stage = clip(to.stage, status_size);
  }
}

bool keeps_model(training_action x) {
  return x == training_action::update || x == training_action::none;
}

/// Whether the list that the backend accepted last needs no training.
bool list_keeps_model(const training_book& book) {
  auto& list = book.watchlist;
  return !list.job_id.empty() && keeps_model(list.action)
         && (!book.training || book.training->number < list.number);
}

/// Whether the last list that a gateway submitted needs no training.
bool keeps_model(const training_book& book) {
  return book.submission ? keeps_model(book.submission->action)
                         : list_keeps_model(book);
}

training_book show_completed(training_book book, const job_progress& progress) {
  enter(book.model.statistics, progress);
  normalize_completed(book.model.statistics);
  book.model.status = model_text::completed;
  return book;
}

/// A status that is not about a training is passed to the dashboard.
training_book show_status(training_book book, const job_progress& progress) {
  book.model.status = clip(progress.status.value_or(std::string{}),
                           status_size);
  enter(book.model.statistics, progress);
  return book;
}

/// Progress after the end of the training: accepted if it reports the same end.
caf::expected<training_book> refine(training_book book,
                                    const job_progress& progress) {
  auto& job = *book.training;
  auto complete_word = progress.status == model_text::completed
                       || (progress.statistics
                           && progress.statistics->percentage_completed == 100);
  auto completed = job.state == job_state::completed && complete_word;
  auto failed = job.state == job_state::failed && progress.status
                && failure_text(*progress.status);
  if (completed || failed) {
    enter(job.statistics, progress);
    if (completed)
      normalize_completed(job.statistics);
    // After a reset there is no model.
    auto& list = book.watchlist;
    if (list.number < job.number || list.action != training_action::reset)
      book.model = {
        std::string{completed ? model_text::completed : model_text::failed},
        job.statistics};
    return book;
  }
  if (keeps_model(book) && job.state != job_state::cancelled
      && progress.status == model_text::completed)
    return show_completed(std::move(book), progress);
  if (progress.status && *progress.status != model_text::training
      && !reports_end(progress))
    return show_status(std::move(book), progress);
  return conflict("this progress is about an older training: " + describe(job)
                  + " has ended");
}

/// Enters progress in a job that has not ended.
void enter_progress(training_job& job, const job_progress& x, time_point now) {
  job.progressed = true;
  job.completion_reported = false;
  enter(job.statistics, x);
  // Any other status is only passed to the dashboard.
  auto next = job.state;
  if (!x.status || *x.status == model_text::training)
    next = job.statistics.stage == fetching_stage ? job_state::fetching_data
                                                  : job_state::training;
  enter(job, next, {}, now);
}

/// Progress of the submission before its outcome: it is kept until the outcome
/// is known.
training_book report_early(training_book book, const job_progress& x,
                           const change_context& context) {
  auto& job = *book.submission;
  if (overtaken(job, x, milliseconds{0}))
    return book;
  auto reason = job.reason;
  enter_progress(job, x, context.now);
  job.reported_status = clip(x.status.value_or(std::string{}), status_size);
  // The report names the job, so it is certainly about this one.
  job.confirmed = job.confirmed || !x.id.empty();
  if (!reason.empty()) {
    // Training is as good as an answer.
    accept_list(book, job);
    begin_submitted(book, {}, context);
    return book;
  }
  auto text = reports_end(x) || job.reported_status.empty()
                ? std::string{model_text::training}
                : job.reported_status;
  book.model = {std::move(text), job.statistics};
  return book;
}

/// Whether a blank report of a complete model may be about a list that needs no
/// training, which the backend got just before.
bool may_answer_update(const training_book& book, const job_progress& x,
                       const change_context& context) {
  return x.status == model_text::completed && blank(x) && keeps_model(book)
         && (book.submission || context.list_age <= settling_time)
         && book.training->statistics.percentage_completed < 100;
}

/// Progress of the training, which has not ended.
training_book report(training_book book, const job_progress& x,
                     const change_context& context) {
  auto& job = *book.training;
  if (x.id.empty() && may_answer_update(book, x, context)) {
    job.completion_reported = true;
    return book;
  }
  if (overtaken(job, x, context.quiet))
    return book;
  if (job.state == job_state::submitted || job.state == job_state::stalled)
    accept_list(book, job);
  enter_progress(job, x, context.now);
  if (x.status == model_text::completed)
    complete(book, context.now);
  else if (x.status && failure_text(*x.status))
    fail(book, "the backend reports that the training failed", context.now);
  else
    book.model = {
      clip(x.status.value_or(std::string{model_text::training}), status_size),
      job.statistics};
  return book;
}

/// Whether progress without an id is about the submission and not about the
/// training before.
bool of_submission(const training_book& book, const job_progress& x,
                   const change_context& context) {
  if (!book.submission || !trains(*book.submission))
    return false;
  auto& next = *book.submission;
  auto& last = book.training;
  auto age = age_of(next, context.submission_age,
                    context.submission_age_is_exact, milliseconds{0},
                    context.now);
  if (!reports_training(x) && !next.progressed)
    return false;
  if (!runs(last)) {
    auto linger = last && may_still_report(*last);
    auto before = last && last->progressed ? last->statistics.time_elapsed
                  : linger                 ? last->stale_progress_elapsed
                                           : 0;
    auto late = (linger || before > 0) && context.submission_age_is_exact
                && continues_older(x, before, age);
    return !late && !(linger && older_than(x, age));
  }
  // The elapsed time of a training never decreases: another one has begun.
  auto elapsed = elapsed_in(x);
  return elapsed && !reports_end(x) && !older_than(x, age, jitter)
         && last->progressed && !overtaken(*last, x, context.quiet)
         && seconds{*elapsed} + jitter < seconds{last->statistics.time_elapsed};
}

/// Whether progress without an id is about a training before this one.
bool of_older(const training_job& job, const job_progress& x,
              const change_context& context) {
  auto age = age_of(job, context.training_age, context.training_age_is_exact,
                    context.quiet, context.now);
  // A training that has ended does not continue, but its last report may be
  // late.
  auto late = (job.may_receive_stale_progress || job.stale_progress_elapsed > 0)
              && context.training_age_is_exact
              && continues_older(x, job.stale_progress_elapsed, age);
  return late || (job.may_receive_stale_progress && older_than(x, age));
}

/// Whether progress that names a job unknown to the book is about a training
/// that began later than the one in the book. The one in the book was adopted,
/// so the book is incomplete, and the other one may be older.
bool began_later(const training_book& book, const job_progress& x,
                 const change_context& context) {
  auto& last = *book.training;
  auto elapsed = elapsed_in(x);
  if (!last.adopted || !last.progressed || !reports_training(x) || !elapsed
      || clip(x.id, max_job_id) != x.id)
    return false;
  auto age = seconds{last.statistics.time_elapsed}
             + duration_cast<seconds>(context.quiet);
  return seconds{*elapsed} + jitter < age;
}

/// Whether a report without an id is of a complete model, while it is not known
/// that the backend ever got the list: a list that may never have been sent
/// does not complete.
bool is_inconclusive(const training_book& book, const job_progress& x) {
  auto& job = *book.training;
  return x.status == model_text::completed && blank(x) && job.response.empty()
         && !job.progressed && !job.confirmed && !job.adopted;
}

// -- one function per change --------------------------------------------------

caf::expected<training_book> change(training_book book, const job_submission& x,
                                    const change_context& context) {
  // The answer to an earlier write of it was lost.
  if (find_job(book, x.id) && !planted(planted_bug::retry_without_identity))
    return book;
  if (pending(book))
    return conflict("another submission is not settled: "
                    + describe(*book.submission));
  if (busy(book) && !x.force)
    return conflict("a training runs: " + describe(*current_job(book)));
  if (basis_of(book) != x.basis && !planted(planted_bug::stale_comparison))
    return conflict("the watchlist was changed at the same time");
  if (book.submission)
    end_submission(book, job_state::superseded, "replaced by job " + x.id,
                   context.now);
  training_job job;
  job.id = x.id;
  job.action = x.action;
  job.workloads = x.workloads;
  job.changes = x.changes;
  auto& list = book.watchlist;
  if (x.workloads == list.workloads)
    job.list_id = list.list_id;
  else if (!x.workloads.empty())
    job.list_id = x.id;
  if (x.base == list.workloads)
    job.base_id = list.list_id;
  else if (!x.base.empty())
    job.base_id = base_list_id(x.id);
  job.started_at = job.updated_at = context.now;
  job.number = next_number(book, context);
  book.submission = std::move(job);
  return book;
}

caf::expected<training_book> change(training_book book, const job_acceptance& x,
                                    const change_context& context) {
  auto response = clip(x.response, response_size);
  if (book.submission && book.submission->id == x.id) {
    auto& job = *book.submission;
    job.response = std::move(response);
    accept_list(book, job);
    if (trains(job)
        || (planted(planted_bug::update_replaces_training)
            && job.action == training_action::update)) {
      begin_submitted(book, {}, context);
      return book;
    }
    auto resets = job.action == training_action::reset;
    end_submission(book, job_state::completed, {}, context.now);
    if (!resets)
      return book;
    if (book.training)
      enter(*book.training, job_state::superseded,
            "job " + x.id + " reset the model", context.now);
    book.model = {context.idle_text, {}};
    return book;
  }
  // The submission was settled without the answer.
  if (book.training && book.training->id == x.id
      && book.training->response.empty()) {
    auto& job = *book.training;
    job.response = std::move(response);
    job.reason.clear();
    if (!ended(job.state))
      accept_list(book, job);
  }
  return book;
}

caf::expected<training_book> change(training_book book, const job_rejection& x,
                                    const change_context& context) {
  auto reported = [&](const training_job& job) {
    return job_progress{{}, std::string{model_text::training}, job.statistics};
  };
  if (book.submission && book.submission->id == x.id
      && book.submission->confirmed) {
    // The backend found the list in the store and trains it.
    accept_list(book, *book.submission);
    begin_submitted(book, {}, context);
    return book;
  }
  if (book.submission && book.submission->id == x.id) {
    if (planted(planted_bug::guess_beats_rejection)
        && (book.submission->progressed
            || (runs(book.training)
                && book.training->updated_at > book.submission->started_at)))
      return change(std::move(book), job_acceptance{x.id, x.reason}, context);
    if (planted(planted_bug::undo_takes_progress) && book.training)
      book.training->statistics = context.initial;
    auto job = take_submission(book);
    auto early = job.progressed ? std::optional{reported(job)} : std::nullopt;
    job.statistics = {};
    job.progressed = false;
    enter(job, job_state::failed, x.reason, context.now);
    book.leaving.push_back(std::move(job));
    if (!early)
      return book;
    // The reports until now were about another training.
    if (runs(book.training))
      return report(std::move(book), *early, context);
    if (book.training && book.training->state == job_state::cancelled)
      return book;
    adopt(book, {}, early->statistics->time_elapsed.value_or(0), context);
    return report(std::move(book), *early, context);
  }
  if (book.training && book.training->id == x.id && !book.training->progressed
      && book.training->response.empty() && !ended(book.training->state))
    fail(book, x.reason, context.now);
  return book;
}

caf::expected<training_book> change(training_book book, const job_doubt& x,
                                    const change_context& context) {
  if (!book.submission || book.submission->id != x.id || !pending(book))
    return book;
  auto& job = *book.submission;
  if (!trains(job)) {
    // No later report can show its outcome.
    end_submission(book, job_state::failed, x.reason, context.now);
    return book;
  }
  if (job.progressed) {
    accept_list(book, job);
    begin_submitted(book, {}, context);
    return book;
  }
  // The running training may be the only one.
  job.reason = clip(x.reason.empty() ? "no answer" : x.reason, reason_size);
  job.updated_at = context.now;
  return book;
}

caf::expected<training_book> change(training_book book, const job_progress& x,
                                    const change_context& context) {
  if (!x.status && !x.statistics)
    return book;
  auto& training = book.training;
  auto& submission = book.submission;
  if (!x.id.empty()) {
    if (submission && submission->id == x.id && trains(*submission))
      return report_early(std::move(book), x, context);
    auto trained = training && training->id == x.id;
    auto of_list = (submission && submission->id == x.id)
                   || (!trained && x.id == book.watchlist.job_id
                       && list_keeps_model(book));
    if (of_list && x.status == model_text::completed)
      return show_completed(std::move(book), x);
    if (of_list)
      return conflict("this progress is about a training, but job " + x.id
                      + " trains nothing");
    auto last = find_job(book, x.id);
    if (last && ended(last->state) && !(training && training->id == x.id))
      return conflict("this progress is about an older training: "
                      + describe(*last));
    if (training && training->id != x.id && !began_later(book, x, context))
      return conflict("this progress is about job " + x.id
                      + ", but the latest is " + describe(*training));
  } else if (of_submission(book, x, context)) {
    return report_early(std::move(book), x, context);
  }
  auto elapsed = x.statistics ? x.statistics->time_elapsed.value_or(0) : 0;
  if (!training) {
    if (x.status == model_text::completed && keeps_model(book))
      return show_completed(std::move(book), x);
    if (!reports_training(x) && !reports_end(x))
      return show_status(std::move(book), x);
    if (clip(x.id, max_job_id) != x.id)
      return conflict(
        "this progress is about a job with an id that is too long");
    adopt(book, x.id, elapsed, context);
  } else if (!x.id.empty() && training->id != x.id) {
    adopt(book, x.id, elapsed, context);
  } else if (ended(training->state)) {
    if (!x.id.empty() || !starts_another(book, x, context))
      return refine(std::move(book), x);
    adopt(book, {}, elapsed, context);
  } else if (x.id.empty()
             && (of_older(*training, x, context) || is_inconclusive(book, x))) {
    return conflict("this progress is about a training that began before "
                    + describe(*training));
  }
  return report(std::move(book), x, context);
}

caf::expected<training_book> change(training_book book,
                                    const job_observation& x,
                                    const change_context& context) {
  // The answer to the submission has more information, and without it the
  // status may be about either job.
  if (book.submission)
    return book;
  auto trains_now = x.status == model_text::training;
  if (!book.training) {
    if (trains_now) {
      adopt(book, {}, book.model.statistics.time_elapsed, context);
      book.training->statistics = book.model.statistics;
      book.model.status = x.status;
    }
    return book;
  }
  auto& job = *book.training;
  if (ended(job.state)) {
    auto gone = job.state == job_state::completed
                || job.state == job_state::failed;
    if (trains_now && gone && context.quiet > settling_time) {
      adopt(book, {}, 0, context);
      book.model = {x.status, {}};
    }
    return book;
  }
  if (trains_now) {
    // Without an answer, the running training may be the one before.
    auto other = job.may_receive_stale_progress && job.response.empty()
                 && !job.progressed;
    job.confirmed = job.confirmed || !other;
    return book;
  }
  // A list that may never have been sent does not end.
  if (job.response.empty() && !job.progressed && !job.confirmed && !job.adopted
      && !planted(planted_bug::observation_completes_unanswered))
    return book;
  // A status just after a submission, or between two reports, may be about an
  // earlier training.
  auto settled = job.confirmed || job.statistics.percentage_completed == 100
                 || planted(planted_bug::observation_completes_unanswered)
                 || context.quiet > settling_time;
  auto failed = failure_text(x.status);
  // A failure is accepted if there is no earlier training.
  if (!settled
      && !(failed && !job.may_receive_stale_progress && !job.response.empty()))
    return book;
  if (x.status == model_text::completed)
    complete(book, context.now);
  else if (failed)
    fail(book, "the backend reports that the training failed", context.now);
  return book;
}

caf::expected<training_book> change(training_book book, const job_cancellation&,
                                    const change_context& context) {
  constexpr auto reason = "cancelled by request";
  auto stuck = book.model.status == model_text::training
               || failure_text(book.model.status);
  if (book.training
      && enter(*book.training, job_state::cancelled, reason, context.now)) {
    stuck = true;
    book.watchlist.cancelled = true;
  }
  if (book.submission) {
    stuck = stuck || trains(*book.submission);
    auto job = take_submission(book);
    enter(job, job_state::cancelled, reason, context.now);
    // The backend may train it nevertheless.
    if (trains(job))
      begin(book, std::move(job), context.now);
    else
      book.leaving.push_back(std::move(job));
  }
  if (stuck)
    book.model = {context.idle_text, {}};
  return book;
}

caf::expected<training_book> change(training_book book, const job_silence& x,
                                    const change_context& context) {
  if (pending(book)) {
    if (context.submission_age <= x.outcome_time)
      return book;
    return change(std::move(book),
                  job_doubt{book.submission->id,
                            "the outcome of the submission was not stored"},
                  context);
  }
  if (book.submission && context.submission_age > x.outcome_time + x.limit)
    end_submission(book, job_state::failed,
                   book.submission->reason + "; the backend did not train it",
                   context.now);
  if (!runs(book.training))
    return book;
  auto& job = *book.training;
  if (job.completion_reported && context.quiet > settling_time) {
    complete(book, context.now);
    return book;
  }
  if (context.quiet <= x.limit)
    return book;
  auto silent = duration_cast<seconds>(context.quiet);
  // `updated_at` stays the time of the backend's last report.
  auto last_report = job.updated_at;
  enter(job, job_state::stalled,
        "the training backend has not reported for "
          + std::to_string(silent.count()) + " s",
        context.now);
  job.updated_at = last_report;
  book.model = {std::string{model_text::failed}, job.statistics};
  return book;
}

} // namespace

// -- the content of the book --------------------------------------------------

const training_job* current_job(const training_book& book) {
  if (book.submission)
    return &*book.submission;
  return book.training ? &*book.training : nullptr;
}

std::vector<const training_job*> jobs_of(const training_book& book) {
  std::vector<const training_job*> result;
  for (auto* job : {&book.submission, &book.training})
    if (*job)
      result.push_back(&**job);
  for (auto& job : book.leaving)
    result.push_back(&job);
  return result;
}

const training_job* find_job(const training_book& book, const std::string& id) {
  auto jobs = jobs_of(book);
  auto i = std::find_if(jobs.begin(), jobs.end(),
                        [&](auto* job) { return job->id == id; });
  return i != jobs.end() ? *i : nullptr;
}

bool pending(const training_book& book) {
  return book.submission && book.submission->reason.empty();
}

bool busy(const training_book& book) {
  return book.submission.has_value() || runs(book.training);
}

bool forgotten(const training_book& book) {
  if (book.submission)
    return false;
  auto& list = book.watchlist;
  auto nothing = !book.training || book.training->state == job_state::cancelled;
  return list.cancelled || (list.job_id.empty() && nothing);
}

shared_workloads basis_list(const training_book& book) {
  return book.watchlist.cancelled ? shared_workloads{}
                                  : book.watchlist.workloads;
}

book_basis basis_of(const training_book& book) {
  return {book.last_number, book.watchlist.job_id, book.watchlist.cancelled,
          has_no_model(book.training)};
}

training_action action_on(const training_book& book, const workload_list& base,
                          const workload_list& workloads) {
  auto result = action_for(base, workloads);
  return result == training_action::none && has_no_model(book.training)
           ? training_action::train
           : result;
}

bool settles(const job_change& what) {
  return std::holds_alternative<job_acceptance>(what)
         || std::holds_alternative<job_rejection>(what)
         || std::holds_alternative<job_doubt>(what);
}

std::string shown_status(const training_book& book, const std::string& status,
                         const change_context& context) {
  if (pending(book) || !book.training)
    return status;
  auto& job = *book.training;
  auto trains_now = status == model_text::training;
  switch (job.state) {
    case job_state::stalled:
      return std::string{model_text::failed};
    case job_state::failed:
      return trains_now ? std::string{model_text::failed} : status;
    case job_state::cancelled:
      return trains_now ? context.idle_text : status;
    case job_state::submitted: {
      // Counted from the outcome of the submission, which may take long.
      auto settled = job.adopted || context.quiet > settling_time;
      return settled ? status : std::string{model_text::training};
    }
    default:
      return status;
  }
}

training_book import_model(const model_status& model, time_point stored_at,
                           const change_context& context) {
  training_book result;
  result.model = model;
  if (model.status == model_text::training) {
    auto then = context;
    then.now = stored_at;
    adopt(result, {}, model.statistics.time_elapsed, then);
    result.training->statistics = model.statistics;
    result.training->reason = "submitted before there was a book";
  }
  return result;
}

caf::expected<training_book> apply_change(const training_book& book,
                                          const job_change& what,
                                          const change_context& context) {
  auto next = std::visit([&](auto& x) { return change(book, x, context); },
                         what);
  if (next)
    return tidy(std::move(*next), context);
  return next;
}

// -- time ---------------------------------------------------------------------

milliseconds lateness::of(training_job::time_point stored_at, time_point now) {
  if (!std::exchange(started_, true))
    return milliseconds::max();
  auto difference = duration_cast<milliseconds>(now.time_since_epoch())
                    - duration_cast<milliseconds>(stored_at.time_since_epoch());
  differences_.push_back(difference);
  if (differences_.size() > window)
    differences_.pop_front();
  if (differences_.size() == 1)
    return milliseconds::max();
  return difference
         - *std::min_element(differences_.begin(), differences_.end());
}

void report_clock::see(const training_book& book, time_point now,
                       milliseconds late) {
  auto exact = std::exchange(started_, true) && late <= jitter;
  auto note = [now, exact](std::optional<sighting>& last,
                           const std::optional<training_job>& job,
                           bool by_report) {
    if (!job) {
      last.reset();
      return;
    }
    auto when = by_report ? job->updated_at : training_job::time_point{};
    if (!last || last->id != job->id || last->reported_at != when)
      // A job with an outcome or progress began some time ago.
      last = {job->id, when, now,
              exact && job->reason.empty() && job->response.empty()
                && !job->progressed};
  };
  // A submission that becomes the training keeps its times.
  if (submission_ && book.training && submission_->id == book.training->id
      && (!training_ || training_->id != submission_->id)) {
    training_ = submission_;
    report_ = submission_report_;
  }
  note(training_, book.training, false);
  note(report_, book.training, true);
  note(submission_, book.submission, false);
  note(submission_report_, book.submission, true);
  auto& list = book.watchlist.job_id;
  if (!list_ || list_->id != list)
    list_ = {list, {}, now};
}

void report_clock::measure(change_context& context, time_point now) const {
  auto since = [now](const std::optional<sighting>& x) {
    return x ? duration_cast<milliseconds>(now - x->since) : milliseconds{0};
  };
  context.quiet = since(report_);
  context.training_age = since(training_);
  context.submission_age = since(submission_);
  context.list_age = since(list_);
  context.training_age_is_exact = training_ && training_->exact;
  context.submission_age_is_exact = submission_ && submission_->exact;
}

} // namespace aiops
