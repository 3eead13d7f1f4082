#include "actors/training_job.hpp"

#include "actors/error.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace aiops {

namespace {

using std::chrono::duration_cast;
using std::chrono::seconds;
using time_point = training_job::time_point;

constexpr std::array<std::string_view, job_state_count> names = {
  "submitted", "fetching data", "training",  "completed",
  "failed",    "stalled",       "cancelled", "superseded",
};

constexpr unsigned bit(job_state x) {
  return 1u << static_cast<unsigned>(x);
}

constexpr unsigned reported = bit(job_state::fetching_data)
                              | bit(job_state::training)
                              | bit(job_state::completed)
                              | bit(job_state::failed);

constexpr unsigned decided = bit(job_state::stalled) | bit(job_state::cancelled)
                             | bit(job_state::superseded);

/// What may follow each state, in the order of the states. A backend that
/// starts again fetches its data again, and one that was silent may come back.
constexpr std::array<unsigned, job_state_count> followers = {
  bit(job_state::submitted) | reported | decided,
  reported | decided,
  reported | decided,
  0,
  0,
  reported | decided,
  0,
  0,
};

caf::error conflict(std::string text) {
  return make_error(ec::conflict, std::move(text));
}

std::string describe(const training_job& job) {
  return "job " + job.id + " (" + std::string{to_string(job.state)} + ")";
}

/// Enters a state; false when the table does not allow it.
bool enter(training_job& job, job_state next, std::string reason,
           time_point now) {
  if (!can_follow(job.state, next))
    return false;
  job.state = next;
  job.reason = std::move(reason);
  job.updated_at = now;
  if (ended(next))
    job.ended_at = now;
  return true;
}

/// A model that is there is wholly there, whatever the last progress said.
void normalize_completed(training_statistics& x) {
  x.percentage_completed = 100;
  x.remaining_time = 0;
  x.stage = training_stage;
}

void complete(training_book& book, time_point now) {
  auto& job = *book.job;
  if (!enter(job, job_state::completed, {}, now))
    return;
  normalize_completed(job.statistics);
  book.model = {std::string{model_text::completed}, job.statistics};
}

void fail(training_book& book, std::string reason, time_point now) {
  auto& job = *book.job;
  if (enter(job, job_state::failed, std::move(reason), now))
    book.model = {std::string{model_text::failed}, job.statistics};
}

/// Makes `job` the current one; the one before takes a step back.
void put_first(training_book& book, training_job job, time_point now) {
  job.contested = book.job
                  && (!ended(book.job->state)
                      || book.job->state == job_state::cancelled);
  if (book.job && !ended(book.job->state)) {
    enter(*book.job, job_state::superseded, "job " + job.id + " took its place",
          now);
    // Nobody will ever tell of its end.
    if (book.job->action == training_action::train)
      book.model.status = model_text::failed;
  }
  book.before = std::move(book.job);
  job.number = ++book.last_number;
  book.job = std::move(job);
}

/// A training that was not submitted through a gateway, or that the gateways
/// forgot.
void adopt(training_book& book, std::string id, int64_t elapsed,
           const change_context& context) {
  training_job job;
  job.id = id.empty() ? context.fresh_id : std::move(id);
  job.workloads = watchlist_of(book);
  // Nothing that is counted here is older.
  constexpr int64_t century = int64_t{100} * 365 * 24 * 3600;
  job.started_at = context.now
                   - seconds{std::clamp<int64_t>(elapsed, 0, century)};
  job.updated_at = context.now;
  put_first(book, std::move(job), context.now);
}

/// Whether the job was not submitted through a gateway: those that were train
/// because something was added.
bool taken_on(const training_job& job) {
  return job.action == training_action::train && job.changes.added.empty();
}

bool failure_text(std::string_view text) {
  return text == model_text::failed || text == "failed";
}

/// Whether the statistics tell of a training that began before that time.
bool older_than(const job_progress& progress, time_point start,
                time_point now) {
  // Clocks differ, and so do the moments at which backends start to count.
  return progress.statistics && progress.statistics->time_elapsed
         && seconds{*progress.statistics->time_elapsed}
              > duration_cast<seconds>(now - start) + settling_time;
}

/// Whether progress that came after the end of the last job can be that of
/// another training, which nobody submitted through us.
bool starts_anew(const training_job& last, const job_progress& progress,
                 time_point now) {
  auto may = last.state == job_state::completed
             || last.state == job_state::failed;
  auto says_training = !progress.status
                       || *progress.status == model_text::training;
  if (!may || !says_training || !progress.statistics
      || progress.statistics->percentage_completed.value_or(0) >= 100)
    return false;
  // Nobody submits through us, so this is how the next one begins.
  if (taken_on(last))
    return true;
  auto settled = now - *last.ended_at > settling_time;
  // Nothing was to be trained, so a training goes on in spite of that.
  if (last.action != training_action::train)
    return settled || !older_than(progress, last.started_at, now);
  return settled && !older_than(progress, *last.ended_at, now);
}

/// Enters what a report says about a training that has this status now. The end
/// of a training may come with statistics that are all 0: those say nothing.
void enter(training_statistics& to, const job_progress& progress) {
  auto end = progress.status
             && (*progress.status == model_text::completed
                 || failure_text(*progress.status));
  auto blank = progress.statistics == training_statistics{};
  if (progress.statistics && !(end && blank))
    to = progress.statistics->over(to);
}

/// Whether the backend says of a job that trains nothing that there is a model
/// for its watchlist.
bool confirms_model(const training_job& job, const job_progress& progress) {
  auto keeps_model = job.action == training_action::update
                     || job.action == training_action::none;
  return keeps_model && job.state != job_state::cancelled
         && progress.status == model_text::completed;
}

training_book show_completed(training_book book, const job_progress& progress) {
  enter(book.model.statistics, progress);
  normalize_completed(book.model.statistics);
  book.model.status = model_text::completed;
  return book;
}

/// Progress that came after the end of the job: fine if it says the same.
caf::expected<training_book> refine(training_book book,
                                    const job_progress& progress) {
  auto& job = *book.job;
  auto complete_word = progress.status == model_text::completed
                       || (progress.statistics
                           && progress.statistics->percentage_completed == 100);
  auto completed = job.state == job_state::completed && complete_word;
  auto failed = job.state == job_state::failed && progress.status
                && failure_text(*progress.status);
  if (job.action == training_action::train && (completed || failed)) {
    enter(job.statistics, progress);
    if (completed)
      normalize_completed(job.statistics);
    book.model = {
      std::string{completed ? model_text::completed : model_text::failed},
      job.statistics};
    return book;
  }
  if (confirms_model(job, progress))
    return show_completed(std::move(book), progress);
  if (progress.status && *progress.status != model_text::training
      && *progress.status != model_text::completed
      && !failure_text(*progress.status)) {
    // Not about a training, so it goes through to the dashboard.
    book.model.status = *progress.status;
    enter(book.model.statistics, progress);
    return book;
  }
  return conflict("this progress is of an older training: "
                  + describe(*book.job) + " has ended");
}

/// Whether the outcome of the job's submission may still come.
bool awaits_outcome(const training_job& job, const change_context& context) {
  return pending(job) && context.now - job.updated_at <= context.outcome_time;
}

// -- one function a change ----------------------------------------------------

caf::expected<training_book> change(training_book book, const job_submission& x,
                                    const change_context& context) {
  if (book.job && running(book.job->state) && !x.force)
    return conflict("a training runs: " + describe(*book.job));
  training_job job;
  job.id = x.id;
  job.action = x.action;
  job.workloads = x.workloads;
  job.changes = x.changes;
  job.started_at = job.updated_at = context.now;
  put_first(book, std::move(job), context.now);
  return book;
}

caf::expected<training_book> change(training_book book, const job_acceptance& x,
                                    const change_context& context) {
  if (!book.job || book.job->id != x.id)
    return book;
  auto& job = *book.job;
  job.response = x.response;
  if (job.state != job_state::submitted)
    return book;
  if (job.action != training_action::train) {
    enter(job, job_state::completed, {}, context.now);
    if (job.action == training_action::reset)
      book.model = {context.idle_text, {}};
    return book;
  }
  enter(job, job_state::submitted, {}, context.now);
  job.statistics = context.initial;
  book.model = {std::string{model_text::training}, job.statistics};
  return book;
}

caf::expected<training_book> change(training_book book, const job_rejection& x,
                                    const change_context& context) {
  if (!book.job || book.job->id != x.id || book.job->progressed
      || !enter(*book.job, job_state::failed, x.reason, context.now))
    return book;
  auto result = x.before;
  result.before = std::move(book.job);
  result.last_number = book.last_number;
  return result;
}

caf::expected<training_book> change(training_book book, const job_doubt& x,
                                    const change_context& context) {
  if (!book.job || book.job->id != x.id
      || book.job->state != job_state::submitted)
    return book;
  auto& job = *book.job;
  if (job.action != training_action::train) {
    // Nothing will ever tell.
    enter(job, job_state::failed, x.reason, context.now);
    return book;
  }
  enter(job, job_state::submitted, x.reason, context.now);
  job.statistics = context.initial;
  book.model = {std::string{model_text::training}, job.statistics};
  return book;
}

caf::expected<training_book> change(training_book book, const job_progress& x,
                                    const change_context& context) {
  auto now = context.now;
  if (!x.status && !x.statistics)
    return book;
  if (book.job && !x.id.empty() && x.id != book.job->id)
    return conflict("this progress is of job " + x.id + ", but the latest is "
                    + describe(*book.job));
  if (!book.job
      || (ended(book.job->state) && x.id.empty()
          && starts_anew(*book.job, x, now)))
    adopt(book, x.id, x.statistics ? x.statistics->time_elapsed.value_or(0) : 0,
          context);
  else if (ended(book.job->state))
    return refine(std::move(book), x);
  else if (x.id.empty() && book.job->contested
           && older_than(x, book.job->started_at, now))
    return conflict("this progress is of a training that began before "
                    + describe(*book.job));
  auto& job = *book.job;
  if (job.action != training_action::train) {
    if (confirms_model(job, x))
      return show_completed(std::move(book), x);
    return conflict("this progress is of an older training: " + describe(job)
                    + " trains nothing");
  }
  job.progressed = true;
  enter(job.statistics, x);
  if (x.status == model_text::completed) {
    complete(book, now);
    return book;
  }
  if (x.status && failure_text(*x.status)) {
    fail(book, "the backend reports that the training failed", now);
    return book;
  }
  auto next = job.state;
  // Whatever else the status says, it goes through to the dashboard.
  if (!x.status || *x.status == model_text::training)
    next = job.statistics.stage == fetching_stage ? job_state::fetching_data
                                                  : job_state::training;
  enter(job, next, {}, now);
  book.model = {x.status.value_or(std::string{model_text::training}),
                job.statistics};
  return book;
}

caf::expected<training_book> change(training_book book,
                                    const job_observation& x,
                                    const change_context& context) {
  auto now = context.now;
  auto trains = x.status == model_text::training;
  if (!book.job) {
    if (trains) {
      adopt(book, {}, book.model.statistics.time_elapsed, context);
      book.job->statistics = book.model.statistics;
      book.model.status = x.status;
    }
    return book;
  }
  auto& job = *book.job;
  if (ended(job.state)) {
    auto gone = job.state == job_state::completed
                || job.state == job_state::failed;
    if (trains && gone && now - *job.ended_at > settling_time) {
      adopt(book, {}, 0, context);
      book.model = {x.status, {}};
    }
    return book;
  }
  if (job.action != training_action::train)
    return book;
  // An answer that is still to come says more.
  if (awaits_outcome(job, context))
    return book;
  if (trains) {
    job.confirmed = true;
    return book;
  }
  // What is told just after a submission, or between two reports, may be about
  // an earlier training.
  auto settled = job.confirmed || job.statistics.percentage_completed == 100
                 || now - job.updated_at > settling_time;
  if (!settled)
    return book;
  if (x.status == model_text::completed)
    complete(book, now);
  else if (failure_text(x.status))
    fail(book, "the backend says that the training failed", now);
  return book;
}

caf::expected<training_book> change(training_book book, const job_cancellation&,
                                    const change_context& context) {
  auto stuck = book.model.status == model_text::training
               || failure_text(book.model.status);
  if (book.job
      && enter(*book.job, job_state::cancelled, "given up by request",
               context.now))
    stuck = true;
  if (stuck)
    book.model = {context.idle_text, {}};
  return book;
}

caf::expected<training_book> change(training_book book, const job_silence& x,
                                    const change_context& context) {
  if (!book.job || !running(book.job->state)
      || awaits_outcome(*book.job, context)
      || context.now - book.job->updated_at <= x.limit)
    return book;
  auto silent = duration_cast<seconds>(context.now - book.job->updated_at);
  auto reason = "no word from the training backend for "
                + std::to_string(silent.count()) + " s";
  if (book.job->action != training_action::train) {
    enter(*book.job, job_state::failed, std::move(reason), context.now);
    return book;
  }
  // The last word stays the backend's.
  auto last_word = book.job->updated_at;
  enter(*book.job, job_state::stalled, std::move(reason), context.now);
  book.job->updated_at = last_word;
  book.model = {std::string{model_text::failed}, book.job->statistics};
  return book;
}

} // namespace

// -- states -------------------------------------------------------------------

std::string_view to_string(job_state state) {
  return names[static_cast<size_t>(state)];
}

std::optional<job_state> job_state_of(std::string_view text) {
  auto i = std::find(names.begin(), names.end(), text);
  if (i == names.end())
    return std::nullopt;
  return static_cast<job_state>(i - names.begin());
}

bool can_follow(job_state from, job_state to) {
  return (followers[static_cast<size_t>(from)] & bit(to)) != 0;
}

bool running(job_state state) {
  return state == job_state::submitted || state == job_state::fetching_data
         || state == job_state::training;
}

bool ended(job_state state) {
  return followers[static_cast<size_t>(state)] == 0;
}

// -- a job --------------------------------------------------------------------

bool pending(const training_job& job) {
  return job.state == job_state::submitted && job.response.empty()
         && job.reason.empty() && !taken_on(job);
}

int64_t elapsed_of(const training_job& job, time_point now) {
  if (job.statistics.time_elapsed > 0)
    return job.statistics.time_elapsed;
  auto until = job.ended_at.value_or(now);
  return std::max<int64_t>(
    0, duration_cast<seconds>(until - job.started_at).count());
}

std::optional<remaining_time> remaining_of(const training_job& job,
                                           time_point now) {
  if (!running(job.state) || job.action != training_action::train)
    return std::nullopt;
  auto& known = job.statistics;
  if (known.remaining_time > 0)
    return remaining_time{known.remaining_time, !job.progressed};
  if (known.percentage_completed <= 0 || known.percentage_completed >= 100)
    return std::nullopt;
  // What was left at the last word, less what has passed since.
  auto elapsed = static_cast<double>(elapsed_of(job, job.updated_at));
  if (elapsed <= 0)
    return std::nullopt;
  auto done = static_cast<double>(known.percentage_completed);
  auto since = duration_cast<seconds>(now - job.updated_at).count();
  // As a number of seconds that fits whatever was reported.
  auto whole = std::min(elapsed * (100. - done) / done, 1e15);
  auto left = static_cast<int64_t>(whole) - since;
  return remaining_time{std::max<int64_t>(0, left), true};
}

job_summary summary_of(training_job job) {
  auto workloads = std::exchange(job.workloads, {}).size();
  auto changes = std::exchange(job.changes, {});
  return {std::move(job), workloads, changes.added.size(),
          changes.removed.size()};
}

// -- the book -----------------------------------------------------------------

shared_workloads watchlist_of(const training_book& book) {
  return book.job ? book.job->workloads : shared_workloads{};
}

std::string shown_status(const training_book& book, const std::string& told,
                         const change_context& context) {
  if (!book.job || book.job->action != training_action::train)
    return told;
  auto& job = *book.job;
  auto trains = told == model_text::training;
  switch (job.state) {
    case job_state::stalled:
      return std::string{model_text::failed};
    case job_state::failed:
      return trains ? std::string{model_text::failed} : told;
    case job_state::cancelled:
      return trains ? context.idle_text : told;
    case job_state::submitted: {
      // Since the outcome of the submission, which may take its time.
      auto sent = !job.response.empty() || !job.reason.empty();
      auto settled = context.now - job.updated_at > settling_time;
      return sent && !settled ? std::string{model_text::training} : told;
    }
    default:
      return told;
  }
}

training_book import_model(const model_status& model, time_point stored_at,
                           const change_context& context) {
  training_book result;
  result.model = model;
  if (model.status == model_text::training) {
    adopt(result, {}, model.statistics.time_elapsed,
          {stored_at, context.fresh_id, context.idle_text});
    result.job->statistics = model.statistics;
    result.job->reason = "submitted before there was a book of jobs";
  }
  return result;
}

caf::expected<training_book> apply_change(const training_book& book,
                                          const job_change& what,
                                          const change_context& context) {
  return std::visit([&](auto& x) { return change(book, x, context); }, what);
}

} // namespace aiops
