#include "nats/store.hpp"

#include "actors/error.hpp"
#include "actors/log.hpp"
#include "nats/json.hpp"
#include "nats/subjects.hpp"

namespace aiops {

namespace {

const auto bucket = std::string{subjects::aggregation_bucket};
const auto statistics_key = std::string{subjects::statistics_key};

} // namespace

store_state::store_state(store_actor::pointer self) : self_(self) {
  // nop
}

void store_state::init(kv_store_actor kv_store, store_config config) {
  kv_store_ = std::move(kv_store);
  config_ = config;
}

store_actor::behavior_type store_state::make_behavior() {
  return {
    [this](get_atom) { return get_statistics(); },
    [this](put_atom, const training_statistics& x) {
      return put_statistics(x, std::nullopt);
    },
    [this](put_atom, const training_statistics& x, uint64_t expected) {
      return put_statistics(x, expected);
    },
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

store_actor::behavior_type
store(store_actor::stateful_pointer<store_state> self, kv_store_actor kv_store,
      store_config config) {
  self->state.init(std::move(kv_store), config);
  return self->state.make_behavior();
}

} // namespace aiops
