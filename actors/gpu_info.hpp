#pragma once

#include "actors/actors.hpp"
#include "base/backoff.hpp"
#include "base/time.hpp"
#include "base/waiting_room.hpp"

#include <chrono>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <variant>

namespace aiops {

struct gpu_info_config {
  /// How long a caller waits before the first successful scan.
  milliseconds request_timeout{5'000};
  /// Interval between two scans; 0: a scan for each request.
  milliseconds refresh{0};
  /// Deadline of one scan.
  milliseconds scan_timeout{5'000};
  /// Prefix of the names that the compatibility API lists.
  std::string listed = "nvidia.com/gpu";
  /// The source as in `--gpu-source`, or what `auto` selected.
  std::string source = "none";
  /// Maximum number of callers that wait at the same time.
  size_t max_waiting = 1024;
  /// The wall clock.
  std::function<std::chrono::system_clock::time_point()> wall_clock
    = std::chrono::system_clock::now;
};

/// INTERNAL: also starts the next scan and ends the wait of callers.
using internal_gpu_info_actor
  = gpu_info_actor::extend<caf::replies_to<tick_atom>::with<void>>;

/// Scans the GPUs in the background or on request. Callers that wait share one
/// scan, and when a scan fails, the result of the last one is served.
class gpu_info_state {
public:
  static inline const char* name = "gpu-info";

  explicit gpu_info_state(internal_gpu_info_actor::pointer self) : self_(self) {
    // nop
  }

  internal_gpu_info_actor::behavior_type
  make_behavior(gpu_probe_actor probe, events_actor events,
                const gpu_info_config& cfg);

private:
  using clock = caf::actor_clock;
  using list_promise = caf::typed_response_promise<snapshot_ptr<gpu_list>>;
  using inventory_promise
    = caf::typed_response_promise<snapshot_ptr<gpu_inventory>>;

  /// A caller that waits for the current scan.
  struct waiter {
    std::variant<list_promise, inventory_promise> promise;
  };

  template <class T>
  caf::result<snapshot_ptr<T>> get(const snapshot_ptr<T>& known);

  void tick();

  void scan();

  void succeed(gpu_list gpus);

  void fail(const caf::error& err);

  void serve_waiting();

  /// Publishes the current inventory.
  void publish() const;

  void wake_at(clock::time_point when);

  internal_gpu_info_actor::pointer self_;
  gpu_probe_actor probe_;
  events_actor events_;
  gpu_info_config cfg_;
  waiting_room<waiter, clock::time_point> waiting_;
  bool scanning_ = false;
  /// When to scan again; nothing during a scan, and when scans are on request.
  std::optional<clock::time_point> next_scan_;
  backoff<milliseconds> backoff_;
  /// Null until a scan has succeeded.
  snapshot_ptr<gpu_list> list_;
  snapshot_ptr<gpu_inventory> inventory_;
  /// Why the last scan failed; no error if it succeeded.
  caf::error failure_;
};

/// @param probe may be null: then there are no GPUs.
/// @param events receives the inventory after each scan; may be null.
internal_gpu_info_actor::behavior_type
gpu_info(internal_gpu_info_actor::stateful_pointer<gpu_info_state> self,
         gpu_probe_actor probe, events_actor events,
         const gpu_info_config& cfg);

} // namespace aiops
