#include "nats/counts/counts_history.hpp"

#include "base/log.hpp"
#include "nats/counts/counts_json.hpp"
#include "nats/subjects.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <utility>

namespace aiops::nats {

namespace {

using time_point = std::chrono::system_clock::time_point;

/// Maximum number of values in a slot. A higher number is invalid.
constexpr size_t max_parts = 1000;

time_point interval_of(time_point when) {
  return std::chrono::floor<std::chrono::minutes>(when)
         - (std::chrono::floor<std::chrono::minutes>(when).time_since_epoch()
            % history_interval);
}

size_t slot_of(time_point when) {
  return static_cast<size_t>(when.time_since_epoch() / history_interval)
         % history_length;
}

/// Reads the slots from the newest on, `window` at a time.
struct history_reader : std::enable_shared_from_this<history_reader> {
  key_access keys;
  std::function<void(caf::expected<std::vector<history_point>>)> done;
  size_t window = 0;
  std::vector<std::pair<size_t, size_t>> queue;
  size_t in_flight = 0;
  /// By slot, because parts arrive in any order.
  std::map<size_t, history_point> points;
  size_t sums = 0;

  void proceed() {
    while (done && in_flight < window && !queue.empty()) {
      auto [slot, part] = queue.back();
      queue.pop_back();
      ++in_flight;
      keys.get(subjects::history_key(slot, part),
               [self = shared_from_this(), slot = slot,
                part = part](const caf::expected<kv_entry>& got) {
                 self->add(slot, part, got);
               });
    }
    if (done && in_flight == 0 && queue.empty()) {
      std::vector<history_point> result;
      for (auto& [slot, point] : points)
        result.push_back(std::move(point));
      std::exchange(done, nullptr)(std::move(result));
    }
  }

  void add(size_t slot, size_t part, const caf::expected<kv_entry>& got) {
    --in_flight;
    if (!done)
      return;
    if (!got)
      return std::exchange(done, nullptr)(got.error());
    if (got->revision != 0) {
      auto& point = points[slot];
      auto before = point.log_counts.size();
      auto parts = decode_history(got->value, point);
      sums += point.log_counts.size() - before;
      if (sums > max_history_sums)
        queue.clear();
      if (part == 0 && parts)
        for (size_t i = 1; i < std::min(*parts, max_parts); ++i)
          queue.emplace_back(slot, i);
    }
    proceed();
  }
};

} // namespace

void read_history(
  key_access keys, time_point now, size_t window,
  std::function<void(caf::expected<std::vector<history_point>>)> done) {
  auto job = std::make_shared<history_reader>();
  job->keys = std::move(keys);
  job->window = window;
  job->done = std::move(done);
  // The queue is processed from its end.
  auto newest = slot_of(now);
  for (size_t i = 1; i <= history_length; ++i)
    job->queue.emplace_back((newest + i) % history_length, 0);
  job->proceed();
}

void write_history(const key_access& keys, const std::string& bucket,
                   const breakdown& counts, time_point now, size_t limit,
                   const std::function<bool()>& allowed) {
  history_point point;
  point.at = interval_of(now);
  for (auto& [id, cluster] : counts.clusters)
    point.log_counts.emplace(id, cluster->value().log_count());
  auto values = encode_history(point, limit);
  for (size_t i = 0; i < values.size(); ++i) {
    auto key = subjects::history_key(slot_of(point.at), i);
    auto write = [keys, bucket, key, allowed, value = std::move(values[i])](
                   const caf::expected<kv_entry>& old) {
      // Conditional on the revision just read, so that a replica that was
      // suspended replaces nothing newer.
      if (!old || !allowed())
        return;
      keys.put({bucket, key, value, old->revision},
               [](const caf::expected<uint64_t>& got) {
                 if (!got)
                   log::debug("counts-store", "cannot store the history",
                              {{"reason", text_of(got.error())}});
               });
    };
    keys.get(key, std::move(write));
  }
}

} // namespace aiops::nats
