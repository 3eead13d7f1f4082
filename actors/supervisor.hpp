#pragma once

#include "actors/actors.hpp"
#include "actors/directory.hpp"
#include "base/time.hpp"

#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace aiops {

/// How to start an actor.
struct child_spec {
  std::string name;
  /// Spawns the actor, which may use the handles in `known` of the actors that
  /// were started before, enters its handle there and returns it. A null handle
  /// means that there is nothing to run.
  std::function<caf::actor(caf::actor_system& system, gateway_actors& known)>
    start;
};

struct supervisor_config {
  /// Pause before the first restart; doubles with each further one.
  milliseconds min_backoff{100};
  milliseconds max_backoff{5'000};
  /// Maximum number of restarts within `window`.
  size_t max_restarts = 10;
  milliseconds window{60'000};
  /// How long a child may take to stop. Then it is killed, and after the same
  /// time it is abandoned.
  milliseconds stop_timeout{300};
};

/// INTERNAL: the supervisor only sends a message to itself, to start the
/// children that do not run.
using internal_supervisor_actor = typed_actor<caf::result<void>(restart_atom)>;

/// Starts the children in order. When one ends, those after it are stopped in
/// reverse order, and all of them are restarted after a pause.
class supervisor_state {
public:
  static inline const char* name = "supervisor";

  using give_up_fun = std::function<void(std::string)>;

  explicit supervisor_state(internal_supervisor_actor::pointer self)
    : self_(self) {
    // nop
  }

  internal_supervisor_actor::behavior_type
  make_behavior(std::vector<child_spec> specs, directory* known,
                const supervisor_config& cfg, give_up_fun give_up);

private:
  using clock = caf::actor_clock;

  struct child {
    child_spec spec;
    /// Null when it is not running.
    caf::actor handle;
    /// The handles of all children before it.
    gateway_actors before;
  };

  /// Waiting until the last running child has stopped.
  struct stopping {
    clock::time_point deadline;
    bool killed = false;
  };

  void tick();

  /// Starts all children that are not running.
  void start_children();

  bool start(child& x, gateway_actors& known);

  void down(const caf::down_msg& msg);

  void exit(const caf::exit_msg& msg);

  /// Stops all children from `index` on.
  void stop_from(size_t index);

  /// Stops the last child that has to stop. If there is none, schedules the
  /// restart or quits.
  void stop_next();

  /// Sends an exit message to the last running child and waits until it ends.
  void stop_last(caf::exit_reason reason);

  void schedule_restart();

  internal_supervisor_actor::pointer self_;
  std::vector<child> children_;
  directory* directory_ = nullptr;
  supervisor_config cfg_;
  give_up_fun give_up_;
  /// Number of running children: the first ones in the list.
  size_t running_ = 0;
  /// Number of children that may run: the first ones in the list.
  size_t keep_ = 0;
  std::optional<stopping> stopping_;
  std::optional<clock::time_point> restart_at_;
  /// Times of the latest restarts.
  std::deque<clock::time_point> restarts_;
  std::string last_death_;
  bool gave_up_ = false;
  /// The reason to quit with after all children have stopped.
  std::optional<caf::error> exit_reason_;
};

/// @param known is kept up to date and must outlive the actor.
/// @param give_up is called once, with the reason, when there were too many
///        restarts. Nothing is restarted then.
internal_supervisor_actor::behavior_type
supervisor(internal_supervisor_actor::stateful_pointer<supervisor_state> self,
           std::vector<child_spec> specs, directory* known,
           const supervisor_config& cfg, supervisor_state::give_up_fun give_up);

} // namespace aiops
