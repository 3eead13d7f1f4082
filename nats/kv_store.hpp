#pragma once

#include "actors/actors.hpp"

#include <map>
#include <set>

namespace aiops {

struct kv_store_config {
  /// Deadline of each request to JetStream.
  caf::timespan request_timeout = std::chrono::seconds{5};
  /// Every followed key is read again so often, in case word of a change was
  /// lost.
  caf::timespan reread_interval = std::chrono::seconds{20};
  /// Waits before the reads after word of a change that the store does not
  /// show yet: doubles from here, `max_retries` times.
  caf::timespan retry_delay = std::chrono::milliseconds{20};
  int max_retries = 5;
};

/// INTERNAL: what we tell ourselves, and what the bus tells its sinks.
using internal_kv_store_actor
  = kv_store_actor::extend_with<bus_sink_actor>::extend<
    // Time to read a followed key again: its subject, and how often this was
    // tried since the last word of a change.
    caf::replies_to<update_atom, std::string, int>::with<void>,
    // Time to read all followed keys again.
    caf::replies_to<tick_atom>::with<void>>;

/// Speaks JetStream's key-value protocol over the bus, so that a slow store
/// holds up nobody.
///
/// Changes are followed by listening on the subject on which a key is written
/// and then reading the key: the message says *look*, the store says what. So
/// nothing has to be kept in the broker, a restart of it needs no repair, and
/// what we show is what is stored.
class kv_store_state {
public:
  static inline const char* name = "kv-store";

  explicit kv_store_state(internal_kv_store_actor::pointer self);

  void init(bus_actor bus, kv_store_config config);

  internal_kv_store_actor::behavior_type make_behavior();

private:
  /// A key that somebody follows.
  struct followed_key {
    std::string bucket;
    std::string key;
    std::vector<kv_listener_actor> listeners;
    /// What the listeners know; nothing before the first read.
    std::optional<kv_entry> entry;
    /// What the last message on the subject carried, until the store shows it.
    std::optional<std::string> announced;
    bool reading = false;
    /// Word of a change came while reading.
    bool read_again = false;
  };

  // -- reading and writing ----------------------------------------------------

  caf::result<kv_entry> get(const std::string& bucket, const std::string& key);

  void read_key(const std::string& bucket, const std::string& key,
                caf::typed_response_promise<kv_entry> promise);

  /// Hands the last message on a key's subject to `on_message`; the promise
  /// gets what goes wrong.
  template <class T, class OnMessage>
  void read_message(const std::string& bucket, const std::string& key,
                    caf::typed_response_promise<T> promise,
                    OnMessage on_message);

  caf::result<uint64_t> put(kv_write& what);

  void write(kv_write what, caf::typed_response_promise<uint64_t> promise);

  /// Writes a key that has no value but the mark of one removed, which
  /// JetStream counts as the key's last revision.
  void replace_mark(kv_write what,
                    caf::typed_response_promise<uint64_t> promise,
                    caf::error conflict);

  caf::result<uint64_t> remove(const std::string& bucket,
                               const std::string& pattern);

  caf::result<std::vector<std::string>> list(const std::string& bucket,
                                             const std::string& pattern);

  /// Asks JetStream about the stream behind a bucket; `on_answer` gets the
  /// answer and the promise. A stream that is not there has nothing, which is
  /// `T{}`.
  template <class T, class OnAnswer>
  caf::result<T> manage(std::string_view verb, const std::string& bucket,
                        std::string payload, OnAnswer on_answer);

  void find_bucket(kv_write next,
                   caf::typed_response_promise<uint64_t> promise);

  void make_bucket(kv_write next,
                   caf::typed_response_promise<uint64_t> promise);

  // -- following --------------------------------------------------------------

  void follow(std::string& bucket, std::string& key,
              kv_listener_actor& listener);

  void handle_message(bus_message& msg);

  void read(const std::string& subject, int tries);

  void handle_entry(const std::string& subject, int tries, kv_entry& entry);

  void read_all();

  void remove_listener(const caf::actor_addr& listener);

  bus_request request(std::string subject, std::string payload) const;

  // -- member variables -------------------------------------------------------

  internal_kv_store_actor::pointer self_;
  bus_actor bus_;
  kv_store_config config_;
  /// Buckets known to exist. A write to one that does not is answered by
  /// nobody and, since we and other replicas may listen on its subject, not
  /// even refused for want of listeners.
  std::set<std::string> buckets_;
  /// Buckets known to hold something. nats-server 2.9.10 dies of a read from a
  /// stream that is just being made, but tells about it without harm.
  std::set<std::string> readable_;
  /// By the subject on which the key is written.
  std::map<std::string, followed_key> followed_;
};

internal_kv_store_actor::behavior_type
kv_store(internal_kv_store_actor::stateful_pointer<kv_store_state> self,
         bus_actor bus, kv_store_config config);

} // namespace aiops
