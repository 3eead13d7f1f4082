#pragma once

#include "actors/actors.hpp"
#include "base/backoff.hpp"
#include "base/time.hpp"

#include <string>
#include <vector>

namespace aiops {

struct runtime_classes_config {
  /// Deadline of one request to the probe.
  milliseconds request_timeout{25'000};
  milliseconds refresh{5 * 60'000};
  /// Pause after a failed request; doubles up to `refresh`.
  milliseconds min_backoff{5'000};
};

/// INTERNAL: also reads the runtime classes.
using internal_runtime_classes_actor
  = runtime_classes_actor::extend<caf::replies_to<tick_atom>::with<void>>;

/// Reads the runtime classes in the background, so that no caller waits. After
/// a failed request, those of the last one are served.
class runtime_classes_state {
public:
  static inline const char* name = "runtime-classes";

  explicit runtime_classes_state(internal_runtime_classes_actor::pointer self)
    : self_(self) {
    // nop
  }

  /// @param probe may be null: then there are none.
  internal_runtime_classes_actor::behavior_type
  make_behavior(gpu_probe_actor probe, const runtime_classes_config& cfg);

private:
  void read();

  void succeed(std::vector<std::string> names);

  void fail(const caf::error& err);

  internal_runtime_classes_actor::pointer self_;
  gpu_probe_actor probe_;
  runtime_classes_config cfg_;
  std::vector<std::string> names_;
  backoff<milliseconds> backoff_;
};

internal_runtime_classes_actor::behavior_type runtime_classes(
  internal_runtime_classes_actor::stateful_pointer<runtime_classes_state> self,
  gpu_probe_actor probe, const runtime_classes_config& cfg);

} // namespace aiops
