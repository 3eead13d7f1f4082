#include "host/one_thread_scheduler.hpp"

#include <caf/detail/set_thread_name.hpp>
#include <caf/resumable.hpp>

#include <algorithm>
#include <utility>

#include <sys/eventfd.h>
#include <unistd.h>

namespace aiops::host {

namespace {

/// How many actors run before the thread checks the clock and the inbox again.
constexpr int turns = 16;

/// While there is always an actor to run, the sockets are read once in this
/// many rounds.
constexpr int rounds_between_reads = 4;

/// How often the rest of what could not be sent is tried again.
constexpr std::chrono::milliseconds unsent_interval{100};

} // namespace

// -- clock --------------------------------------------------------------------

due_clock::time_point due_clock::next() const {
  std::lock_guard guard{mutex_};
  return schedule_.empty() ? time_point::max() : schedule_.begin()->first;
}

void due_clock::trigger() {
  std::lock_guard guard{mutex_};
  trigger_expired_timeouts();
}

template <class F>
void due_clock::change(F f) {
  bool closer = false;
  {
    std::lock_guard guard{mutex_};
    auto before = next();
    f();
    closer = next() < before;
  }
  if (closer && on_closer)
    on_closer();
}

void due_clock::set_ordinary_timeout(time_point t, caf::abstract_actor* self,
                                     caf::atom_value type, uint64_t id) {
  change([&] { super::set_ordinary_timeout(t, self, type, id); });
}

void due_clock::set_multi_timeout(time_point t, caf::abstract_actor* self,
                                  caf::atom_value type, uint64_t id) {
  change([&] { super::set_multi_timeout(t, self, type, id); });
}

void due_clock::set_request_timeout(time_point t, caf::abstract_actor* self,
                                    caf::message_id id) {
  change([&] { super::set_request_timeout(t, self, id); });
}

void due_clock::cancel_ordinary_timeout(caf::abstract_actor* self,
                                        caf::atom_value type) {
  change([&] { super::cancel_ordinary_timeout(self, type); });
}

void due_clock::cancel_request_timeout(caf::abstract_actor* self,
                                       caf::message_id id) {
  change([&] { super::cancel_request_timeout(self, id); });
}

void due_clock::cancel_timeouts(caf::abstract_actor* self) {
  change([&] { super::cancel_timeouts(self); });
}

void due_clock::schedule_message(time_point t, caf::strong_actor_ptr receiver,
                                 caf::mailbox_element_ptr content) {
  change([&] {
    super::schedule_message(t, std::move(receiver), std::move(content));
  });
}

void due_clock::schedule_message(time_point t, caf::group target,
                                 caf::strong_actor_ptr sender,
                                 caf::message content) {
  change([&] {
    super::schedule_message(t, std::move(target), std::move(sender),
                            std::move(content));
  });
}

void due_clock::cancel_all() {
  change([&] { super::cancel_all(); });
}

// -- inbox --------------------------------------------------------------------

scheduler_inbox::scheduler_inbox()
  : event_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  // nop
}

scheduler_inbox::~scheduler_inbox() {
  close(event_);
}

void scheduler_inbox::belongs_to(std::thread::id owner) {
  owner_ = owner;
}

bool scheduler_inbox::here() const {
  return std::this_thread::get_id() == owner_.load();
}

void scheduler_inbox::put(caf::resumable* job) {
  std::lock_guard guard{mutex_};
  jobs_.push_back(job);
  fill();
}

void scheduler_inbox::watch(std::shared_ptr<watched_socket> socket) {
  std::lock_guard guard{mutex_};
  sockets_.push_back(std::move(socket));
  fill();
}

void scheduler_inbox::look_again() {
  if (here())
    return; // it does so before it waits
  std::lock_guard guard{mutex_};
  fill();
}

void scheduler_inbox::stop() {
  std::lock_guard guard{mutex_};
  stopped_ = true;
  fill();
}

void scheduler_inbox::fill() {
  filled_ = true;
  if (std::exchange(asleep_, false))
    eventfd_write(event_, 1);
}

bool scheduler_inbox::take(
  std::deque<caf::resumable*>& jobs,
  std::vector<std::shared_ptr<watched_socket>>& sockets) {
  if (!filled_)
    return true;
  std::lock_guard guard{mutex_};
  jobs.insert(jobs.end(), jobs_.begin(), jobs_.end());
  jobs_.clear();
  for (auto& socket : sockets_)
    if (std::find(sockets.begin(), sockets.end(), socket) == sockets.end())
      sockets.push_back(socket);
  sockets_.clear();
  filled_ = false;
  return !stopped_;
}

bool scheduler_inbox::sleep() {
  std::lock_guard guard{mutex_};
  asleep_ = !filled_;
  return asleep_;
}

void scheduler_inbox::awake() {
  std::lock_guard guard{mutex_};
  asleep_ = false;
  eventfd_t count = 0;
  eventfd_read(event_, &count);
}

// -- scheduler ----------------------------------------------------------------

one_thread_scheduler::unit::unit(one_thread_scheduler& parent)
  : execution_unit(&parent.system()), parent_(parent) {
  // nop
}

void one_thread_scheduler::unit::exec_later(caf::resumable* job) {
  parent_.jobs_.push_back(job);
}

one_thread_scheduler::one_thread_scheduler(caf::actor_system& sys)
  : super(sys), inbox_(std::make_shared<scheduler_inbox>()), unit_(*this) {
  clock_.on_closer = [this] { inbox_->look_again(); };
}

void one_thread_scheduler::use(caf::actor_system_config& cfg) {
  cfg.module_factories.push_back([](caf::actor_system& sys) {
    return static_cast<caf::actor_system::module*>(
      new one_thread_scheduler(sys));
  });
}

void one_thread_scheduler::enqueue(caf::resumable* job) {
  if (inbox_->here())
    jobs_.push_back(job);
  else
    inbox_->put(job);
}

due_clock& one_thread_scheduler::clock() noexcept {
  return clock_;
}

std::shared_ptr<socket_watcher> one_thread_scheduler::watcher() const {
  return inbox_;
}

void one_thread_scheduler::start() {
  thread_ = std::thread{[this] {
    inbox_->belongs_to(std::this_thread::get_id());
    caf::detail::set_thread_name("actors");
    system().thread_started();
    run();
    // Actors that are enqueued from now on do not run. `stop` releases them.
    inbox_->belongs_to({});
    system().thread_terminates();
  }};
  super::start();
}

void one_thread_scheduler::stop() {
  stop_actors();
  inbox_->stop();
  thread_.join();
  inbox_->take(jobs_, sockets_);
  for (auto job : jobs_)
    cleanup_and_release(job);
  sockets_.clear();
  clock_.cancel_all();
}

void one_thread_scheduler::run() {
  while (inbox_->take(jobs_, sockets_)) {
    for (int i = 0; i < turns && !jobs_.empty(); ++i) {
      auto job = jobs_.front();
      jobs_.pop_front();
      resume(job);
    }
    clock_.trigger();
    serve_sockets();
  }
}

void one_thread_scheduler::resume(caf::resumable* job) {
  switch (job->resume(&unit_, max_throughput())) {
    case caf::resumable::resume_later:
      jobs_.push_back(job);
      break;
    case caf::resumable::done:
    case caf::resumable::awaiting_message:
      intrusive_ptr_release(job);
      break;
    case caf::resumable::shutdown_execution_unit:
      // Only schedulers of CAF itself send such a job.
      break;
  }
}

void one_thread_scheduler::serve_sockets() {
  auto busy = [this] { return !jobs_.empty() || inbox_->filled(); };
  if (busy() && ++rounds_ % rounds_between_reads != 0)
    return;
  auto unsent = false;
  polled_.assign(1, {inbox_->descriptor(), POLLIN, 0});
  std::erase_if(sockets_, [](auto& x) { return x->descriptor() < 0; });
  for (auto& socket : sockets_) {
    auto left = socket->flush();
    unsent = unsent || left;
    auto events = static_cast<short>(left ? POLLIN | POLLOUT : POLLIN);
    polled_.push_back({socket->descriptor(), events, 0});
  }
  // What was sent may have failed, and that is something to do.
  auto sleeps = !busy() && inbox_->sleep();
  auto wait = sleeps ? patience(unsent) : std::chrono::nanoseconds{0};
  auto seconds = std::chrono::floor<std::chrono::seconds>(wait);
  timespec limit{seconds.count(), (wait - seconds).count()};
  auto ready = ppoll(polled_.data(), polled_.size(), &limit, nullptr);
  if (sleeps && (ready < 0 || polled_.front().revents != 0))
    inbox_->awake();
  if (ready <= 0)
    return;
  for (size_t i = 0; i < sockets_.size(); ++i)
    if ((polled_[i + 1].revents & ~POLLOUT) != 0)
      sockets_[i]->read();
}

std::chrono::nanoseconds one_thread_scheduler::patience(bool unsent) {
  // Nothing is due so late that to look once more would cost anything.
  std::chrono::nanoseconds longest = std::chrono::hours{1};
  if (unsent)
    longest = unsent_interval;
  auto due = clock_.next();
  if (due == due_clock::time_point::max())
    return longest;
  return std::clamp<std::chrono::nanoseconds>(
    due - clock_.now(), std::chrono::nanoseconds{0}, longest);
}

} // namespace aiops::host
