#include "nats/job_store.hpp"

#include "actors/error.hpp"
#include "actors/log.hpp"
#include "nats/job_json.hpp"
#include "nats/json.hpp"
#include "nats/subjects.hpp"

#include <nlohmann/json.hpp>

namespace aiops {

namespace {

const auto bucket = std::string{subjects::gateway_bucket};
const auto book_key = std::string{subjects::book_key};
const auto hooks_key = std::string{subjects::hooks_key};

/// A write may meet that many others to the same slot.
constexpr int max_tries = 5;

/// One request in the key-value store is up to this many to JetStream.
constexpr int steps = 3;

/// Jobs that are read at the same time, so that a list leaves the bus to
/// others.
constexpr size_t read_window = 8;

stored_book decode(const kv_entry& entry) {
  stored_book result{{}, entry.revision};
  if (entry.revision == 0)
    return result;
  if (auto book = decode_book(entry.value)) {
    result.value = std::move(*book);
  } else {
    log::warning("job-store", "takes an unreadable training book for empty",
                 {{"bucket", bucket}, {"key", book_key}});
    // A later version may have written it. Jobs go on being counted, or the
    // history would take new ones for old.
    result.value.last_number = static_cast<uint64_t>(
      std::max<int64_t>(integer_at(parse_json(entry.value), "lastNumber"), 0));
  }
  return result;
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
  /// Those that were not asked for yet.
  std::vector<std::string> keys;
  size_t in_flight = 0;
  bool failed = false;
};

// -- initialization -----------------------------------------------------------

job_store_state::job_store_state(internal_job_store_actor::pointer self)
  : self_(self) {
  // nop
}

internal_job_store_actor::behavior_type
job_store_state::make_behavior(kv_store_actor kv_store,
                               const job_store_config& cfg) {
  kv_store_ = std::move(kv_store);
  patience_ = cfg.request_timeout * steps;
  self_->set_down_handler([this](const caf::down_msg& msg) {
    std::erase_if(listeners_,
                  [&](auto& known) { return known.address() == msg.source; });
  });
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
    [this](subscribe_atom, const book_listener_actor& listener) {
      add_listener(listener);
    },
    [this](get_atom, hooks_atom) { return get_told(); },
    [this](put_atom, hooks_atom, uint64_t number) { return put_told(number); },
    [this](update_atom, const kv_entry& entry) { follow(entry); },
  };
}

// -- the book -----------------------------------------------------------------

caf::result<stored_book> job_store_state::get_book() {
  auto promise = self_->make_response_promise<stored_book>();
  self_->request(kv_store_, patience_, get_atom_v, bucket, book_key)
    .then([promise](
            const kv_entry& entry) mutable { promise.deliver(decode(entry)); },
          [promise](const caf::error& err) mutable { promise.deliver(err); });
  return promise;
}

caf::result<uint64_t> job_store_state::put_book(const training_book& x,
                                                uint64_t expected) {
  auto promise = self_->make_response_promise<uint64_t>();
  self_
    ->request(kv_store_, patience_, put_atom_v,
              kv_write{bucket, book_key, encode_book(x), expected})
    .then([promise](uint64_t revision) mutable { promise.deliver(revision); },
          [promise](const caf::error& err) mutable { promise.deliver(err); });
  return promise;
}

void job_store_state::follow(const kv_entry& entry) {
  book_ = decode(entry);
  for (auto& listener : listeners_)
    self_->send(listener, update_atom_v, *book_);
}

void job_store_state::add_listener(const book_listener_actor& listener) {
  self_->monitor(listener);
  listeners_.push_back(listener);
  if (book_)
    self_->send(listener, update_atom_v, *book_);
}

// -- the history --------------------------------------------------------------

caf::result<void> job_store_state::archive(const training_job& x) {
  auto promise = self_->make_response_promise();
  look_at_slot(std::make_shared<archival>(archival{promise, x}));
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
  auto there = decode_job(slot.value);
  if (there && there->number >= x->job.number) {
    x->promise.deliver(caf::unit);
    return;
  }
  auto failed = [this, x](const caf::error& err) {
    if (code_of(err) == ec::conflict && ++x->tries < max_tries)
      look_at_slot(x);
    else
      x->promise.deliver(err);
  };
  self_
    ->request(kv_store_, patience_, put_atom_v,
              kv_write{bucket, subjects::job_key(x->job.number),
                       encode_job(x->job), slot.revision})
    .then([x](uint64_t) { x->promise.deliver(caf::unit); }, failed);
}

caf::result<job_summaries> job_store_state::list() {
  auto x = std::make_shared<listing>();
  x->promise = self_->make_response_promise<job_summaries>();
  self_
    ->request(kv_store_, patience_, list_atom_v, bucket,
              std::string{subjects::job_pattern})
    .then(
      [this, x](std::vector<std::string>& keys) {
        // Somebody else may have put anything there.
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
    if (auto job = decode_job(entry.value))
      x->jobs.push_back(summary_of(std::move(*job)));
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
      [promise, number](const kv_entry& entry) mutable {
        auto job = decode_job(entry.value);
        if (job && job->number == number)
          promise.deliver(std::move(*job));
        else
          promise.deliver(
            make_error(ec::not_found, "this job is not in the history"));
      },
      [promise](const caf::error& err) mutable { promise.deliver(err); });
  return promise;
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
      [promise](const caf::error& err) mutable { promise.deliver(err); });
  return promise;
}

caf::result<void> job_store_state::put_told(uint64_t number) {
  auto promise = self_->make_response_promise();
  self_
    ->request(
      kv_store_, patience_, put_atom_v,
      kv_write{bucket, hooks_key, dump_json({{"told", number}}), std::nullopt})
    .then([promise](uint64_t) mutable { promise.deliver(caf::unit); },
          [promise](const caf::error& err) mutable { promise.deliver(err); });
  return promise;
}

internal_job_store_actor::behavior_type
job_store(internal_job_store_actor::stateful_pointer<job_store_state> self,
          kv_store_actor kv_store, const job_store_config& cfg) {
  return self->state.make_behavior(std::move(kv_store), cfg);
}

} // namespace aiops
