#pragma once

#include "actors/actors.hpp"
#include "base/error.hpp"
#include "base/socket_watcher.hpp"

#include <caf/scoped_actor.hpp>

#include <mutex>
#include <vector>

namespace aiops::test {

/// An actor system with threads, for tests against real servers.
class live_system {
public:
  using configuration = void(caf::actor_system_config&);

  explicit live_system(configuration* configure = two_workers)
    : system_(configured(config_, configure)) {
    // nop
  }

  ~live_system() {
    for (auto& actor : actors_)
      caf::anon_send_exit(actor, caf::exit_reason::user_shutdown);
    actors_.clear();
    system_.await_all_actors_done();
  }

  live_system(const live_system&) = delete;
  live_system& operator=(const live_system&) = delete;

  /// Spawns an actor that ends with the test.
  template <class F, class... Ts>
  auto spawn(F fun, Ts&&... xs) {
    return keep(system_.spawn(fun, std::forward<Ts>(xs)...));
  }

  template <class F, class... Ts>
  auto spawn_detached(F fun, Ts&&... xs) {
    return keep(system_.spawn<caf::detached>(fun, std::forward<Ts>(xs)...));
  }

  /// Watches sockets on the thread of the actors; null with other schedulers.
  std::shared_ptr<socket_watcher> watcher() {
    auto scheduler = dynamic_cast<watching_scheduler*>(&system_.scheduler());
    return scheduler != nullptr ? scheduler->watcher() : nullptr;
  }

  /// Sends a request and waits for the answer.
  template <class R, class Handle, class... Ts>
  caf::expected<R> ask(const Handle& to, Ts... xs) {
    caf::scoped_actor self{system_};
    caf::expected<R> result{caf::sec::runtime_error};
    auto on_error = [&](caf::error& err) { result = std::move(err); };
    auto pending = self->request(to, std::chrono::seconds{30},
                                 std::move(xs)...);
    if constexpr (std::is_same_v<R, caf::unit_t>)
      pending.receive([&] { result = caf::unit; }, on_error);
    else
      pending.receive([&](R& x) { result = std::move(x); }, on_error);
    return result;
  }

private:
  template <class Handle>
  Handle keep(Handle handle) {
    actors_.push_back(caf::actor_cast<caf::actor>(handle));
    return handle;
  }

  static void two_workers(caf::actor_system_config& cfg) {
    use_sharing_scheduler(cfg, 2);
  }

  static caf::actor_system_config& configured(caf::actor_system_config& cfg,
                                              configuration* configure) {
    configure(cfg);
    return cfg;
  }

  caf::actor_system_config config_;
  caf::actor_system system_;
  std::vector<caf::actor> actors_;
};

/// Collects values from other threads for a test.
template <class T>
class mailbox_of {
public:
  void push(T x) {
    std::lock_guard guard{mutex_};
    items_.push_back(std::move(x));
  }

  std::vector<T> all() const {
    std::lock_guard guard{mutex_};
    return items_;
  }

private:
  mutable std::mutex mutex_;
  std::vector<T> items_;
};

} // namespace aiops::test
