#pragma once

#include "actors/messages.hpp"
#include "tests/simulation/faults.hpp"
#include "tests/simulation/timeline.hpp"

#include <nlohmann/json_fwd.hpp>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace aiops::simulation {

/// A model of JetStream behind key-value buckets: streams with sequence
/// numbers, the API subjects that gateways use, conditional writes, and the
/// faults of a replicated store.
///
/// Each stream has *one* history, as with Raft, and reads may return an earlier
/// state of it. So there are never two histories at the same time ("split
/// brain"), but the end of the history can be lost.
class jetstream_model {
public:
  /// Receives the text of an answer; may be called never, twice or late.
  using answer_handler = std::function<void(std::string)>;

  /// A change of a key.
  struct change {
    std::string bucket;
    std::string key;
    /// Nothing when the key was removed.
    std::optional<std::string> value;
    uint64_t revision = 0;
  };

  jetstream_model(timeline& time, faults& what);

  /// Called for each write when it is applied.
  std::function<void(const change&)> on_change;

  /// Called after the store has lost all changes after `since`.
  std::function<void(time_point since)> on_went_back;

  /// Called after a bucket was removed, with its name.
  std::function<void(const std::string&)> on_bucket_removed;

  /// Whether this model handles messages on the subject.
  bool listens(const std::string& subject) const;

  void request(const bus_request& what, answer_handler answer);

  // -- for the backend, clients and the checker --------------------------------

  /// The current value of a key.
  std::optional<kv_entry> find(const std::string& bucket,
                               const std::string& key) const;

  /// Number of the last message of a bucket; 0 without one.
  uint64_t last_revision(const std::string& bucket) const;

  /// Writes without faults, like an operator; without a value, removes the key.
  void overwrite(const std::string& bucket, const std::string& key,
                 std::optional<std::string> value);

  // -- faults -------------------------------------------------------------------

  void go_back(caf::timespan by);

  void remove_bucket(const std::string& bucket);

  /// There is no leader until then.
  void lose_leader(caf::timespan length);

  void set_full(caf::timespan length);

  void set_read_only(caf::timespan length);

  void set_slow(caf::timespan length);

  /// Ends all these faults.
  void heal();

  int64_t max_payload = 1024 * 1024;

private:
  using json = nlohmann::json;

  struct version {
    time_point applied;
    uint64_t sequence = 0;
    std::string value;
    /// The encoded headers; empty when there are none.
    std::string headers;
    std::chrono::system_clock::time_point created;
    /// Whether there is a message at all.
    bool present = true;
  };

  struct stream {
    std::string config;
    /// Prefix of the subjects, with the dot.
    std::string prefix;
    time_point made;
    /// By subject, the oldest first. Never empty.
    std::map<std::string, std::vector<version>> subjects;
    /// Number of the last message, by time.
    std::vector<std::pair<time_point, uint64_t>> last;

    uint64_t last_sequence() const {
      return last.empty() ? 0 : last.back().second;
    }
  };

  void api(const std::string& verb, const std::string& name,
           const bus_request& what, const answer_handler& answer);

  std::string carry_out(const std::string& verb, const std::string& name,
                        const bus_request& what);

  std::string info(const stream& x, const std::string& payload,
                   time_point when) const;

  std::string get(const stream& x, const std::string& payload,
                  time_point when) const;

  std::string purge(stream& x, const std::string& name,
                    const std::string& payload);

  std::string create(const std::string& name, const std::string& payload);

  void publish(const bus_request& what, const answer_handler& answer);

  /// Stores a message if this is allowed, and returns the acknowledgement.
  std::string store(const bus_request& what);

  /// An error that any request gets now; nothing when there is none.
  std::optional<std::string> obstacle(request_kind kind);

  void apply(stream& x, const std::string& name, const std::string& subject,
             version next);

  stream* stream_of_subject(const std::string& subject, std::string& name);

  /// The version of a subject at that time; null when there was no message.
  static const version* version_at(const stream& x, const std::string& subject,
                                   time_point when);

  caf::timespan work_time();

  std::chrono::system_clock::time_point wall_clock() const;

  timeline& time_;
  faults& faults_;
  random_source random_;
  std::map<std::string, stream> streams_;
  time_point leaderless_until_{};
  time_point full_until_{};
  time_point read_only_until_{};
  time_point slow_until_{};
};

} // namespace aiops::simulation
