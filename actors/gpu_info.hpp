#pragma once

#include "actors/actors.hpp"
#include "base/time.hpp"

#include <chrono>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <variant>

namespace aiops {

struct gpu_info_config {
  /// How long a caller waits while the GPUs were never seen.
  milliseconds request_timeout{5'000};
  /// How often to look; 0: whenever somebody asks.
  milliseconds refresh{0};
  /// How long one look may take.
  milliseconds look_timeout{5'000};
  /// What the names begin with that the compatibility surface lists.
  std::string listed = "nvidia.com/gpu";
  /// As in `--gpu-source`, `auto` resolved.
  std::string source = "none";
  /// Callers that may wait at the same time.
  size_t max_waiting = 1024;
  /// The wall clock.
  std::function<std::chrono::system_clock::time_point()> wall_clock
    = std::chrono::system_clock::now;
};

/// Looks for the GPUs in the background or when somebody asks, once for all
/// who wait, and keeps what was last seen for when a look fails.
class gpu_info_state {
public:
  static inline const char* name = "gpu-info";

  explicit gpu_info_state(gpu_info_actor::pointer self) : self_(self) {
    // nop
  }

  gpu_info_actor::behavior_type make_behavior(gpu_probe_actor probe,
                                              events_actor events,
                                              const gpu_info_config& cfg);

private:
  using clock = caf::actor_clock;
  using list_promise = caf::typed_response_promise<snapshot_ptr<gpu_list>>;
  using inventory_promise
    = caf::typed_response_promise<snapshot_ptr<gpu_inventory>>;

  /// A caller that waits for the look in flight.
  struct waiter {
    clock::time_point deadline;
    std::variant<list_promise, inventory_promise> promise;
  };

  template <class T>
  caf::result<snapshot_ptr<T>> get(const snapshot_ptr<T>& known);

  void tick();

  void look();

  void succeed(gpu_list gpus);

  void fail(const caf::error& err);

  void answer_waiting();

  /// Tells of what is served now.
  void tell() const;

  void wake_at(clock::time_point when);

  gpu_info_actor::pointer self_;
  gpu_probe_actor probe_;
  events_actor events_;
  gpu_info_config cfg_;
  std::deque<waiter> waiting_;
  bool looking_ = false;
  /// When to look again; nothing while looking, and when nobody asked.
  std::optional<clock::time_point> next_look_;
  milliseconds backoff_{0};
  /// Null until a look succeeded.
  snapshot_ptr<gpu_list> list_;
  snapshot_ptr<gpu_inventory> inventory_;
  /// Why the last look failed; no error when it did not.
  caf::error failure_;
};

/// @param events is told after every look; may be null.
gpu_info_actor::behavior_type
gpu_info(gpu_info_actor::stateful_pointer<gpu_info_state> self,
         gpu_probe_actor probe, events_actor events,
         const gpu_info_config& cfg);

} // namespace aiops
