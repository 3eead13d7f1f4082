#include "nats/kv_store.hpp"

#include "actors/training/planted_bug.hpp"
#include "base/deadlines.hpp"
#include "base/error.hpp"
#include "base/log.hpp"
#include "nats/jetstream_answer.hpp"
#include "nats/subjects.hpp"

#include <nlohmann/json.hpp>

namespace aiops::nats {

namespace {

/// To find a bucket, or to create it, may take as long as this many requests.
constexpr int bucket_requests = 3;

/// The absence of a subscriber has another cause on the subjects of JetStream
/// than on those of a backend.
caf::error explain(const caf::error& err) {
  if (code_of(err) != ec::no_responders)
    return err;
  return make_error(ec::disconnected, "this NATS server or account has no "
                                      "JetStream; enable it");
}

bus_request api_request(std::string_view verb, const std::string& bucket,
                        std::string payload) {
  bus_request result;
  result.subject = subjects::jetstream_api(verb, subjects::kv_stream(bucket));
  result.payload = std::move(payload);
  return result;
}

bus_request read_only(bus_request request) {
  request.read_only = true;
  return request;
}

/// A key whose last value was removed.
kv_entry gone(uint64_t revision) {
  kv_entry result;
  result.removed = revision;
  return result;
}

/// Delivers an error to a promise.
template <class T>
auto fail(caf::typed_response_promise<T> promise) {
  return [promise](caf::error err) mutable { promise.deliver(std::move(err)); };
}

} // namespace

/// A request to JetStream that was not answered yet.
struct kv_store_state::question {
  bus_request request;
  std::string operation;
  /// It is not repeated after this time.
  time_point end;
  caf::timespan backoff;
  /// Whether an earlier try may have been carried out.
  bool uncertain = false;
  /// Gets the answer, a verdict that is not `try_again`, and `uncertain`.
  std::function<void(nlohmann::json&, const jetstream_verdict&, bool)>
    on_answer;
  std::function<void(caf::error)> on_error;
};

/// A write that was not answered yet.
struct kv_store_state::pending_write {
  kv_write what;
  caf::typed_response_promise<uint64_t> promise;
  std::string operation;
  /// It is not repeated after this time.
  time_point end;
  caf::timespan backoff;
  /// Whether an earlier try may have been stored.
  bool uncertain = false;
};

// -- initialization -----------------------------------------------------------

kv_store_state::kv_store_state(internal_kv_store_actor::pointer self)
  : self_(self) {
  // nop
}

void kv_store_state::init(bus_actor bus, kv_store_config config) {
  bus_ = std::move(bus);
  config_ = config;
  self_->set_down_handler(
    [this](const caf::down_msg& msg) { remove_listener(msg.source); });
  self_->delayed_send(self_, config_.reread_interval, tick_atom_v);
}

internal_kv_store_actor::behavior_type kv_store_state::make_behavior() {
  return {
    [this](get_atom, const std::string& bucket, const std::string& key) {
      return get(bucket, key);
    },
    [this](put_atom, kv_write& what) { return put(what); },
    [this](check_atom, const std::string& bucket) { return check(bucket); },
    [this](delete_atom, const std::string& bucket, const std::string& pattern) {
      return remove(bucket, pattern);
    },
    [this](list_atom, const std::string& bucket, const std::string& pattern) {
      return list(bucket, pattern);
    },
    [this](subscribe_atom, std::string& bucket, std::string& key,
           kv_listener_actor& listener) { follow(bucket, key, listener); },
    [this](bus_message& msg) { handle_message(msg); },
    [this](connect_atom) {
      if (!planted(planted_bug::no_reread_after_reconnect))
        read_all();
    },
    [this](update_atom, const std::string& subject, int tries) {
      read(subject, tries);
    },
    [this](tick_atom) {
      if (!planted(planted_bug::no_reread_after_reconnect))
        read_all();
      self_->delayed_send(self_, config_.reread_interval, tick_atom_v);
    },
    [this](restart_atom, uint64_t number) {
      if (auto node = postponed_.extract(number))
        node.mapped()();
    },
  };
}

// -- JetStream ----------------------------------------------------------------

kv_store_state::time_point kv_store_state::operation_end() const {
  return self_->clock().now() + config_.request_timeout;
}

template <class OnAnswer>
void kv_store_state::ask(bus_request request, std::string operation,
                         time_point end, OnAnswer on_answer,
                         std::function<void(caf::error)> on_error) {
  auto x = std::make_shared<question>();
  x->request = std::move(request);
  x->operation = std::move(operation);
  x->end = end;
  x->backoff = config_.first_backoff;
  x->on_answer = std::move(on_answer);
  x->on_error = std::move(on_error);
  send(x);
}

void kv_store_state::send(const question_ptr& x) {
  // An operation may take several requests, and ends with the last of them.
  auto left = x->end - self_->clock().now();
  if (left <= left.zero())
    return x->on_error(
      make_error(ec::timeout, x->operation + " failed: no answer in time"));
  x->request.timeout = left;
  // The bus has its own deadline; this one only applies if the bus has ended.
  self_->request(bus_, outlast(x->request.timeout), request_atom_v, x->request)
    .then([this, x](const bus_reply& reply) { handle_answer(x, reply); },
          [x](caf::error& err) { x->on_error(std::move(err)); });
}

void kv_store_state::handle_answer(const question_ptr& x,
                                   const bus_reply& reply) {
  auto answer = parse_json(reply.payload);
  auto verdict = judge(answer);
  x->uncertain = x->uncertain || verdict.uncertain;
  if (verdict.outcome != jetstream_outcome::try_again) {
    x->on_answer(answer, verdict, x->uncertain);
  } else if (self_->clock().now() + x->backoff < x->end) {
    log::debug("kv-store", "repeats a request",
               {{"request", x->operation}, {"reason", verdict.description}});
    later(x->backoff, [this, x] { send(x); });
    x->backoff *= 2;
  } else {
    verdict.uncertain = x->uncertain;
    x->on_error(to_error(verdict, x->operation));
  }
}

void kv_store_state::later(caf::timespan delay, std::function<void()> what) {
  auto number = ++last_postponed_;
  postponed_.emplace(number, std::move(what));
  self_->delayed_send(self_, delay, restart_atom_v, number);
}

// -- reading and writing ------------------------------------------------------

template <class T, class OnAnswer>
caf::result<T> kv_store_state::manage(std::string_view verb,
                                      const std::string& bucket,
                                      std::string payload, time_point end,
                                      OnAnswer on_answer) {
  auto promise = self_->make_response_promise<T>();
  auto operation = std::string{verb} + " of the bucket " + bucket;
  auto request = api_request(verb, bucket, std::move(payload));
  request.read_only = verb == "STREAM.INFO";
  ask(
    std::move(request), operation, end,
    [promise, operation, on_answer](auto& answer, auto& verdict, bool) mutable {
      if (verdict.outcome == jetstream_outcome::no_stream)
        promise.deliver(T{});
      else if (verdict.outcome != jetstream_outcome::done)
        promise.deliver(to_error(verdict, operation));
      else
        on_answer(answer, promise);
    },
    [promise](const caf::error& err) mutable {
      promise.deliver(explain(err));
    });
  return promise;
}

caf::result<kv_entry> kv_store_state::get(const std::string& bucket,
                                          const std::string& key) {
  auto end = operation_end();
  if (readable_.count(bucket) > 0) {
    auto promise = self_->make_response_promise<kv_entry>();
    read_key(bucket, key, end, promise);
    return promise;
  }
  return manage<kv_entry>(
    "STREAM.INFO", bucket, {}, end,
    [this, bucket, key, end](const nlohmann::json& answer, auto promise) {
      auto state = answer.find("state");
      if (state == answer.end() || integer_at(*state, "last_seq") == 0) {
        promise.deliver(kv_entry{});
        return;
      }
      readable_.insert(bucket);
      read_key(bucket, key, end, promise);
    });
}

void kv_store_state::read_key(const std::string& bucket, const std::string& key,
                              time_point end,
                              caf::typed_response_promise<kv_entry> promise) {
  auto on_message = [this, bucket, key, promise](kv_message& found) mutable {
    // Without its stream, or with a mark of removal, it has no value.
    auto nothing = found.entry.revision == 0 && readable_.count(bucket) > 0;
    if (nothing && wrongly_gone(subjects::kv_subject(bucket, key)))
      promise.deliver(make_error(
        ec::overloaded, "reading " + bucket + '/' + key
                          + " failed: the NATS server shows no value although "
                            "nothing removed it"));
    else
      promise.deliver(found.removal ? gone(found.entry.revision)
                                    : std::move(found.entry));
  };
  read_message(bucket, key, end, on_message, fail(promise));
}

void kv_store_state::read_message(const std::string& bucket,
                                  const std::string& key, time_point end,
                                  std::function<void(kv_message&)> on_message,
                                  std::function<void(caf::error)> on_error) {
  auto operation = "reading " + bucket + '/' + key;
  // Asks the leader of the stream: a direct get may return an older value.
  ask(
    read_only(api_request("STREAM.MSG.GET", bucket, encode_get(bucket, key))),
    operation, end,
    [=, this](auto& answer, auto& verdict, bool) {
      auto nothing = kv_message{};
      switch (verdict.outcome) {
        case jetstream_outcome::no_stream:
          readable_.erase(bucket);
          on_message(nothing);
          break;
        case jetstream_outcome::no_message:
          on_message(nothing);
          break;
        case jetstream_outcome::done:
          if (auto found = decode_message(answer))
            on_message(*found);
          else
            on_error(make_error(ec::bad_reply,
                                operation + " failed: unreadable answer"));
          break;
        default:
          on_error(to_error(verdict, operation));
      }
    },
    [on_error](const caf::error& err) { on_error(explain(err)); });
}

caf::result<uint64_t> kv_store_state::put(kv_write& what) {
  auto promise = self_->make_response_promise<uint64_t>();
  auto operation = "writing " + what.bucket + '/' + what.key;
  auto x = std::make_shared<pending_write>(
    pending_write{std::move(what), promise, std::move(operation),
                  operation_end(), config_.first_backoff});
  if (buckets_.count(x->what.bucket) > 0)
    write(x);
  else
    ensure_bucket(x->what.bucket, x->end, [this, x](caf::error err) {
      if (err)
        x->promise.deliver(std::move(err));
      else
        write(x);
    });
  return promise;
}

void kv_store_state::write(const write_ptr& x) {
  auto& what = x->what;
  bus_request request;
  request.subject = subjects::kv_subject(what.bucket, what.key);
  request.payload = what.value;
  if (what.expected && !planted(planted_bug::write_without_revision))
    request.headers.emplace_back("Nats-Expected-Last-Subject-Sequence",
                                 std::to_string(*what.expected == 0
                                                  ? what.removed.value_or(0)
                                                  : *what.expected));
  if (what.removal)
    request.headers.emplace_back("KV-Operation", "DEL");
  ask(
    std::move(request), x->operation, x->end,
    [this, x](auto& answer, auto& verdict, bool uncertain) {
      x->uncertain = x->uncertain || uncertain;
      if (verdict.outcome == jetstream_outcome::done)
        x->promise.deliver(static_cast<uint64_t>(integer_at(answer, "seq")));
      else if (verdict.outcome == jetstream_outcome::conflict
               && (x->uncertain || x->what.expected == 0))
        resolve_conflict(x, to_error(verdict, x->operation));
      else
        x->promise.deliver(to_error(verdict, x->operation));
    },
    [this, x](const caf::error& err) {
      // Another program may have removed the bucket.
      if (!planted(planted_bug::bucket_cache_kept))
        buckets_.erase(x->what.bucket);
      if (code_of(err) == ec::no_responders
          && !planted(planted_bug::bucket_cache_kept))
        recover(x, explain(err));
      else
        x->promise.deliver(err);
    });
}

void kv_store_state::resolve_conflict(const write_ptr& x, caf::error conflict) {
  auto on_message = [this, x, conflict](kv_message& found) {
    auto& expected = x->what.expected;
    auto ours = x->uncertain && found.removal == x->what.removal
                && found.entry.value == x->what.value
                && !planted(planted_bug::retry_without_identity);
    if (ours) {
      // An earlier attempt was stored.
      x->promise.deliver(found.entry.revision);
    } else if (found.removal && expected == 0 && !x->what.removed) {
      // For JetStream the mark of a removed key is its last revision.
      expected = found.entry.revision;
      write(x);
    } else {
      x->promise.deliver(conflict);
    }
  };
  read_message(x->what.bucket, x->what.key, x->end, on_message,
               fail(x->promise));
}

void kv_store_state::recover(const write_ptr& x, caf::error reason) {
  if (self_->clock().now() + x->backoff >= x->end) {
    x->promise.deliver(std::move(reason));
    return;
  }
  ensure_bucket(x->what.bucket, x->end, [this, x](caf::error err) {
    if (err) {
      x->promise.deliver(std::move(err));
      return;
    }
    // If it exists, it has no leader at the moment.
    later(x->backoff, [this, x] { write(x); });
    x->backoff *= 2;
  });
}

caf::result<uint64_t> kv_store_state::remove(const std::string& bucket,
                                             const std::string& pattern) {
  return manage<uint64_t>(
    "STREAM.PURGE", bucket, encode_purge(bucket, pattern), operation_end(),
    [](const nlohmann::json& answer, auto promise) {
      promise.deliver(static_cast<uint64_t>(integer_at(answer, "purged")));
    });
}

caf::result<std::vector<std::string>>
kv_store_state::list(const std::string& bucket, const std::string& pattern) {
  return manage<std::vector<std::string>>(
    "STREAM.INFO", bucket, encode_list(bucket, pattern), operation_end(),
    [skip = subjects::kv_subject(bucket, "").size()](
      const nlohmann::json& answer, auto promise) {
      std::vector<std::string> keys;
      auto state = answer.find("state");
      // Absent when nothing matches.
      if (state != answer.end() && state->is_object())
        if (auto i = state->find("subjects"); i != state->end())
          for (auto& [subject, count] : i->items())
            keys.push_back(subject.substr(std::min(skip, subject.size())));
      promise.deliver(std::move(keys));
    });
}

caf::result<void> kv_store_state::check(const std::string& bucket) {
  auto promise = self_->make_response_promise();
  // The replicas of a new bucket choose a leader first.
  auto end = self_->clock().now() + bucket_requests * config_.request_timeout;
  ensure_bucket(bucket, end, [promise](const caf::error& problem) mutable {
    if (problem)
      promise.deliver(problem);
    else
      promise.deliver(caf::unit);
  });
  return promise;
}

void kv_store_state::ensure_bucket(const std::string& bucket, time_point end,
                                   std::function<void(caf::error)> done) {
  auto operation = "looking for the bucket " + bucket;
  ask(
    api_request("STREAM.INFO", bucket, {}), operation, end,
    [=, this](auto&, auto& verdict, bool) {
      if (verdict.outcome == jetstream_outcome::no_stream)
        return make_bucket(bucket, end, done);
      if (verdict.outcome != jetstream_outcome::done)
        return done(to_error(verdict, operation));
      buckets_.insert(bucket);
      done({});
    },
    [done](const caf::error& err) { done(explain(err)); });
}

void kv_store_state::make_bucket(const std::string& bucket, time_point end,
                                 std::function<void(caf::error)> done) {
  auto operation = "creating the bucket " + bucket;
  ask(
    api_request("STREAM.CREATE", bucket,
                encode_bucket(bucket, config_.replicas)),
    operation, end,
    [=, this](auto&, auto& verdict, bool) {
      // Another program may have created it just now, with other settings.
      if (verdict.outcome != jetstream_outcome::done
          && verdict.outcome != jetstream_outcome::stream_exists)
        return done(to_error(verdict, operation));
      log::info("kv-store", "created a bucket", {{"bucket", bucket}});
      buckets_.insert(bucket);
      done({});
    },
    [done](const caf::error& err) { done(explain(err)); });
}

// -- following ----------------------------------------------------------------

void kv_store_state::follow(std::string& bucket, std::string& key,
                            kv_listener_actor& listener) {
  self_->monitor(listener);
  auto subject = subjects::kv_subject(bucket, key);
  auto [i, added] = followed_.try_emplace(subject);
  if (added) {
    i->second.bucket = std::move(bucket);
    i->second.key = std::move(key);
    self_->send(bus_, subscribe_atom_v, subject, bus_sink_actor{self_});
  }
  if (i->second.entry)
    self_->send(listener, update_atom_v, *i->second.entry);
  i->second.listeners.push_back(std::move(listener));
  read(subject, 0);
}

void kv_store_state::handle_message(bus_message& msg) {
  if (auto i = followed_.find(msg.subject); i != followed_.end()) {
    i->second.announced = std::move(msg.payload);
    read(msg.subject, 0);
  }
}

void kv_store_state::read(const std::string& subject, int tries) {
  auto& target = followed_.at(subject);
  if (target.reading) {
    target.read_again = true;
    return;
  }
  target.reading = true;
  target.read_again = false;
  self_
    ->request(internal_kv_store_actor{self_}, outlast(config_.request_timeout),
              get_atom_v, target.bucket, target.key)
    .then([this, subject,
           tries](kv_entry& entry) { handle_entry(subject, tries, entry); },
          [this, subject](const caf::error& err) {
            auto& failed = followed_.at(subject);
            failed.reading = false;
            log::debug("kv-store", "cannot read a followed key",
                       {{"subject", subject}, {"error", text_of(err)}});
            // The connection may have been opened meanwhile. Otherwise the next
            // connection or the next tick reads again.
            if (failed.read_again)
              read(subject, 0);
          });
}

void kv_store_state::handle_entry(const std::string& subject, int tries,
                                  kv_entry& entry) {
  auto& target = followed_.at(subject);
  target.reading = false;
  target.gone_since.reset();
  auto changed = !target.entry || target.entry->revision != entry.revision
                 || target.entry->created != entry.created;
  if (target.announced && *target.announced == entry.value)
    target.announced.reset();
  if (changed) {
    target.entry = std::move(entry);
    target.entry->key = target.key;
    for (auto& listener : target.listeners)
      self_->send(listener, update_atom_v, *target.entry);
  }
  if (target.read_again) {
    read(subject, 0);
  } else if (target.announced && tries < config_.max_retries) {
    // A message may arrive before its value is stored, or the store refused it.
    self_->delayed_send(self_, config_.retry_delay * (1 << tries),
                        update_atom_v, subject, tries + 1);
  }
}

bool kv_store_state::wrongly_gone(const std::string& subject) {
  auto i = followed_.find(subject);
  if (i == followed_.end() || !i->second.entry
      || i->second.entry->revision == 0)
    return false;
  auto now = self_->clock().now();
  auto& since = i->second.gone_since;
  if (!since) {
    since = now;
    log::warning(
      "kv-store", "the server shows no value for a known key",
      {{"subject", subject}, {"revision", i->second.entry->revision}});
    self_->delayed_send(self_, config_.believe_gone_after, update_atom_v,
                        subject, config_.max_retries);
  }
  if (now - *since < config_.believe_gone_after)
    return true;
  log::error("kv-store", "a value that the server acknowledged is lost",
             {{"subject", subject}, {"revision", i->second.entry->revision}});
  return false;
}

void kv_store_state::read_all() {
  for (auto& [subject, target] : followed_)
    read(subject, 0);
}

void kv_store_state::remove_listener(const caf::actor_addr& listener) {
  for (auto& [subject, target] : followed_)
    std::erase_if(target.listeners,
                  [&](auto& known) { return known.address() == listener; });
}

// -- spawning -----------------------------------------------------------------

internal_kv_store_actor::behavior_type
kv_store(internal_kv_store_actor::stateful_pointer<kv_store_state> self,
         bus_actor bus, kv_store_config config) {
  self->state.init(std::move(bus), config);
  return self->state.make_behavior();
}

} // namespace aiops::nats
