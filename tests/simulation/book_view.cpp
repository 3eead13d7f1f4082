#include "tests/simulation/book_view.hpp"

#include "nats/json.hpp"
#include "nats/subjects.hpp"
#include "nats/training/job_json.hpp"

#include <algorithm>

namespace aiops::simulation {

using namespace nats;

namespace {

job_view view_of(const training_job& x, bool settled) {
  job_view result;
  result.id = x.id;
  result.number = x.number;
  result.state = x.state;
  result.action = x.action;
  result.workloads = x.workloads;
  result.settled = settled;
  result.accepted = !x.response.empty();
  result.statistics = x.statistics;
  result.reason = x.reason;
  return result;
}

} // namespace

const job_view* book_view::find(const std::string& id) const {
  auto i = std::find_if(jobs.begin(), jobs.end(),
                        [&](auto& x) { return x.id == id; });
  return i != jobs.end() ? &*i : nullptr;
}

const job_view* book_view::unsettled() const {
  auto i = std::find_if(jobs.begin(), jobs.end(),
                        [](auto& x) { return !x.settled; });
  return i != jobs.end() ? &*i : nullptr;
}

const job_view* book_view::running_job() const {
  auto i = std::find_if(jobs.begin(), jobs.end(),
                        [](auto& x) { return running(x.state); });
  return i != jobs.end() ? &*i : nullptr;
}

uint64_t last_number_of(const stored_book& book) {
  return book.value.last_number;
}

std::string describe(const book_view& x) {
  std::string result;
  for (auto& job : x.jobs) {
    auto fate = job.accepted ? " accepted" : job.settled ? " settled" : " open";
    result += "#" + std::to_string(job.number) + ' ' + job.id + ' '
              + std::string{to_string(job.action)} + ' '
              + std::string{to_string(job.state)} + fate + " e"
              + std::to_string(job.statistics.current_epoch) + ' '
              + std::to_string(job.workloads.size()) + " workloads; ";
  }
  return result + "list of " + x.watchlist_job + " ("
         + std::to_string(x.watchlist.size()) + "), last number "
         + std::to_string(x.last_number) + ", model " + x.model.status + " e"
         + std::to_string(x.model.statistics.current_epoch);
}

book_view view_of(const training_book& book) {
  book_view result;
  for (auto* job : jobs_of(book))
    result.jobs.push_back(view_of(*job, !book.submission || !pending(book)
                                          || job->id != book.submission->id));
  result.watchlist = book.watchlist.workloads;
  result.watchlist_job = book.watchlist.job_id;
  if (book.training)
    result.training = book.training->id;
  std::sort(result.jobs.begin(), result.jobs.end(),
            [](auto& x, auto& y) { return x.number > y.number; });
  result.last_number = book.last_number;
  result.model = book.model;
  result.nothing_to_show = forgotten(book);
  return result;
}

bool is_book(const jetstream_model::change& x) {
  return x.bucket == subjects::gateway_bucket && x.key == subjects::book_key;
}

std::optional<book_view> read_book(const jetstream_model& store) {
  auto found = store.find(std::string{subjects::gateway_bucket},
                          std::string{subjects::book_key});
  if (!found)
    return std::nullopt;
  auto record = decode_book(found->value);
  if (!record)
    return std::nullopt;
  // The watchlists are separate values.
  auto& book = record->book;
  auto list = [&](const std::string& id) {
    auto value = id.empty() ? std::nullopt
                            : store.find(std::string{subjects::gateway_bucket},
                                         subjects::watchlist_key(id));
    auto xs = value ? decode_workloads(value->value) : std::nullopt;
    return xs ? shared_workloads{std::move(*xs)} : shared_workloads{};
  };
  book.watchlist.workloads = list(book.watchlist.list_id);
  for (auto* job : {&book.submission, &book.training})
    if (*job)
      (*job)->workloads = list((*job)->list_id);
  for (auto& job : book.leaving)
    job.workloads = list(job.list_id);
  auto result = view_of(book);
  result.write = record->write;
  result.previous = record->previous;
  return result;
}

std::optional<job_view> archived_job(const jetstream_model::change& x) {
  constexpr std::string_view prefix = "training.history.";
  if (x.bucket != subjects::gateway_bucket || !x.value
      || !x.key.starts_with(prefix))
    return std::nullopt;
  auto job = decode_record(*x.value);
  if (!job)
    return std::nullopt;
  return view_of(job->job, true);
}

bool reports_loss(const training_overview& overview) {
  return overview.losses > 0;
}

} // namespace aiops::simulation
