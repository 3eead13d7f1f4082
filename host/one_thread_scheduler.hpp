#pragma once

#include "base/socket_watcher.hpp"

#include <caf/all.hpp>
#include <caf/detail/simple_actor_clock.hpp>
#include <caf/scheduler/abstract_coordinator.hpp>

#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include <poll.h>

namespace aiops::host {

/// The clock of a scheduler that looks itself at what is due. CAF's own clocks
/// have a thread that is woken for each deadline that is set, and nearly each
/// message between two actors sets one.
class due_clock : public caf::detail::simple_actor_clock {
public:
  using super = caf::detail::simple_actor_clock;

  /// When something is due next; never: `time_point::max()`. @thread-safe
  time_point next() const;

  /// Sends what is due. @thread-safe
  void trigger();

  /// Called when an earlier deadline was set, by the thread that set it.
  std::function<void()> on_closer;

  // -- overridden member functions, all of them thread-safe -------------------

  void set_ordinary_timeout(time_point t, caf::abstract_actor* self,
                            caf::atom_value type, uint64_t id) override;

  void set_multi_timeout(time_point t, caf::abstract_actor* self,
                         caf::atom_value type, uint64_t id) override;

  void set_request_timeout(time_point t, caf::abstract_actor* self,
                           caf::message_id id) override;

  void cancel_ordinary_timeout(caf::abstract_actor* self,
                               caf::atom_value type) override;

  void cancel_request_timeout(caf::abstract_actor* self,
                              caf::message_id id) override;

  void cancel_timeouts(caf::abstract_actor* self) override;

  void schedule_message(time_point t, caf::strong_actor_ptr receiver,
                        caf::mailbox_element_ptr content) override;

  void schedule_message(time_point t, caf::group target,
                        caf::strong_actor_ptr sender,
                        caf::message content) override;

  void cancel_all() override;

private:
  template <class F>
  void change(F f);

  /// What is shipped may set new deadlines.
  mutable std::recursive_mutex mutex_;
};

/// What other threads hand to the one of the scheduler, and what wakes it.
class scheduler_inbox : public socket_watcher {
public:
  scheduler_inbox();

  ~scheduler_inbox() override;

  /// Says whose inbox it is.
  void belongs_to(std::thread::id owner);

  // -- for other threads ------------------------------------------------------

  void put(caf::resumable* job);

  void watch(std::shared_ptr<watched_socket> socket) override;

  void look_again() override;

  bool here() const override;

  void stop();

  // -- for its owner ----------------------------------------------------------

  /// Whether something is there that was not taken yet.
  bool filled() const noexcept {
    return filled_;
  }

  /// Moves all to the end of these; false after `stop`.
  bool take(std::deque<caf::resumable*>& jobs,
            std::vector<std::shared_ptr<watched_socket>>& sockets);

  /// Until `awake` a thread that fills it makes `descriptor` readable.
  /// False when it is filled already.
  bool sleep();

  void awake();

  int descriptor() const noexcept {
    return event_;
  }

private:
  void fill();

  int event_;
  std::atomic<std::thread::id> owner_{};
  std::atomic<bool> filled_{false};
  std::mutex mutex_;
  std::vector<caf::resumable*> jobs_;
  std::vector<std::shared_ptr<watched_socket>> sockets_;
  bool asleep_ = false;
  bool stopped_ = false;
};

/// Runs all actors that are not detached, and the clock, on one thread. A
/// message from one of them to another, its deadline included, wakes no other
/// thread and takes no system call. The thread also looks after sockets.
class one_thread_scheduler : public caf::scheduler::abstract_coordinator,
                             public watching_scheduler {
public:
  using super = caf::scheduler::abstract_coordinator;

  explicit one_thread_scheduler(caf::actor_system& sys);

  /// Makes an actor system that is configured so use it.
  static void use(caf::actor_system_config& cfg);

  void enqueue(caf::resumable* job) override;

  due_clock& clock() noexcept override;

  std::shared_ptr<socket_watcher> watcher() const override;

protected:
  void start() override;

  void stop() override;

private:
  /// What actors see of the thread that runs them.
  class unit : public caf::execution_unit {
  public:
    explicit unit(one_thread_scheduler& parent);

    void exec_later(caf::resumable* job) override;

  private:
    one_thread_scheduler& parent_;
  };

  void run();

  void resume(caf::resumable* job);

  /// Sends what waits for that, and reads what there is; waits for it, for the
  /// clock, or for another thread, if there is nothing else to do.
  void serve_sockets();

  /// How long to wait.
  std::chrono::nanoseconds patience(bool unsent);

  std::shared_ptr<scheduler_inbox> inbox_;
  due_clock clock_;
  std::thread thread_;
  unit unit_;
  // Only the thread itself touches these.
  std::deque<caf::resumable*> jobs_;
  std::vector<std::shared_ptr<watched_socket>> sockets_;
  std::vector<pollfd> polled_;
  int rounds_ = 0;
};

} // namespace aiops::host
