#include "nats/counts/counts_store.hpp"

#include "base/error.hpp"
#include "base/log.hpp"
#include "nats/counts/counts_history.hpp"
#include "nats/json.hpp"
#include "nats/subjects.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>

namespace aiops::nats {

namespace {

const auto root_bucket = std::string{subjects::aggregation_bucket};
const auto root_key = std::string{subjects::aggregation_key};
const auto own_bucket = std::string{subjects::gateway_bucket};
const auto failure_key = std::string{subjects::failure_key};

/// Headers count as part of the payload.
constexpr int64_t room_for_headers = 256;

/// Minimum for one workload with names of any length.
constexpr int64_t min_payload = 16 * 1024 + room_for_headers;

constexpr int max_tries = 4;

/// The prefix of the generation to which the key of a manifest belongs; empty
/// for any other key.
std::string prefix_of(std::string_view manifest_key) {
  if (!manifest_key.ends_with(subjects::generation_manifest))
    return {};
  manifest_key.remove_suffix(subjects::generation_manifest.size());
  return std::string{manifest_key};
}

/// The term in `counts.<term>.<number>.…`; nothing for other keys.
std::optional<uint64_t> term_of(std::string_view key) {
  constexpr std::string_view head = "counts.";
  if (!key.starts_with(head))
    return std::nullopt;
  key.remove_prefix(head.size());
  uint64_t result = 0;
  auto [end, error] = std::from_chars(key.data(), key.data() + key.size(),
                                      result);
  if (error != std::errc{} || end == key.data() + key.size() || *end != '.')
    return std::nullopt;
  return result;
}

} // namespace

internal_counts_store_actor::behavior_type
counts_store_state::make_behavior(bus_actor bus, kv_store_actor kv_store,
                                  lease_actor lease,
                                  const counts_store_config& cfg) {
  bus_ = std::move(bus);
  kv_store_ = std::move(kv_store);
  cfg_ = cfg;
  listeners_.forget_ended(self_);
  auto follow = [this](const std::string& bucket, const std::string& key) {
    self_->send(kv_store_, subscribe_atom_v, bucket, key,
                kv_listener_actor{self_});
  };
  follow(root_bucket, root_key);
  follow(own_bucket, failure_key);
  if (lease)
    self_->send(lease, subscribe_atom_v, lease_listener_actor{self_});
  return {
    [this](put_atom, const breakdown_ptr& counts) { return put(counts); },
    [this](put_atom, std::string& failure) { put_failure(std::move(failure)); },
    [this](get_atom) { return get_history(); },
    [this](subscribe_atom, const breakdown_listener_actor& listener) {
      add_listener(listener);
    },
    [this](update_atom, const kv_entry& entry) { handle_entry(entry); },
    [this](update_atom, const lease_status& status) { handle_lease(status); },
    [this](tick_atom) { retry_read(); },
    [this](put_atom) { reread_failure(); },
  };
}

key_access counts_store_state::access(std::string bucket) {
  return {
    [this, bucket](std::string key,
                   std::function<void(caf::expected<kv_entry>)> then) {
      self_
        ->request(kv_store_, cfg_.request_timeout, get_atom_v, bucket,
                  std::move(key))
        .then([then](kv_entry& entry) { then(std::move(entry)); },
              [then](const caf::error& err) { then(err); });
    },
    [this](kv_write what, std::function<void(caf::expected<uint64_t>)> then) {
      self_
        ->request(kv_store_, cfg_.request_timeout, put_atom_v, std::move(what))
        .then([then](uint64_t revision) { then(revision); },
              [then](const caf::error& err) { then(err); });
    },
  };
}

bool counts_store_state::holds(uint64_t term) const {
  return lease_.held && lease_.term == term
         && self_->clock().now() < lease_.until;
}

// -- writing ------------------------------------------------------------------

caf::result<stored_breakdown>
counts_store_state::put(const breakdown_ptr& counts) {
  if (!holds(lease_.term))
    return make_error(ec::conflict, "another replica counts the logs");
  if (publication_)
    failed(publication_, make_error(ec::timeout, "newer counts came before "
                                                 "these were stored"));
  auto next = std::make_shared<publication>();
  next->counts = counts;
  next->promise = self_->make_response_promise<stored_breakdown>();
  next->term = lease_.term;
  publication_ = next;
  self_->request(bus_, cfg_.request_timeout, status_atom_v)
    .then(
      [this, next](const bus_status& status) {
        if (!status.connected)
          return failed(next,
                        make_error(ec::disconnected,
                                   "no connection to NATS: " + status.reason));
        if (status.max_payload < min_payload)
          return failed(
            next,
            make_error(ec::too_large, "max_payload of the NATS server is "
                                        + std::to_string(status.max_payload)
                                        + " bytes; raise it to 32KB or more"));
        next->limit = static_cast<size_t>(status.max_payload
                                          - room_for_headers);
        encode(next);
      },
      [this, next](const caf::error& err) { failed(next, err); });
  return next->promise;
}

void counts_store_state::encode(const publication_ptr& what) {
  if (what != publication_)
    return;
  if (auto value = encode_breakdown(*what->counts, what->limit)) {
    what->value = std::move(*value);
    write_root(what);
  } else {
    write_generation(what);
  }
}

void counts_store_state::write_generation(const publication_ptr& what) {
  what->prefix = subjects::generation_prefix(what->term, ++last_number_);
  generation_writer::plan plan;
  plan.bucket = own_bucket;
  plan.prefix = what->prefix;
  plan.head.term = what->term;
  plan.head.owner = cfg_.owner;
  plan.head.aggregated_at = cfg_.wall_clock();
  plan.limit = std::min(what->limit, cfg_.max_shard);
  plan.window = cfg_.window;
  plan.allowed = [this, term = what->term] { return holds(term); };
  auto done = [this, weak = std::weak_ptr{what}](caf::error err) {
    auto written = weak.lock();
    if (!written)
      return;
    if (err)
      return failed(written, std::move(err));
    written->value = encode_pointer(
      own_bucket, written->prefix + std::string{subjects::generation_manifest});
    write_root(written);
  };
  what->writer = std::make_shared<generation_writer>(
    access(own_bucket), what->counts, std::move(plan), std::move(done));
  what->writer->start();
}

void counts_store_state::write_root(const publication_ptr& what) {
  if (what != publication_)
    return;
  if (!holds(what->term))
    return failed(what, make_error(ec::conflict, "the lease on counting ended "
                                                 "before the counts were "
                                                 "stored"));
  if (!root_)
    return verify_root(what, {});
  ++what->tries;
  kv_write write{root_bucket, root_key, what->value, root_->revision};
  access(root_bucket)
    .put(std::move(write), [this, what](const caf::expected<uint64_t>& got) {
      if (what != publication_)
        return;
      if (got)
        return published(what, *got);
      auto code = code_of(got.error());
      if (code == ec::conflict || may_have_happened(code))
        return verify_root(what, got.error());
      failed(what, got.error());
    });
}

void counts_store_state::verify_root(const publication_ptr& what,
                                     caf::error err) {
  if (what->tries >= max_tries)
    return failed(what, std::move(err));
  access(root_bucket)
    .get(root_key, [this, what](const caf::expected<kv_entry>& got) {
      if (what != publication_)
        return;
      if (!got)
        return failed(what, got.error());
      auto changed = root_ && root_->revision != got->revision;
      if (changed && got->value == what->value)
        return published(what, got->revision);
      root_ = *got;
      write_root(what);
    });
}

void counts_store_state::published(const publication_ptr& what,
                                   uint64_t revision) {
  publication_ = nullptr;
  if (swept_term_ != what->term)
    generations_.clear();
  if (generations_.empty() && root_)
    if (auto key = decode_pointer(root_->value, own_bucket))
      generations_.push_back(prefix_of(*key));
  root_ = kv_entry{what->value, revision, {}};
  own_ = true;
  // New counts clear the failure, whichever replica stored it.
  put_failure({});
  shown_.reset();
  current_ = stored_breakdown{what->counts, revision, cfg_.wall_clock(), {}};
  // First to the actor that counted, so that it knows that its failure is
  // cleared.
  what->promise.deliver(*current_);
  publish();
  retire(what->prefix);
  if (swept_term_ != what->term)
    sweep(what->term);
  write_history(access(own_bucket), own_bucket, *what->counts,
                cfg_.wall_clock(), what->limit,
                [this, term = what->term] { return holds(term); });
}

void counts_store_state::failed(publication_ptr what, caf::error err) {
  if (what != publication_)
    return;
  publication_ = nullptr;
  if (what->writer)
    what->writer->cancel();
  what->promise.deliver(std::move(err));
  if (what->tries == 0) {
    if (!what->prefix.empty())
      remove(what->prefix);
    return;
  }
  // The key may have been written nevertheless. It is read again, and the
  // generation to which it may point is kept until the next sweep.
  swept_term_ = 0;
  access(root_bucket).get(root_key, [this](const caf::expected<kv_entry>& got) {
    if (got)
      handle_root(*got);
  });
}

// -- the failure of counting --------------------------------------------------

void counts_store_state::handle_lease(const lease_status& status) {
  lease_ = status;
  if (lease_.held)
    write_failure();
  else
    wanted_failure_.reset();
}

void counts_store_state::put_failure(std::string text) {
  wanted_failure_ = std::move(text);
  write_failure();
}

void counts_store_state::write_failure() {
  if (writing_failure_ || !wanted_failure_ || !holds(lease_.term)
      || (failure_ == *wanted_failure_ && !failure_in_doubt_))
    return;
  writing_failure_ = true;
  auto value = dump_json(nlohmann::json{{"failure", *wanted_failure_}});
  access(own_bucket)
    .put({own_bucket, failure_key, std::move(value), failure_revision_},
         [this, text = *wanted_failure_](const caf::expected<uint64_t>& got) {
           if (!got) {
             log::debug(name, "cannot store the failure of counting",
                        {{"reason", text_of(got.error())}});
             failure_in_doubt_ = true;
             return retry_failure();
           }
           failure_ = text;
           failed_at_ = cfg_.wall_clock();
           failure_revision_ = *got;
           failure_in_doubt_ = false;
           failure_backoff_.reset();
           writing_failure_ = false;
           // Meanwhile another failure may have been requested.
           write_failure();
         });
}

void counts_store_state::retry_failure() {
  self_->delayed_send(
    self_, failure_backoff_.fail(cfg_.first_backoff, cfg_.last_backoff),
    put_atom_v);
}

void counts_store_state::reread_failure() {
  auto on_entry = [this](const caf::expected<kv_entry>& got) {
    if (!got)
      return retry_failure();
    writing_failure_ = false;
    handle_failure(*got);
  };
  access(own_bucket).get(failure_key, std::move(on_entry));
}

void counts_store_state::handle_failure(const kv_entry& entry) {
  failure_revision_ = entry.revision;
  failed_at_ = entry.created;
  failure_.clear();
  if (auto value = parse_json(entry.value); value.is_object())
    read_text(value, "failure", failure_);
  if (current_ && current_->failure != failure()) {
    current_->failure = failure();
    publish();
  }
  // A late write of another replica is replaced.
  write_failure();
}

// -- removing old generations -------------------------------------------------

void counts_store_state::retire(std::string prefix) {
  generations_.push_back(std::move(prefix));
  // A slow reader may still use the previous generation.
  for (; generations_.size() > 2; generations_.pop_front())
    if (!generations_.front().empty())
      remove(generations_.front());
}

void counts_store_state::sweep(uint64_t term) {
  swept_term_ = term;
  self_
    ->request(kv_store_, cfg_.request_timeout, list_atom_v, own_bucket,
              "counts.*.*." + std::string{subjects::generation_begin})
    .then(
      [this, term](const std::vector<std::string>& keys) {
        for (auto& key : keys) {
          auto prefix = key.substr(0, key.rfind('.') + 1);
          auto from = term_of(key);
          // Generations of later terms may be in use.
          if (from && *from <= term
              && std::find(generations_.begin(), generations_.end(), prefix)
                   == generations_.end())
            remove(prefix);
        }
      },
      [this](const caf::error&) { swept_term_ = 0; });
}

void counts_store_state::remove(const std::string& prefix) {
  self_
    ->request(kv_store_, cfg_.request_timeout, delete_atom_v, own_bucket,
              prefix + '>')
    .then([](uint64_t) {},
          [prefix](const caf::error& err) {
            log::warning(name, "cannot remove old counts",
                         {{"keys", prefix}, {"reason", text_of(err)}});
          });
}

// -- following ----------------------------------------------------------------

void counts_store_state::add_listener(
  const breakdown_listener_actor& listener) {
  if (current_)
    caf::anon_send(listener, update_atom_v, *current_);
  listeners_.add(self_, listener);
}

void counts_store_state::handle_entry(const kv_entry& entry) {
  if (entry.key == root_key)
    return handle_root(entry);
  handle_failure(entry);
}

std::string counts_store_state::failure() const {
  // New counts clear it, even before the key is updated.
  auto over = shown_ && shown_->first != 0 && failed_at_ < shown_->second;
  return over ? std::string{} : failure_;
}

void counts_store_state::handle_root(const kv_entry& entry) {
  // An own write is received as an update, before or after the answer.
  if (publication_ && publication_->tries > 0
      && publication_->value == entry.value)
    return;
  if (own_ && root_ && root_->revision == entry.revision) {
    own_ = false;
    root_ = entry;
    shown_ = {entry.revision, entry.created};
    return;
  }
  if (shown_ == std::pair{entry.revision, entry.created}) {
    root_ = entry;
    return;
  }
  // An update of a write that is older than the own one.
  if (own_ && root_ && entry.revision != 0 && entry.revision < root_->revision
      && entry.created <= current_->created)
    return;
  own_ = false;
  root_ = entry;
  backoff_.reset();
  if (reader_) {
    read_again_ = true;
    return;
  }
  retry_read();
}

void counts_store_state::retry_read() {
  if (reader_ || own_ || !root_)
    return;
  read_again_ = false;
  if (root_->revision == 0)
    return show(*root_, nullptr, {});
  if (auto key = decode_pointer(root_->value, own_bucket))
    return read_generation(*key);
  if (auto counts = decode_breakdown(root_->value))
    return show(*root_, std::move(counts), root_->created);
  log::warning(name, "ignores unreadable counts",
               {{"bucket", root_bucket}, {"key", root_key}});
}

void counts_store_state::read_generation(const std::string& manifest_key) {
  auto done = [this, root = *root_](
                caf::expected<std::pair<breakdown_ptr, manifest>> got) {
    reader_ = nullptr;
    auto superseded = own_ || !root_ || root_->revision != root.revision;
    if (got && !own_) {
      backoff_.reset();
      show(root, got->first, got->second.aggregated_at);
    } else if (!got && !superseded) {
      if (!backoff_.failing())
        log::warning(name, "cannot read the counts",
                     {{"reason", text_of(got.error())}});
      self_->delayed_send(self_,
                          backoff_.fail(cfg_.first_backoff, cfg_.last_backoff),
                          tick_atom_v);
    }
    if (read_again_)
      caf::anon_send(self_, tick_atom_v);
  };
  reader_ = std::make_shared<generation_reader>(
    access(own_bucket), manifest_key, cfg_.window, std::move(done));
  // Keeps it alive, because its last answer may arrive before this returns.
  auto started = reader_;
  started->start();
}

void counts_store_state::show(const kv_entry& root, breakdown_ptr counts,
                              std::chrono::system_clock::time_point created) {
  shown_ = {root.revision, root.created};
  current_ = stored_breakdown{std::move(counts), root.revision, created,
                              failure()};
  publish();
}

void counts_store_state::publish() {
  listeners_.send(update_atom_v, *current_);
}

// -- history ------------------------------------------------------------------

caf::result<std::vector<history_point>> counts_store_state::get_history() {
  auto promise = self_->make_response_promise<std::vector<history_point>>();
  auto done = [promise](caf::expected<std::vector<history_point>> got) mutable {
    if (got)
      promise.deliver(std::move(*got));
    else
      promise.deliver(std::move(got.error()));
  };
  read_history(access(own_bucket), cfg_.wall_clock(), cfg_.window,
               std::move(done));
  return promise;
}

internal_counts_store_actor::behavior_type counts_store(
  internal_counts_store_actor::stateful_pointer<counts_store_state> self,
  bus_actor bus, kv_store_actor kv_store, lease_actor lease,
  const counts_store_config& cfg) {
  return self->state.make_behavior(std::move(bus), std::move(kv_store),
                                   std::move(lease), cfg);
}

} // namespace aiops::nats
