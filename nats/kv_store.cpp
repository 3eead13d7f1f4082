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
    [this](put_atom, kv_write& write) { return put(write); },
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

caf::result<kv_entry> kv_store_state::get(const std::string& bucket,
                                          const std::string& key) {
  auto promise = self_->make_response_promise<kv_entry>();
  auto what = "reading " + bucket + '/' + key;
  // Asks the stream's leader: a direct get may answer an older value.
  auto ask = request(subjects::jetstream_api("STREAM.MSG.GET",
                                             subjects::kv_stream(bucket)),
                     encode_get(bucket, key));
  // The bus answers by its own deadline; ours only guards against its death.
  self_->request(bus_, config_.request_timeout * 2, request_atom_v, ask)
    .then(
      [promise, what](const bus_reply& reply) mutable {
        auto answer = parse_json(reply.payload);
        auto result = jetstream_error_of(answer);
        if (result.error == jetstream_error::no_message_found
            || result.error == jetstream_error::stream_not_found)
          promise.deliver(kv_entry{});
        else if (result.error != 0)
          promise.deliver(failure(result, what));
        else if (auto entry = decode_entry(answer))
          promise.deliver(std::move(*entry));
        else
          promise.deliver(failure({-1, "unreadable answer"}, what));
      },
      [promise](const caf::error& err) mutable {
        promise.deliver(explain(err));
      });
  return promise;
}

caf::result<uint64_t> kv_store_state::put(kv_write& write) {
  auto promise = self_->make_response_promise<uint64_t>();
  put(std::move(write), true, promise);
  return promise;
}

void kv_store_state::put(kv_write write, bool may_make_bucket,
                         caf::typed_response_promise<uint64_t> promise) {
  auto what = "writing " + write.bucket + '/' + write.key;
  auto ask = request(subjects::kv_subject(write.bucket, write.key),
                     write.value);
  if (write.expected)
    ask.headers.emplace_back("Nats-Expected-Last-Subject-Sequence",
                             std::to_string(*write.expected));
  self_->request(bus_, config_.request_timeout * 2, request_atom_v, ask)
    .then(
      [promise, what](const bus_reply& reply) mutable {
        auto answer = parse_json(reply.payload);
        auto result = jetstream_error_of(answer);
        if (result.error != 0)
          promise.deliver(failure(result, what));
        else
          promise.deliver(static_cast<uint64_t>(integer_at(answer, "seq")));
      },
      [this, promise, write = std::move(write),
       may_make_bucket](const caf::error& err) mutable {
        // No stream listens on the bucket's subject.
        if (code_of(err) == ec::no_responders && may_make_bucket)
          make_bucket(std::move(write), promise);
        else
          promise.deliver(explain(err));
      });
}

void kv_store_state::make_bucket(
  kv_write write, caf::typed_response_promise<uint64_t> promise) {
  auto what = "making the bucket " + write.bucket;
  auto ask = request(subjects::jetstream_api(
                       "STREAM.CREATE", subjects::kv_stream(write.bucket)),
                     encode_bucket(write.bucket));
  self_->request(bus_, config_.request_timeout * 2, request_atom_v, ask)
    .then(
      [this, promise, what,
       write = std::move(write)](const bus_reply& reply) mutable {
        auto result = jetstream_error_of(parse_json(reply.payload));
        // Somebody else may have made it just now, to their own taste.
        if (result.error != 0
            && result.error != jetstream_error::stream_name_in_use) {
          promise.deliver(failure(result, what));
          return;
        }
        log::info("kv-store", "made a bucket", {{"bucket", write.bucket}});
        put(std::move(write), false, promise);
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
    .then(
      [this, subject, tries](kv_entry& entry) {
        handle_entry(subject, tries, entry);
      },
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
    std::erase_if(target.listeners, [&](auto& known) {
      return known.address() == listener;
    });
}

// -- spawning -----------------------------------------------------------------

internal_kv_store_actor::behavior_type
kv_store(internal_kv_store_actor::stateful_pointer<kv_store_state> self,
         bus_actor bus, kv_store_config config) {
  self->state.init(std::move(bus), config);
  return self->state.make_behavior();
}

} // namespace aiops
