#include "http/ask.hpp"

#include <caf/actor_companion.hpp>

namespace aiops::http {

namespace {

caf::actor_companion& companion_of(const caf::actor& handle) {
  auto ptr = caf::actor_cast<caf::abstract_actor*>(handle);
  return static_cast<caf::actor_companion&>(*ptr);
}

} // namespace

// Hidden: the actor system must not wait for it.
asker::asker(caf::actor_system& sys)
  : companion_(sys.spawn<caf::actor_companion, caf::hidden>()),
    self_(caf::actor_cast<caf::strong_actor_ptr>(companion_)) {
  companion_of(companion_).on_enqueue([this](caf::mailbox_element_ptr element) {
    accept(std::move(element));
  });
}

asker::~asker() {
  // Actors may still hold the companion to answer it. From here on it drops
  // answers.
  companion_of(companion_).on_enqueue(nullptr);
}

void asker::cancel() {
  std::lock_guard guard{mutex_};
  cancelled_ = true;
  arrived_.notify_one();
}

caf::error asker::starting() {
  return make_error(ec::overloaded,
                    "this part of the gateway is starting, try again in a "
                    "moment");
}

caf::message_id asker::open() {
  std::lock_guard guard{mutex_};
  waiting_ = true;
  return caf::make_message_id(++current_);
}

asker::reply asker::wait(std::chrono::milliseconds deadline) {
  std::unique_lock guard{mutex_};
  auto until = std::chrono::steady_clock::now() + deadline;
  arrived_.wait_until(guard, until, [this] { return answer_ || cancelled_; });
  waiting_ = false;
  if (answer_)
    return std::move(answer_);
  if (cancelled_)
    return make_error(ec::overloaded, "the gateway is shutting down");
  return make_error(ec::timeout, "no answer within the deadline");
}

void asker::accept(caf::mailbox_element_ptr element) {
  auto mid = element->mid;
  if (!mid.is_response())
    return;
  {
    std::lock_guard guard{mutex_};
    if (!waiting_ || mid.request_id().integer_value() != current_)
      return;
    answer_ = std::move(element);
  }
  // Not under the lock, on which the other thread would have to wait. The
  // object still exists: its destructor waits for this function.
  arrived_.notify_one();
}

} // namespace aiops::http
