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
  /// Every followed key is read again in this interval, in case the message
  /// about a change was lost.
  caf::timespan reread_interval = std::chrono::seconds{20};
  /// Delay before a request is repeated that the server could not carry out.
  /// Doubles with each attempt, until `request_timeout` has passed.
  caf::timespan first_backoff = std::chrono::milliseconds{50};
  /// Delay before the next read after a message about a change that the store
  /// does not show yet. Doubles `max_retries` times.
  caf::timespan retry_delay = std::chrono::milliseconds{20};
  int max_retries = 5;
  /// A followed key that disappears without having been removed counts as
  /// removed after this long. Until then reading it is an error.
  caf::timespan believe_gone_after = std::chrono::seconds{30};
  /// Replicas of each bucket that is created.
  int replicas = 1;
};

/// INTERNAL: messages to itself, and those of the bus to its sinks.
using internal_kv_store_actor
  = kv_store_actor::extend_with<bus_sink_actor>::extend<
    // Time to read a followed key again: its subject, and the number of
    // attempts since the last message about a change.
    caf::replies_to<update_atom, std::string, int>::with<void>,
    // Time to read all followed keys again.
    caf::replies_to<tick_atom>::with<void>,
    // Time to send a request again: its number.
    caf::replies_to<restart_atom, uint64_t>::with<void>>;

/// Implements JetStream's key-value protocol over the bus, so that a slow store
/// does not block other actors.
///
/// Follows a key by subscribing to the subject on which it is written, and
/// reads the key after each message: the message only shows that the key
/// changed. So the NATS server keeps no state for the follower, its restart
/// needs no repair, and the listeners see only values that are stored.
class kv_store_state {
public:
  static inline const char* name = "kv-store";

  explicit kv_store_state(internal_kv_store_actor::pointer self);

  void init(bus_actor bus, kv_store_config config);

  internal_kv_store_actor::behavior_type make_behavior();

private:
  using time_point = caf::actor_clock::time_point;

  /// A key with listeners.
  struct followed_key {
    std::string bucket;
    std::string key;
    std::vector<kv_listener_actor> listeners;
    /// The entry that the listeners have; nothing before the first read.
    std::optional<kv_entry> entry;
    /// The value in the last message on the subject, until the store shows it.
    std::optional<std::string> announced;
    bool reading = false;
    /// Whether a message about a change arrived while reading.
    bool read_again = false;
    /// Since when the store shows no value although one is known.
    std::optional<time_point> gone_since;
  };

  // -- JetStream --------------------------------------------------------------

  struct question;
  struct pending_write;

  using question_ptr = std::shared_ptr<question>;
  using write_ptr = std::shared_ptr<pending_write>;

  /// The deadline of an operation that begins now, with all of its requests.
  time_point operation_end() const;

  /// Sends a request to JetStream, and repeats it until `end` while JetStream
  /// cannot carry it out. `on_answer` gets the JSON and a verdict other than
  /// `try_again`, `on_error` everything else.
  template <class OnAnswer>
  void ask(bus_request request, std::string operation, time_point end,
           OnAnswer on_answer, std::function<void(caf::error)> on_error);

  void send(const question_ptr& x);

  void handle_answer(const question_ptr& x, const bus_reply& reply);

  /// Calls a function after a delay.
  void later(caf::timespan delay, std::function<void()> what);

  // -- reading and writing ----------------------------------------------------

  caf::result<kv_entry> get(const std::string& bucket, const std::string& key);

  void read_key(const std::string& bucket, const std::string& key,
                time_point end, caf::typed_response_promise<kv_entry> promise);

  /// Passes the last message on a key's subject to `on_message`.
  void read_message(const std::string& bucket, const std::string& key,
                    time_point end, std::function<void(kv_message&)> on_message,
                    std::function<void(caf::error)> on_error);

  caf::result<uint64_t> put(kv_write& what);

  void write(const write_ptr& x);

  /// Finds out why the key does not have the expected revision.
  void resolve_conflict(const write_ptr& x, caf::error conflict);

  /// No stream accepted the write: looks for the bucket and writes again.
  void recover(const write_ptr& x, caf::error reason);

  caf::result<uint64_t> remove(const std::string& bucket,
                               const std::string& pattern);

  caf::result<std::vector<std::string>> list(const std::string& bucket,
                                             const std::string& pattern);

  /// Sends a request about the stream of a bucket; `on_answer` gets the answer
  /// and the promise. Without the stream the result is `T{}`.
  template <class T, class OnAnswer>
  caf::result<T> manage(std::string_view verb, const std::string& bucket,
                        std::string payload, time_point end,
                        OnAnswer on_answer);

  /// Creates a bucket unless it exists; `done` gets no error on success.
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

  /// Whether the store may be wrong that a key has no value. A leader that
  /// cannot write (a full disk) loses keys from its index, and answers that
  /// there is no such message, until another node becomes the leader. Writing a
  /// first value then would destroy the value that the other nodes have.
  bool wrongly_gone(const std::string& subject);

  void read_all();

  void remove_listener(const caf::actor_addr& listener);

  // -- member variables -------------------------------------------------------

  internal_kv_store_actor::pointer self_;
  bus_actor bus_;
  kv_store_config config_;
  /// Buckets known to exist. A write to a missing bucket gets no answer. It
  /// does not even get a notice of no responders, because replicas may
  /// subscribe to its subject.
  std::set<std::string> buckets_;
  /// Buckets known to contain a value. nats-server 2.9.10 crashes on a read
  /// from a stream that is being created, but not on a request for its state.
  std::set<std::string> readable_;
  /// Functions that are called later, by number.
  std::map<uint64_t, std::function<void()>> postponed_;
  uint64_t last_postponed_ = 0;
  /// By the subject on which the key is written.
  std::map<std::string, followed_key> followed_;
};

internal_kv_store_actor::behavior_type
kv_store(internal_kv_store_actor::stateful_pointer<kv_store_state> self,
         bus_actor bus, kv_store_config config);

} // namespace aiops::nats
