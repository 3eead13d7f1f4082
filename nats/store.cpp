#include "nats/store.hpp"

#include "actors/error.hpp"
#include "actors/log.hpp"
#include "nats/json.hpp"
#include "nats/subjects.hpp"

namespace aiops {

namespace {

const auto bucket = std::string{subjects::aggregation_bucket};
const auto aggregation_key = std::string{subjects::aggregation_key};
const auto statistics_key = std::string{subjects::statistics_key};

} // namespace

store_state::store_state(internal_store_actor::pointer self) : self_(self) {
  // nop
}

void store_state::init(kv_store_actor kv_store, store_config config) {
  kv_store_ = std::move(kv_store);
  config_ = config;
  self_->set_down_handler([this](const caf::down_msg& msg) {
    std::erase_if(listeners_,
                  [&](auto& known) { return known.address() == msg.source; });
  });
  self_->send(kv_store_, subscribe_atom_v, bucket, aggregation_key,
              kv_listener_actor{self_});
}

internal_store_actor::behavior_type store_state::make_behavior() {
  return {
    [this](get_atom) { return get_statistics(); },
    [this](put_atom, const training_statistics& x) {
      return put_statistics(x, std::nullopt);
    },
    [this](put_atom, const training_statistics& x, uint64_t expected) {
      return put_statistics(x, expected);
    },
    [this](put_atom, const breakdown_ptr& x) { return put_breakdown(x); },
    [this](subscribe_atom, breakdown_listener_actor& listener) {
      add_listener(listener);
    },
    [this](update_atom, const kv_entry& entry) { handle_entry(entry); },
  };
}

caf::result<stored_statistics> store_state::get_statistics() {
  auto promise = self_->make_response_promise<stored_statistics>();
  self_
    ->request(kv_store_, config_.request_timeout * 2, get_atom_v, bucket,
              statistics_key)
    .then(
      [promise](const kv_entry& entry) mutable {
        stored_statistics result{{}, entry.revision};
        if (entry.revision != 0) {
          if (auto x = decode_statistics(entry.value))
            result.value = std::move(*x);
          else // The next update replaces it; an error would lock us out.
            log::warning("store", "ignores unreadable statistics",
                         {{"bucket", bucket}, {"key", statistics_key}});
        }
        promise.deliver(std::move(result));
      },
      [promise](const caf::error& err) mutable { promise.deliver(err); });
  return promise;
}

caf::result<uint64_t>
store_state::put_statistics(const training_statistics& x,
                            std::optional<uint64_t> expected) {
  return self_->delegate(
    kv_store_, put_atom_v,
    kv_write{bucket, statistics_key, encode_statistics(x), expected});
}

caf::result<uint64_t> store_state::put_breakdown(const breakdown_ptr& x) {
  return self_->delegate(
    kv_store_, put_atom_v,
    kv_write{bucket, aggregation_key, encode_breakdown(*x), std::nullopt});
}

void store_state::add_listener(breakdown_listener_actor& listener) {
  self_->monitor(listener);
  if (breakdown_)
    self_->send(listener, update_atom_v, *breakdown_);
  listeners_.push_back(std::move(listener));
}

void store_state::handle_entry(const kv_entry& entry) {
  stored_breakdown fresh{nullptr, entry.revision, entry.created};
  if (entry.revision != 0) {
    fresh.value = decode_breakdown(entry.value);
    if (!fresh.value) {
      log::warning("store", "ignores unreadable counts",
                   {{"bucket", bucket}, {"key", aggregation_key}});
      return;
    }
  }
  breakdown_ = std::move(fresh);
  for (auto& listener : listeners_)
    self_->send(listener, update_atom_v, *breakdown_);
}

internal_store_actor::behavior_type
store(internal_store_actor::stateful_pointer<store_state> self,
      kv_store_actor kv_store, store_config config) {
  self->state.init(std::move(kv_store), config);
  return self->state.make_behavior();
}

} // namespace aiops
