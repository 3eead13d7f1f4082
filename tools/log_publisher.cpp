#include "tools/log_publisher.hpp"

#include "base/log.hpp"
#include "nats/jetstream_answer.hpp"
#include "nats/json.hpp"

#include <nlohmann/json.hpp>

#include <charconv>
#include <optional>
#include <string_view>
#include <utility>

namespace aiops::tools {

namespace {

using namespace std::chrono_literals;

constexpr auto component = "log_feed";

/// After this time without an acknowledgement, messages are sent again.
constexpr auto overdue = 1s;

std::string new_inbox() {
  natsInbox* inbox = nullptr;
  if (natsInbox_Create(&inbox) != NATS_OK)
    return "_INBOX.log_feed.";
  std::string result = inbox;
  natsInbox_Destroy(inbox);
  return result + '.';
}

/// The answer of the NATS server to a message.
struct verdict {
  /// Whether the server may store the message a moment later.
  bool retry = false;
  /// Why it did not store the message; empty when it did.
  std::string problem;
};

verdict read_verdict(natsMsg* msg) {
  if (natsMsg_IsNoResponders(msg))
    return {true, "the stream, which the gateway makes, does not exist yet"};
  auto data = natsMsg_GetData(msg);
  auto answer = nats::judge(
    nats::parse_json({data, static_cast<size_t>(natsMsg_GetDataLength(msg))}));
  switch (answer.outcome) {
    case nats::jetstream_outcome::done:
    // The NATS server has another copy of the message.
    case nats::jetstream_outcome::duplicate:
      return {};
    case nats::jetstream_outcome::try_again:
    case nats::jetstream_outcome::unreadable:
      return {true, std::move(answer.description)};
    default:
      return {false, std::move(answer.description)};
  }
}

} // namespace

log_publisher::log_publisher(nats_link_options options, const stop_signal& stop)
  : stop_(stop), link_(std::move(options), component), inbox_(new_inbox()) {
  // nop
}

log_publisher::~log_publisher() {
  // The library may still call `on_ack`, and its clean-up misses messages that
  // it delivers while it closes.
  link_.close();
  std::unique_lock lock{mutex_};
  acknowledged_.wait_for(lock, 2s, [&] { return open_subscriptions_ == 0; });
  lock.unlock();
  natsSubscription_Destroy(acks_);
  nats_CloseAndWait(1'000);
}

uint64_t log_publisher::stored() const {
  std::lock_guard guard{mutex_};
  return stored_;
}

uint64_t log_publisher::refused() const {
  std::lock_guard guard{mutex_};
  return refused_;
}

uint64_t log_publisher::pending() const {
  std::lock_guard guard{mutex_};
  return pending_.size();
}

// -- acknowledgements (on a thread of the NATS library) -----------------------

void log_publisher::on_ack(natsConnection*, natsSubscription*, natsMsg* msg,
                           void* self) {
  static_cast<log_publisher*>(self)->acknowledge(msg);
  natsMsg_Destroy(msg);
}

void log_publisher::on_complete(void* self) {
  auto& publisher = *static_cast<log_publisher*>(self);
  std::lock_guard guard{publisher.mutex_};
  --publisher.open_subscriptions_;
  publisher.acknowledged_.notify_all();
}

void log_publisher::acknowledge(natsMsg* msg) {
  std::string_view subject = natsMsg_GetSubject(msg);
  uint64_t id = 0;
  std::from_chars(subject.data() + inbox_.size(),
                  subject.data() + subject.size(), id);
  auto [retry, problem] = read_verdict(msg);
  std::lock_guard guard{mutex_};
  if (!problem.empty() && problem != last_problem_)
    log::warning(component, retry ? "waits for the NATS server" : "is refused",
                 {{"reason", problem}});
  last_problem_ = problem;
  if (retry || pending_.erase(id) == 0)
    return;
  ++(problem.empty() ? stored_ : refused_);
  acknowledged_.notify_one();
}

// -- messages -----------------------------------------------------------------

bool log_publisher::connect() {
  if (link_.connected())
    return true;
  natsSubscription_Destroy(acks_);
  acks_ = nullptr;
  if (link_.connect()
      && natsConnection_Subscribe(&acks_, link_.get(), (inbox_ + '*').c_str(),
                                  on_ack, this)
           == NATS_OK
      && natsSubscription_SetOnCompleteCB(acks_, on_complete, this)
           == NATS_OK) {
    std::unique_lock lock{mutex_};
    ++open_subscriptions_;
    lock.unlock();
    send_all();
    return true;
  }
  link_.close();
  return false;
}

void log_publisher::send(uint64_t id, const message& msg) {
  auto reply = inbox_ + std::to_string(id);
  natsMsg* raw = nullptr;
  if (natsMsg_Create(&raw, msg.subject.c_str(), reply.c_str(),
                     msg.payload.data(), static_cast<int>(msg.payload.size()))
      != NATS_OK)
    return;
  // A message that is lost here becomes overdue, and is then sent again.
  if (natsMsgHeader_Set(raw, "Nats-Msg-Id", reply.c_str()) == NATS_OK)
    natsConnection_PublishMsg(link_.get(), raw);
  natsMsg_Destroy(raw);
}

void log_publisher::send_all() {
  std::unique_lock lock{mutex_};
  auto copy = pending_;
  lock.unlock();
  for (const auto& [id, msg] : copy)
    send(id, msg);
  last_progress_ = clock::now();
}

void log_publisher::drive(size_t limit) {
  if (!connect()) {
    stop_.wait(100ms);
    return;
  }
  std::unique_lock lock{mutex_};
  acknowledged_.wait_for(lock, 100ms, [&] { return pending_.size() < limit; });
  auto acknowledged = stored_ + refused_;
  lock.unlock();
  if (acknowledged != std::exchange(last_acknowledged_, acknowledged))
    last_progress_ = clock::now();
  else if (clock::now() - last_progress_ > overdue)
    send_all();
}

bool log_publisher::publish(std::string subject, std::string payload) {
  while (!connect() || pending() >= window) {
    if (stop_.wait(0ms))
      return false;
    drive(window);
  }
  message msg{std::move(subject), std::move(payload)};
  std::unique_lock lock{mutex_};
  auto id = ++last_id_;
  if (pending_.empty())
    last_progress_ = clock::now();
  pending_.emplace(id, msg);
  lock.unlock();
  send(id, msg);
  return true;
}

void log_publisher::flush() {
  std::optional<clock::time_point> end;
  while (pending() > 0 && (!end || clock::now() < *end)) {
    if (!end && stop_.wait(0ms))
      end = clock::now() + 2s;
    drive(1);
  }
}

} // namespace aiops::tools
