#pragma once

#include "actors/actors.hpp"
#include "nats/json.hpp"

#include <functional>
#include <map>
#include <memory>
#include <set>

namespace aiops::nats {

struct kv_store_config {
  /// Deadline of each request to JetStream.
  caf::timespan request_timeout = std::chrono::seconds{5};
  /// Every followed key is read again so often, in case word of a change was
  /// lost.
  caf::timespan reread_interval = std::chrono::seconds{20};
  /// Wait before a request is sent again that the server could not carry out
  /// then: doubles from here, until `request_timeout` is over.
  caf::timespan first_backoff = std::chrono::milliseconds{50};
  /// Waits before the reads after word of a change that the store does not
  /// show yet: doubles from here, `max_retries` times.
  caf::timespan retry_delay = std::chrono::milliseconds{20};
  int max_retries = 5;
  /// A followed key that is gone without having been removed is believed to be
  /// gone after this long. Until then reading it is an error.
  caf::timespan believe_gone_after = std::chrono::seconds{30};
  /// Copies of each bucket that has to be made.
  int replicas = 1;
};

/// INTERNAL: what we tell ourselves, and what the bus tells its sinks.
using internal_kv_store_actor
  = kv_store_actor::extend_with<bus_sink_actor>::extend<
    // Time to read a followed key again: its subject, and how often this was
    // tried since the last word of a change.
    caf::replies_to<update_atom, std::string, int>::with<void>,
    // Time to read all followed keys again.
    caf::replies_to<tick_atom>::with<void>,
    // Time to send a request again: its number.
    caf::replies_to<restart_atom, uint64_t>::with<void>>;

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
  using time_point = caf::actor_clock::time_point;

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
    /// Since when the store has shown nothing although we know a value.
    std::optional<time_point> gone_since;
  };

  // -- JetStream --------------------------------------------------------------

  struct question;
  struct pending_write;

  using question_ptr = std::shared_ptr<question>;
  using write_ptr = std::shared_ptr<pending_write>;

  /// When an operation that begins now has to end, however many requests it
  /// takes.
  time_point operation_end() const;

  /// Asks JetStream, and again until `end` while it cannot answer. `on_answer`
  /// gets the JSON and a verdict that is not `try_again`, `on_error` all else.
  template <class OnAnswer>
  void ask(bus_request request, std::string deed, time_point end,
           OnAnswer on_answer, std::function<void(caf::error)> on_error);

  void send(const question_ptr& x);

  void handle_answer(const question_ptr& x, const bus_reply& reply);

  /// Does something after a while.
  void later(caf::timespan delay, std::function<void()> what);

  // -- reading and writing ----------------------------------------------------

  caf::result<kv_entry> get(const std::string& bucket, const std::string& key);

  void read_key(const std::string& bucket, const std::string& key,
                time_point end, caf::typed_response_promise<kv_entry> promise);

  /// Hands the last message on a key's subject to `on_message`.
  void read_message(const std::string& bucket, const std::string& key,
                    time_point end, std::function<void(kv_message&)> on_message,
                    std::function<void(caf::error)> on_error);

  caf::result<uint64_t> put(kv_write& what);

  void write(const write_ptr& x);

  /// Finds out why the key does not have the expected revision.
  void resolve_conflict(const write_ptr& x, caf::error conflict);

  /// Nobody took the write: looks for the bucket and writes again.
  void recover(const write_ptr& x, caf::error reason);

  caf::result<uint64_t> remove(const std::string& bucket,
                               const std::string& pattern);

  caf::result<std::vector<std::string>> list(const std::string& bucket,
                                             const std::string& pattern);

  /// Asks JetStream about the stream behind a bucket; `on_answer` gets the
  /// answer and the promise. A stream that is not there has nothing, which is
  /// `T{}`.
  template <class T, class OnAnswer>
  caf::result<T> manage(std::string_view verb, const std::string& bucket,
                        std::string payload, time_point end,
                        OnAnswer on_answer);

  /// Makes a bucket unless there is one; `done` gets no error then.
  void ensure_bucket(const std::string& bucket, time_point end,
                     std::function<void(caf::error)> done);

  void make_bucket(const std::string& bucket, time_point end,
                   std::function<void(caf::error)> done);

  caf::result<void> check(const std::string& bucket);

  // -- following --------------------------------------------------------------

  void follow(std::string& bucket, std::string& key,
              kv_listener_actor& listener);

  void handle_message(bus_message& msg);

  void read(const std::string& subject, int tries);

  void handle_entry(const std::string& subject, int tries, kv_entry& entry);

  /// Whether the store may be wrong that a key is gone. A leader that cannot
  /// write (a full disk) loses keys from its index, and answers that there is
  /// no such message, until another one leads. To write a first value then
  /// would destroy the one that the others have.
  bool wrongly_gone(const std::string& subject);

  void read_all();

  void remove_listener(const caf::actor_addr& listener);

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
  /// What is done later, by number.
  std::map<uint64_t, std::function<void()>> postponed_;
  uint64_t last_postponed_ = 0;
  /// By the subject on which the key is written.
  std::map<std::string, followed_key> followed_;
};

internal_kv_store_actor::behavior_type
kv_store(internal_kv_store_actor::stateful_pointer<kv_store_state> self,
         bus_actor bus, kv_store_config config);

} // namespace aiops::nats
