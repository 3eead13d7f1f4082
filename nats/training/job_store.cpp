#include "nats/training/job_store.hpp"

#include "actors/training/planted_bug.hpp"
#include "base/deadlines.hpp"
#include "base/error.hpp"
#include "base/log.hpp"
#include "base/relay.hpp"
#include "nats/json.hpp"
#include "nats/subjects.hpp"
#include "nats/training/job_json.hpp"

#include <nlohmann/json.hpp>

namespace aiops::nats {

namespace {

const auto bucket = std::string{subjects::gateway_bucket};
const auto book_key = std::string{subjects::book_key};
const auto hooks_key = std::string{subjects::hooks_key};
const auto number_key = std::string{subjects::number_key};

/// Maximum of attempts to write a slot after conflicts.
constexpr int max_tries = 5;

/// Maximum of jobs that are read at the same time, so that a list does not
/// occupy the bus.
constexpr size_t read_window = 8;

/// Reads of a list that follow one another.
constexpr int max_reads_in_a_row = static_cast<int>(subjects::job_slots
                                                    / read_window)
                                   + 2;

/// Maximum of writes whose ids are kept.
constexpr size_t max_known_writes = 16;

/// The last number in a value; 0 when it has none.
uint64_t number_in(const kv_entry& entry) {
  auto number = integer_at(parse_json(entry.value), "lastNumber");
  return static_cast<uint64_t>(std::max<int64_t>(number, 0));
}

} // namespace

struct job_store_state::archival {
  caf::response_promise promise;
  training_job job;
  int tries = 0;
};

struct job_store_state::listing {
  caf::typed_response_promise<job_summaries> promise;
  job_summaries jobs;
  /// The keys that were not read yet.
  std::vector<std::string> keys;
  size_t in_flight = 0;
  bool failed = false;
};

// -- initialization -----------------------------------------------------------

job_store_state::job_store_state(internal_job_store_actor::pointer self)
  : self_(self),
    lists_(
      [this](const std::string& key, watchlist_values::on_value then) {
        self_->request(kv_store_, patience_, get_atom_v, bucket, key)
          .then(
            [then](kv_entry& entry) {
              using value = std::optional<std::string>;
              then(entry.revision == 0 ? value{} : std::move(entry.value));
            },
            [then](const caf::error& err) { then(err); });
      },
      [this](const std::string& key, std::string value,
             watchlist_values::on_done then) {
        self_
          ->request(kv_store_, patience_, put_atom_v,
                    kv_write{bucket, key, std::move(value), std::nullopt})
          .then([then](uint64_t) { then({}); }, then);
      }) {
  // nop
}

internal_job_store_actor::behavior_type
job_store_state::make_behavior(kv_store_actor kv_store,
                               const job_store_config& cfg) {
  kv_store_ = std::move(kv_store);
  cfg_ = cfg;
  patience_ = cfg.request_timeout;
  listeners_.forget_ended(self_);
  self_->send(kv_store_, subscribe_atom_v, bucket, book_key,
              kv_listener_actor{self_});
  return {
    [this](get_atom) { return get_book(); },
    [this](put_atom, const training_book& x, uint64_t expected) {
      return put_book(x, expected);
    },
    [this](put_atom, const training_job& x) { return archive(x); },
    [this](list_atom) { return list(); },
    [this](get_atom, uint64_t number) { return get_job(number); },
    [this](put_atom, const backend_submission& x) { return put_list(x); },
    [this](list_atom, watchlist_atom) { return list_ids(); },
    [this](delete_atom, const std::string& id) { return remove_list(id); },
    [this](subscribe_atom, const book_listener_actor& listener) {
      add_listener(listener);
    },
    [this](get_atom, hooks_atom) { return get_told(); },
    [this](put_atom, hooks_atom, uint64_t number) { return put_told(number); },
    [this](update_atom, const kv_entry& entry) { follow(entry); },
    [this](tick_atom) { look_again(); },
  };
}

// -- the book -----------------------------------------------------------------

caf::result<stored_book> job_store_state::get_book() {
  auto promise = self_->make_response_promise<stored_book>();
  auto answer = [promise](const caf::expected<stored_book>& book) mutable {
    if (book)
      promise.deliver(*book);
    else
      promise.deliver(book.error());
  };
  self_->request(kv_store_, patience_, get_atom_v, bucket, book_key)
    .then([this, answer](const kv_entry& entry) { understand(entry, answer); },
          relay(promise));
  return promise;
}

void job_store_state::understand(const kv_entry& entry, on_book then) {
  if (line_.older({entry.revision}))
    suspect();
  else
    gone_back_.reset();
  auto record = entry.revision != 0 ? decode_book(entry.value) : std::nullopt;
  if (record) {
    if (line_.saw({entry.revision, record->write, record->previous,
                   entry.created, record->book.last_number, record->origin}))
      report_loss(entry.revision);
    remember(entry.revision, record->write, record->origin);
    return fill(std::move(*record), entry, std::move(then));
  }
  stored_book book{{}, entry.revision, 0};
  if (entry.revision != 0) {
    forget(entry.revision);
    keep_aside(entry);
    // It is the newest now, even if it is the first that this replica sees.
    // An older value is an old copy.
    if (auto known = line_.newest(); known < entry.revision) {
      line_.give_way({entry.revision});
      // The known book was replaced.
      if (known != 0)
        report_loss(entry.revision);
    }
    // A later version may have written it.
    book.value.last_number = number_in(entry);
  }
  book.losses = losses_at(entry.revision);
  begin_anew(std::move(book), entry.removed, std::move(then));
}

void job_store_state::remember(uint64_t revision, const std::string& write,
                               const std::string& origin) {
  forget(revision);
  known_writes_.push_back({revision, write, origin});
  if (known_writes_.size() > max_known_writes)
    known_writes_.pop_front();
}

void job_store_state::forget(uint64_t revision) {
  std::erase_if(known_writes_,
                [&](auto& known) { return known.revision == revision; });
}

void job_store_state::keep_aside(const kv_entry& entry) {
  if (std::exchange(kept_aside_, entry.revision) == entry.revision)
    return;
  auto key = subjects::unreadable_key(entry.revision);
  log::error(name, "treats an unreadable training book as empty",
             {{"bucket", bucket}, {"key", book_key}, {"keptAs", key}});
  self_
    ->request(kv_store_, patience_, put_atom_v,
              kv_write{bucket, key, entry.value, std::nullopt})
    .then([](uint64_t) { /* nop */ },
          [](const caf::error& err) {
            log::warning(name,
                         "cannot keep an unreadable book under another key",
                         {{"reason", text_of(err)}});
          });
}

void job_store_state::begin_anew(stored_book book, uint64_t removed,
                                 on_book then) {
  if (planted(planted_bug::numbers_not_recovered))
    return then(book);
  auto with = [this, book, removed, then](uint64_t number) mutable {
    book.value.last_number = std::max(book.value.last_number, number);
    if (book.revision == 0)
      beginning_ = {removed, number};
    then(book);
  };
  find_last_number([=, this](const caf::expected<uint64_t>& number) mutable {
    if (!number)
      return then(number.error());
    if (*number > 0 && std::exchange(recovered_, *number) != *number)
      log::warning(name, "continues the numbers of jobs without their book",
                   {{"last", *number}});
    with(*number);
  });
}

void job_store_state::find_last_number(on_number then) {
  auto failed = [then](const caf::error& err) { then(err); };
  auto self = job_store_actor{self_};
  auto with_noted = [=, this](uint64_t last) {
    self_->request(self, patience_ * max_reads_in_a_row, list_atom_v)
      .then(
        [then, last](const job_summaries& jobs) {
          auto result = last;
          for (auto& x : jobs)
            result = std::max(result, x.job.number);
          then(result);
        },
        failed);
  };
  auto with_notified = [=, this](uint64_t notified) {
    self_->request(kv_store_, patience_, get_atom_v, bucket, number_key)
      .then(
        [with_noted, notified](const kv_entry& entry) {
          with_noted(std::max(notified, number_in(entry)));
        },
        failed);
  };
  self_->request(self, outlast(patience_), get_atom_v, hooks_atom_v)
    .then(with_notified, failed);
}

void job_store_state::note_number(uint64_t number) {
  if (number <= noted_)
    return;
  noted_ = number;
  // Sent before the book, so usually stored before it; the book does not wait.
  write_number(number, max_tries);
}

void job_store_state::write_number(uint64_t number, int tries) {
  auto failed = [this](const caf::error&) { noted_ = 0; };
  auto on_entry = [=, this](const kv_entry& entry) {
    noted_revision_ = entry.revision;
    auto there = number_in(entry);
    if (there < number)
      write_number(number, tries - 1);
    else
      noted_ = std::max(noted_, there);
  };
  // Only over a value that is known to be lower: the book may be an old copy,
  // and other replicas may have stored a higher number.
  self_
    ->request(kv_store_, patience_, put_atom_v,
              kv_write{bucket, number_key, dump_json({{"lastNumber", number}}),
                       noted_revision_})
    .then([this](uint64_t revision) { noted_revision_ = revision; },
          [=, this](const caf::error& err) {
            if (code_of(err) != ec::conflict || tries <= 1)
              return failed(err);
            self_->request(kv_store_, patience_, get_atom_v, bucket, number_key)
              .then(on_entry, failed);
          });
}

void job_store_state::fill(book_record record, const kv_entry& entry,
                           on_book then) {
  auto book = std::make_shared<training_book>(std::move(record.book));
  std::vector<std::string> ids;
  auto need = [&](const std::string& id, const shared_workloads& list) {
    // A book of an older version contains its lists.
    if (list.empty() && !id.empty())
      ids.push_back(id);
  };
  auto each_job = [book](auto f) {
    for (auto* job : {&book->submission, &book->training})
      if (*job)
        f(**job);
    for (auto& job : book->leaving)
      f(job);
  };
  need(book->watchlist.list_id, book->watchlist.workloads);
  each_job([&](const training_job& x) {
    need(x.list_id, x.workloads);
    if (x.workloads.empty() && x.changes.removed.empty())
      need(x.base_id, {});
  });
  std::set<std::string> used{ids.begin(), ids.end()};
  lists_.load(std::move(ids),
              [=, this, revision = entry.revision,
               stored_at = entry.created](const caf::error& err) {
                if (err)
                  return then(err);
                auto& list = book->watchlist;
                if (used.contains(list.list_id))
                  list.workloads = lists_.list(list.list_id);
                each_job([&](training_job& x) {
                  if (!used.contains(x.list_id) && !used.contains(x.base_id))
                    return;
                  x.workloads = lists_.list(x.list_id);
                  x.changes = lists_.changes(x.base_id, x.list_id);
                });
                if (lists_.lost(used))
                  look_for_lists();
                stored_book result{*book, revision, losses_at(revision)};
                if (stored_at.time_since_epoch().count() != 0)
                  result.stored_at = stored_at;
                then(result);
              });
}

caf::result<uint64_t> job_store_state::put_book(const training_book& x,
                                                uint64_t expected) {
  // There was another book while the last number was read.
  if (expected == 0 && beginning_ && x.last_number < beginning_->number)
    return make_error(ec::conflict, "jobs after number "
                                      + std::to_string(x.last_number)
                                      + " were found");
  auto promise = self_->make_response_promise<uint64_t>();
  // Lists that were stored may be lost with the book.
  if (line_.older({expected}))
    lists_.clear();
  store_lists(missing_lists(x),
              [this, x, expected, promise](const caf::error& err) mutable {
                if (err)
                  promise.deliver(err);
                else
                  write_book(x, expected, promise);
              });
  return promise;
}

std::vector<backend_submission>
job_store_state::missing_lists(const training_book& book) const {
  std::vector<backend_submission> result;
  // The empty list has no id: a list with an id that is empty here was not
  // found, and must not replace the stored list.
  auto add = [&](const std::string& id, shared_workloads list) {
    if (!lists_.knows(id) && !list.empty())
      result.push_back({id, std::move(list)});
  };
  add(book.watchlist.list_id, book.watchlist.workloads);
  for (auto* job : jobs_of(book)) {
    add(job->list_id, job->workloads);
    if (!lists_.knows(job->base_id))
      add(job->base_id, base_of(*job));
  }
  return result;
}

void job_store_state::store_lists(std::vector<backend_submission> lists,
                                  on_done then) {
  if (lists.empty())
    return then({});
  auto next = std::move(lists.back());
  lists.pop_back();
  lists_.store(next.id, next.workloads,
               [this, lists = std::move(lists),
                then = std::move(then)](const caf::error& err) {
                 if (err)
                   then(err);
                 else
                   store_lists(lists, then);
               });
}

void job_store_state::write_book(
  const training_book& x, uint64_t expected,
  caf::typed_response_promise<uint64_t> promise) {
  auto id = cfg_.make_id();
  auto i = std::find_if(
    known_writes_.begin(), known_writes_.end(),
    [&](auto& known) { return known.revision == expected; });
  known_write over;
  if (i != known_writes_.end())
    over = *i;
  else if (expected == 0 || expected == kept_aside_)
    over.origin = id;
  auto went_back = line_.older({expected});
  auto number = x.last_number;
  note_number(number);
  kv_write what{bucket, book_key, encode_book(x, id, over.id, over.origin),
                expected};
  if (expected == 0 && beginning_)
    what.removed = beginning_->removed;
  self_->request(kv_store_, patience_, put_atom_v, std::move(what))
    .then(
      [=, this](uint64_t revision) mutable {
        remember(revision, id, over.origin);
        if (line_.wrote({revision, id, over.id, {}, number, over.origin},
                        went_back)) {
          report_loss(revision);
          // It may have been read before, and seemed to be an old copy.
          read_again();
        }
        promise.deliver(revision);
      },
      relay(promise));
}

void job_store_state::follow(const kv_entry& entry) {
  understand(entry, [this](const caf::expected<stored_book>& book) {
    if (book)
      publish(*book);
    else
      // The store sends it again only when it changes.
      look_for_lists();
  });
}

uint64_t job_store_state::losses_at(uint64_t revision) const {
  return line_.older({revision}) ? 0 : losses_;
}

void job_store_state::suspect() {
  if (gone_back_)
    return;
  gone_back_ = {line_.newest(), self_->clock().now()};
  self_->delayed_send(self_, cfg_.stale_read_time, tick_atom_v);
}

void job_store_state::look_for_lists() {
  if (!std::exchange(lists_missing_, true))
    self_->delayed_send(self_, cfg_.stale_read_time, tick_atom_v);
}

void job_store_state::publish(const stored_book& book) {
  if (line_.older({book.revision}))
    return;
  book_ = book;
  std::set<std::string> used{book.value.watchlist.list_id};
  for (auto* job : jobs_of(book.value))
    used.insert({job->list_id, job->base_id});
  lists_.keep(used);
  listeners_.send(update_atom_v, *book_);
}

void job_store_state::read_again() {
  self_->request(kv_store_, patience_, get_atom_v, bucket, book_key)
    .then([this](const kv_entry& entry) { follow(entry); },
          [](const caf::error&) { /* it is read at the next change */ });
}

void job_store_state::look_again() {
  auto due = gone_back_
             && self_->clock().now()
                  >= gone_back_->since + cfg_.stale_read_time;
  auto missing = std::exchange(lists_missing_, false);
  if (!due && !missing)
    return;
  // An old copy is older than the newest book at the time of the suspicion.
  auto newest = due ? gone_back_->newest : 0;
  self_->request(kv_store_, patience_, get_atom_v, bucket, book_key)
    .then(
      [this, due, newest](const kv_entry& entry) {
        auto back = due && gone_back_ && entry.revision < newest;
        if (due)
          gone_back_.reset();
        if (back) {
          auto record = decode_book(entry.value).value_or(book_record{});
          line_.give_way({entry.revision, record.write, record.previous,
                          entry.created, record.book.last_number,
                          record.origin});
          report_loss(entry.revision);
        }
        follow(entry);
      },
      [this, missing](const caf::error&) {
        lists_missing_ = lists_missing_ || missing;
        self_->delayed_send(self_, cfg_.stale_read_time, tick_atom_v);
      });
}

void job_store_state::report_loss(uint64_t revision) {
  ++losses_;
  slots_.clear();
  lists_.store_missing({});
  log::error(name,
             "the store lost acknowledged changes of the training: it goes on "
             "from an older state",
             {{"revision", revision}});
}

void job_store_state::add_listener(const book_listener_actor& listener) {
  listeners_.add(self_, listener);
  if (book_)
    self_->send(listener, update_atom_v, *book_);
}

// -- watchlists ---------------------------------------------------------------

caf::result<void> job_store_state::put_list(const backend_submission& x) {
  auto promise = self_->make_response_promise();
  lists_.store(x.id, x.workloads, [promise](const caf::error& err) mutable {
    if (err)
      promise.deliver(err);
    else
      promise.deliver(caf::unit);
  });
  return promise;
}

caf::result<std::vector<std::string>> job_store_state::list_ids() {
  auto promise = self_->make_response_promise<std::vector<std::string>>();
  self_
    ->request(kv_store_, patience_, list_atom_v, bucket,
              std::string{subjects::watchlist_pattern})
    .then(
      [this, promise](std::vector<std::string>& keys) mutable {
        auto prefix = subjects::watchlist_key({}).size();
        for (auto& key : keys)
          key.erase(0, prefix);
        lists_.store_missing({keys.begin(), keys.end()});
        promise.deliver(std::move(keys));
      },
      relay(promise));
  return promise;
}

caf::result<void> job_store_state::remove_list(const std::string& id) {
  lists_.removed(id);
  auto promise = self_->make_response_promise();
  self_
    ->request(kv_store_, patience_, delete_atom_v, bucket,
              subjects::watchlist_key(id))
    .then([promise](uint64_t) mutable { promise.deliver(caf::unit); },
          relay(promise));
  return promise;
}

// -- the history --------------------------------------------------------------

caf::result<void> job_store_state::archive(const training_job& x) {
  auto promise = self_->make_response_promise();
  auto job = std::make_shared<archival>(archival{promise, x});
  auto known = slots_.find(subjects::job_key(x.number));
  if (known != slots_.end() && known->second.number < x.number)
    write_slot(job, known->second.revision);
  else
    look_at_slot(job);
  return promise;
}

void job_store_state::look_at_slot(const archival_ptr& x) {
  self_
    ->request(kv_store_, patience_, get_atom_v, bucket,
              subjects::job_key(x->job.number))
    .then([this, x](const kv_entry& slot) { fill_slot(x, slot); },
          [x](const caf::error& err) { x->promise.deliver(err); });
}

void job_store_state::fill_slot(const archival_ptr& x, const kv_entry& slot) {
  auto there = decode_record(slot.value);
  if (there && there->job.number >= x->job.number) {
    x->promise.deliver(caf::unit);
    return;
  }
  write_slot(x, slot.revision);
}

void job_store_state::write_slot(const archival_ptr& x, uint64_t expected) {
  auto key = subjects::job_key(x->job.number);
  slots_.erase(key);
  auto failed = [this, x](const caf::error& err) {
    if (code_of(err) == ec::conflict && ++x->tries < max_tries)
      look_at_slot(x);
    else
      x->promise.deliver(err);
  };
  self_
    ->request(kv_store_, patience_, put_atom_v,
              kv_write{bucket, key, encode_record(x->job), expected})
    .then(
      [this, x, key](uint64_t revision) {
        slots_[key] = {x->job.number, revision};
        x->promise.deliver(caf::unit);
      },
      failed);
}

caf::result<job_summaries> job_store_state::list() {
  auto x = std::make_shared<listing>();
  x->promise = self_->make_response_promise<job_summaries>();
  self_
    ->request(kv_store_, patience_, list_atom_v, bucket,
              std::string{subjects::job_pattern})
    .then(
      [this, x](std::vector<std::string>& keys) {
        // Other programs may have stored any number of keys.
        if (keys.size() > subjects::job_slots)
          keys.resize(subjects::job_slots);
        x->keys = std::move(keys);
        read_jobs(x);
      },
      [x](const caf::error& err) { x->promise.deliver(err); });
  return x->promise;
}

void job_store_state::read_jobs(const listing_ptr& x) {
  auto read = [this, x](const kv_entry& entry) {
    --x->in_flight;
    if (x->failed)
      return;
    if (auto job = decode_record(entry.value)) {
      job->job.workloads = {};
      job->job.changes = {};
      x->jobs.push_back(std::move(*job));
    }
    read_jobs(x);
  };
  auto failed = [x](const caf::error& err) {
    if (!std::exchange(x->failed, true))
      x->promise.deliver(err);
  };
  if (x->keys.empty() && x->in_flight == 0)
    x->promise.deliver(std::move(x->jobs));
  for (; !x->keys.empty() && x->in_flight < read_window; ++x->in_flight) {
    self_
      ->request(kv_store_, patience_, get_atom_v, bucket,
                std::move(x->keys.back()))
      .then(read, failed);
    x->keys.pop_back();
  }
}

caf::result<training_job> job_store_state::get_job(uint64_t number) {
  auto promise = self_->make_response_promise<training_job>();
  self_
    ->request(kv_store_, patience_, get_atom_v, bucket,
              subjects::job_key(number))
    .then(
      [this, promise, number](const kv_entry& entry) mutable {
        auto job = decode_record(entry.value);
        if (job && job->job.number == number)
          fill_job(std::move(job->job), promise);
        else
          promise.deliver(
            make_error(ec::not_found, "this job is not in the history"));
      },
      relay(promise));
  return promise;
}

void job_store_state::fill_job(
  training_job job, caf::typed_response_promise<training_job> promise) {
  // An older version stored the lists with the job.
  if (job.list_id.empty() && job.base_id.empty()) {
    promise.deliver(std::move(job));
    return;
  }
  lists_.load({job.list_id, job.base_id},
              [this, job, promise](const caf::error& err) mutable {
                if (err) {
                  promise.deliver(err);
                  return;
                }
                job.workloads = lists_.list(job.list_id);
                job.changes = diff(lists_.list(job.base_id), job.workloads);
                promise.deliver(std::move(job));
              });
}

// -- hooks --------------------------------------------------------------------

caf::result<uint64_t> job_store_state::get_told() {
  auto promise = self_->make_response_promise<uint64_t>();
  self_->request(kv_store_, patience_, get_atom_v, bucket, hooks_key)
    .then(
      [promise](const kv_entry& entry) mutable {
        auto number = integer_at(parse_json(entry.value), "told");
        promise.deliver(static_cast<uint64_t>(std::max<int64_t>(number, 0)));
      },
      relay(promise));
  return promise;
}

caf::result<void> job_store_state::put_told(uint64_t number) {
  auto promise = self_->make_response_promise();
  self_
    ->request(
      kv_store_, patience_, put_atom_v,
      kv_write{bucket, hooks_key, dump_json({{"told", number}}), std::nullopt})
    .then([promise](uint64_t) mutable { promise.deliver(caf::unit); },
          relay(promise));
  return promise;
}

internal_job_store_actor::behavior_type
job_store(internal_job_store_actor::stateful_pointer<job_store_state> self,
          kv_store_actor kv_store, const job_store_config& cfg) {
  return self->state.make_behavior(std::move(kv_store), cfg);
}

} // namespace aiops::nats
