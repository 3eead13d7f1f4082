#include "nats/kv_store.hpp"

#include "actors/error.hpp"
#include "actors/log.hpp"
#include "nats/json.hpp"
#include "nats/subjects.hpp"

#include <nlohmann/json.hpp>

namespace aiops {

namespace {

/// Makes an error of an answer that carries one, in the store's words.
caf::error failure(const jetstream_result& result, std::string_view what) {
  auto text = std::string{what} + " failed: " + result.description;
  switch (result.error) {
    case jetstream_error::wrong_last_sequence:
      return make_error(ec::conflict, std::move(text));
    case -1:
      return make_error(ec::bad_reply, std::move(text));
    default:
      return make_error(ec::refused, std::move(text));
  }
}

/// Nobody on a JetStream subject means something else than nobody on a
/// backend's.
caf::error explain(const caf::error& err) {
  if (code_of(err) != ec::no_responders)
    return err;
  return make_error(ec::disconnected, "this NATS server or account has no "
                                      "JetStream; enable it");
}

} // namespace

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
    [this](delete_atom, const std::string& bucket, const std::string& pattern) {
      return remove(bucket, pattern);
    },
    [this](list_atom, const std::string& bucket, const std::string& pattern) {
      return list(bucket, pattern);
    },
    [this](subscribe_atom, std::string& bucket, std::string& key,
           kv_listener_actor& listener) { follow(bucket, key, listener); },
    [this](bus_message& msg) { handle_message(msg); },
    [this](connect_atom) { read_all(); },
    [this](update_atom, const std::string& subject, int tries) {
      read(subject, tries);
    },
    [this](tick_atom) {
      read_all();
      self_->delayed_send(self_, config_.reread_interval, tick_atom_v);
    },
  };
}

bus_request kv_store_state::request(std::string subject,
                                    std::string payload) const {
  return {std::move(subject), std::move(payload), {}, config_.request_timeout};
}

// -- reading and writing ------------------------------------------------------

template <class T, class OnAnswer>
caf::result<T> kv_store_state::manage(std::string_view verb,
                                      const std::string& bucket,
                                      std::string payload, OnAnswer on_answer) {
  auto promise = self_->make_response_promise<T>();
  auto deed = std::string{verb} + " of the bucket " + bucket;
  auto ask = request(subjects::jetstream_api(verb, subjects::kv_stream(bucket)),
                     std::move(payload));
  self_->request(bus_, config_.request_timeout * 2, request_atom_v, ask)
    .then(
      [promise, deed, on_answer](const bus_reply& reply) mutable {
        auto answer = parse_json(reply.payload);
        auto result = jetstream_error_of(answer);
        if (result.error == jetstream_error::stream_not_found)
          promise.deliver(T{});
        else if (result.error != 0)
          promise.deliver(failure(result, deed));
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
  if (readable_.count(bucket) > 0) {
    auto promise = self_->make_response_promise<kv_entry>();
    read_key(bucket, key, promise);
    return promise;
  }
  return manage<kv_entry>(
    "STREAM.INFO", bucket, {},
    [this, bucket, key](const nlohmann::json& answer, auto promise) {
      auto state = answer.find("state");
      if (state == answer.end() || integer_at(*state, "last_seq") == 0) {
        promise.deliver(kv_entry{});
        return;
      }
      readable_.insert(bucket);
      read_key(bucket, key, promise);
    });
}

void kv_store_state::read_key(const std::string& bucket, const std::string& key,
                              caf::typed_response_promise<kv_entry> promise) {
  read_message(bucket, key, promise, [promise](kv_message& found) mutable {
    promise.deliver(found.removal ? kv_entry{} : std::move(found.entry));
  });
}

template <class T, class OnMessage>
void kv_store_state::read_message(const std::string& bucket,
                                  const std::string& key,
                                  caf::typed_response_promise<T> promise,
                                  OnMessage on_message) {
  auto what = "reading " + bucket + '/' + key;
  // Asks the stream's leader: a direct get may answer an older value.
  auto ask = request(
    subjects::jetstream_api("STREAM.MSG.GET", subjects::kv_stream(bucket)),
    encode_get(bucket, key));
  // The bus answers by its own deadline; ours only guards against its death.
  self_->request(bus_, config_.request_timeout * 2, request_atom_v, ask)
    .then(
      [this, promise, what, bucket,
       on_message](const bus_reply& reply) mutable {
        auto answer = parse_json(reply.payload);
        auto result = jetstream_error_of(answer);
        auto nothing = kv_message{};
        if (result.error == jetstream_error::stream_not_found)
          readable_.erase(bucket);
        if (result.error == jetstream_error::no_message_found
            || result.error == jetstream_error::stream_not_found)
          on_message(nothing);
        else if (result.error != 0)
          promise.deliver(failure(result, what));
        else if (auto found = decode_message(answer))
          on_message(*found);
        else
          promise.deliver(failure({-1, "unreadable answer"}, what));
      },
      [promise](const caf::error& err) mutable {
        promise.deliver(explain(err));
      });
}

caf::result<uint64_t> kv_store_state::put(kv_write& what) {
  auto promise = self_->make_response_promise<uint64_t>();
  if (buckets_.count(what.bucket) > 0)
    write(std::move(what), promise);
  else
    find_bucket(std::move(what), promise);
  return promise;
}

void kv_store_state::write(kv_write what,
                           caf::typed_response_promise<uint64_t> promise) {
  auto deed = "writing " + what.bucket + '/' + what.key;
  auto ask = request(subjects::kv_subject(what.bucket, what.key), what.value);
  if (what.expected)
    ask.headers.emplace_back("Nats-Expected-Last-Subject-Sequence",
                             std::to_string(*what.expected));
  self_->request(bus_, config_.request_timeout * 2, request_atom_v, ask)
    .then(
      [this, promise, deed, what](const bus_reply& reply) mutable {
        auto answer = parse_json(reply.payload);
        auto result = jetstream_error_of(answer);
        if (result.error == jetstream_error::wrong_last_sequence
            && what.expected == 0)
          replace_mark(std::move(what), promise, failure(result, deed));
        else if (result.error != 0)
          promise.deliver(failure(result, deed));
        else
          promise.deliver(static_cast<uint64_t>(integer_at(answer, "seq")));
      },
      [this, promise, bucket = what.bucket](const caf::error& err) mutable {
        // Somebody may have removed the bucket.
        buckets_.erase(bucket);
        promise.deliver(explain(err));
      });
}

void kv_store_state::replace_mark(kv_write what,
                                  caf::typed_response_promise<uint64_t> promise,
                                  caf::error conflict) {
  auto bucket = what.bucket;
  auto key = what.key;
  read_message(bucket, key, promise,
               [this, promise, what = std::move(what),
                conflict](kv_message& found) mutable {
                 if (!found.removal) {
                   promise.deliver(conflict);
                   return;
                 }
                 what.expected = found.entry.revision;
                 write(std::move(what), promise);
               });
}

caf::result<uint64_t> kv_store_state::remove(const std::string& bucket,
                                             const std::string& pattern) {
  return manage<uint64_t>(
    "STREAM.PURGE", bucket, encode_purge(bucket, pattern),
    [](const nlohmann::json& answer, auto promise) {
      promise.deliver(static_cast<uint64_t>(integer_at(answer, "purged")));
    });
}

caf::result<std::vector<std::string>>
kv_store_state::list(const std::string& bucket, const std::string& pattern) {
  return manage<std::vector<std::string>>(
    "STREAM.INFO", bucket, encode_list(bucket, pattern),
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

void kv_store_state::find_bucket(
  kv_write next, caf::typed_response_promise<uint64_t> promise) {
  auto deed = "looking for the bucket " + next.bucket;
  auto ask = request(
    subjects::jetstream_api("STREAM.INFO", subjects::kv_stream(next.bucket)),
    {});
  self_->request(bus_, config_.request_timeout * 2, request_atom_v, ask)
    .then(
      [this, promise, deed,
       next = std::move(next)](const bus_reply& reply) mutable {
        auto result = jetstream_error_of(parse_json(reply.payload));
        if (result.error == jetstream_error::stream_not_found) {
          make_bucket(std::move(next), promise);
        } else if (result.error != 0) {
          promise.deliver(failure(result, deed));
        } else {
          buckets_.insert(next.bucket);
          write(std::move(next), promise);
        }
      },
      [promise](const caf::error& err) mutable {
        promise.deliver(explain(err));
      });
}

void kv_store_state::make_bucket(
  kv_write next, caf::typed_response_promise<uint64_t> promise) {
  auto deed = "making the bucket " + next.bucket;
  auto ask = request(
    subjects::jetstream_api("STREAM.CREATE", subjects::kv_stream(next.bucket)),
    encode_bucket(next.bucket));
  self_->request(bus_, config_.request_timeout * 2, request_atom_v, ask)
    .then(
      [this, promise, deed,
       next = std::move(next)](const bus_reply& reply) mutable {
        auto result = jetstream_error_of(parse_json(reply.payload));
        // Somebody else may have made it just now, to their own taste.
        if (result.error != 0
            && result.error != jetstream_error::stream_name_in_use) {
          promise.deliver(failure(result, deed));
          return;
        }
        log::info("kv-store", "made a bucket", {{"bucket", next.bucket}});
        buckets_.insert(next.bucket);
        write(std::move(next), promise);
      },
      [promise](const caf::error& err) mutable {
        promise.deliver(explain(err));
      });
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
    ->request(internal_kv_store_actor{self_}, config_.request_timeout * 3,
              get_atom_v, target.bucket, target.key)
    .then([this, subject,
           tries](kv_entry& entry) { handle_entry(subject, tries, entry); },
          [this, subject](const caf::error& err) {
            // The next connection or the next tick reads again.
            followed_.at(subject).reading = false;
            log::debug("kv-store", "cannot read a followed key",
                       {{"subject", subject}, {"error", text_of(err)}});
          });
}

void kv_store_state::handle_entry(const std::string& subject, int tries,
                                  kv_entry& entry) {
  auto& target = followed_.at(subject);
  target.reading = false;
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
    // A message may reach us before it is stored, or was refused by the store.
    self_->delayed_send(self_, config_.retry_delay * (1 << tries),
                        update_atom_v, subject, tries + 1);
  }
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

} // namespace aiops
