#include "nats/connection.hpp"

#include "nats/socket_link.hpp"

#include <charconv>
#include <cstring>
#include <map>
#include <thread>
#include <vector>

namespace aiops::nats {

namespace {

/// Maximum of replies that wait to be handled: several times the maximum of
/// requests in flight.
constexpr size_t inbox_messages = 4096;
constexpr size_t inbox_bytes = 256 * 1024 * 1024;

/// Maximum of messages that wait in the subscription of one request. More than
/// one arrive only if a subscriber answers repeatedly.
constexpr int slot_messages = 8;

/// The closure that the library passes to a callback.
struct closure {
  std::shared_ptr<connection_bridge> bridge;
  /// The attempt, or the subscription.
  uint64_t id = 0;
  /// The credit of a subscription.
  std::shared_ptr<credit> limit = {};
};

/// The library may call back after everything else is destroyed, so its
/// closures are kept until the process ends.
closure* immortal(closure what) {
  static std::mutex mutex;
  static auto closures = std::vector<std::unique_ptr<closure>>{};
  std::lock_guard guard{mutex};
  return closures.emplace_back(std::make_unique<closure>(std::move(what)))
    .get();
}

/// Messages that were handled. Destroying one may wake a thread of the library
/// which frees it, and that costs more than all other work for a small message;
/// so several are destroyed in a row.
class used_messages {
public:
  /// @thread-safe
  void add(natsMsg* msg) {
    std::lock_guard guard{mutex_};
    messages_.push_back(msg);
    bytes_ += static_cast<size_t>(natsMsg_GetDataLength(msg));
    if (messages_.size() < most_messages && bytes_ < most_bytes)
      return;
    for (auto x : messages_)
      natsMsg_Destroy(x);
    messages_.clear();
    bytes_ = 0;
  }

private:
  static constexpr size_t most_messages = 64;
  static constexpr size_t most_bytes = 256 * 1024;

  std::mutex mutex_;
  std::vector<natsMsg*> messages_;
  size_t bytes_ = 0;
};

void discard(natsMsg* msg) {
  if (msg == nullptr)
    return;
  // Kept until the process ends: the library's threads use it until then.
  static auto& used = *new used_messages;
  used.add(msg);
}

struct message_deleter {
  void operator()(natsMsg* ptr) const noexcept {
    discard(ptr);
  }
};

using message_ptr = std::unique_ptr<natsMsg, message_deleter>;

bus_message message_of(natsMsg* msg, credit::token held) {
  auto reply = natsMsg_GetReply(msg);
  return {
    natsMsg_GetSubject(msg),
    {natsMsg_GetData(msg), static_cast<size_t>(natsMsg_GetDataLength(msg))},
    reply == nullptr ? "" : reply,
    std::move(held)};
}

/// Passes a message to `deliver` if there is credit for it.
template <class F>
void admit(natsMsg* raw, closure& self, F deliver) {
  auto msg = message_ptr{raw};
  auto size = static_cast<size_t>(natsMsg_GetDataLength(raw));
  auto held = self.limit->take(size);
  if (!held && !self.limit->drop())
    return;
  self.bridge->call([&](auto& listener) {
    if (held)
      deliver(listener, message_of(raw, std::move(held)));
    else
      listener.on_drop(self.id);
  });
}

/// The last token of an inbox subject is the number of the request.
uint64_t request_of(std::string_view subject) {
  auto last = subject.substr(subject.rfind('.') + 1);
  uint64_t id = 0;
  std::from_chars(last.data(), last.data() + last.size(), id);
  return id;
}

caf::error failure(natsStatus status, std::string_view what) {
  switch (status) {
    case NATS_MAX_PAYLOAD:
      return make_error(ec::too_large,
                        std::string{what}
                          + " is larger than the NATS server accepts; raise "
                            "its max_payload");
    case NATS_CONNECTION_CLOSED:
    case NATS_CONNECTION_DISCONNECTED:
      return make_error(ec::disconnected, "the connection to NATS is lost");
    case NATS_IO_ERROR:
      return lost_in_flight();
    default:
      return make_error(ec::internal, nats_error_text(status));
  }
}

class library_connection : public nats_connection {
public:
  explicit library_connection(std::shared_ptr<connection_bridge> bridge,
                              std::shared_ptr<socket_link> link)
    : link_(std::move(link)), bridge_(std::move(bridge)) {
    // nop
  }

  ~library_connection() override;

  natsStatus connect(const nats_config& config, uint64_t attempt,
                     std::string& problem);

  caf::error send(uint64_t id, const bus_request& request) override;

  void forget(uint64_t id) override;

  caf::error publish(const bus_message& msg) override;

  caf::error subscribe(uint64_t id, const std::string& subject,
                       const std::string& queue,
                       std::shared_ptr<credit> limit) override;

  void unsubscribe(uint64_t id) override;

  bool is_open() const override;

  bus_status status() const override;

private:
  /// The subscription on which the reply to one request after another comes.
  /// The library does not expose to which request a notice of no responders
  /// belongs.
  struct reply_slot {
    natsSubscription* subscription = nullptr;
    /// Start of its subjects, with the last dot.
    std::string prefix;
  };

  /// A subscription without a callback.
  struct delivery {
    natsSubscription* subscription = nullptr;
    closure* context = nullptr;
  };

  natsStatus subscribe_to_replies();

  /// Finds the subject for the reply to a request.
  natsStatus reserve(uint64_t id, std::string& reply_to);

  caf::error subscribe_here(const std::string& subject,
                            const std::string& queue, closure* context);

  /// Forwards the messages that were read.
  void deliver();

  void deliver_reply(uint64_t id);

  void deliver_messages(const delivery& from);

  caf::error send_to(const bus_request& request, const std::string& reply_to);

  /// Sends a message without headers; `reply_to` may be empty.
  caf::error send_plain(const std::string& subject, const std::string& reply_to,
                        const std::string& payload);

  natsConnection* handle_ = nullptr;
  /// Replaces the library's threads; may be null.
  std::shared_ptr<socket_link> link_;
  std::vector<delivery> deliveries_;
  /// Those that wait for a reply, by request, and those that do not.
  std::map<uint64_t, reply_slot> used_slots_;
  std::vector<reply_slot> free_slots_;
  size_t slots_ = 0;
  closure* inbox_context_ = nullptr;
  /// By the id of the delivery; 0 for that of replies.
  std::map<uint64_t, natsSubscription*> subscriptions_;
  /// Start of the subjects on which replies arrive, with its last dot.
  std::string inbox_;
  std::shared_ptr<connection_bridge> bridge_;
};

} // namespace

// -- bridge -------------------------------------------------------------------

void connection_bridge::detach() {
  std::lock_guard guard{mutex_};
  listener_.reset();
}

// -- initialization and tear down ---------------------------------------------

void nats_connection::open(nats_config config, uint64_t attempt,
                           std::shared_ptr<connection_bridge> bridge,
                           std::shared_ptr<socket_watcher> watcher) {
  auto link = watcher && !wants_tls(config)
                ? std::make_shared<socket_link>(std::move(watcher))
                : nullptr;
  auto run = [config = std::move(config), attempt, bridge, link] {
    auto conn = std::make_shared<library_connection>(bridge, link);
    std::string problem;
    if (conn->connect(config, attempt, problem) != NATS_OK)
      conn.reset();
    nats_ReleaseThreadMemory();
    bridge->call([&](auto& listener) {
      listener.on_connect(attempt, std::move(conn), std::move(problem));
    });
  };
  std::thread{std::move(run)}.detach();
}

natsStatus library_connection::connect(const nats_config& config,
                                       uint64_t attempt, std::string& problem) {
  auto opts = make_options(config);
  if (!opts) {
    problem = text_of(opts.error());
    return NATS_ERR;
  }
  auto on_closed = [](natsConnection*, void* arg) {
    auto self = static_cast<closure*>(arg);
    self->bridge->call([&](auto& listener) { listener.on_closed(self->id); });
  };
  auto on_error = [](natsConnection* nc, natsSubscription*, natsStatus status,
                     void* arg) {
    const char* text = nullptr;
    natsConnection_GetLastError(nc, &text);
    auto words = std::string{
      text != nullptr && *text != '\0' ? text : natsStatus_GetText(status)};
    static_cast<closure*>(arg)->bridge->call([&](auto& listener) {
      // The library's own queue overflowed before the callback was called.
      if (status == NATS_SLOW_CONSUMER)
        listener.on_drop(0);
      else
        listener.on_error(std::move(words));
    });
  };
  natsInbox* inbox = nullptr;
  auto context = immortal({bridge_, attempt});
  inbox_context_ = immortal(
    {bridge_, 0, std::make_shared<credit>(inbox_messages, inbox_bytes)});
  auto status = natsOptions_SetClosedCB(opts->get(), on_closed, context);
  if (status == NATS_OK)
    status = natsOptions_SetErrorHandler(opts->get(), on_error, context);
  if (status == NATS_OK && link_)
    status = link_->apply(opts->get());
  if (status == NATS_OK)
    status = natsConnection_Connect(&handle_, opts->get());
  if (status == NATS_OK)
    status = natsInbox_Create(&inbox);
  if (status == NATS_OK) {
    inbox_ = std::string{inbox} + '.';
    natsInbox_Destroy(inbox);
    if (!link_)
      status = subscribe_to_replies();
  }
  if (status != NATS_OK)
    problem = nats_error_text(status);
  return status;
}

natsStatus library_connection::subscribe_to_replies() {
  auto on_reply = [](natsConnection*, natsSubscription*, natsMsg* msg,
                     void* arg) {
    auto none = natsMsg_IsNoResponders(msg);
    admit(msg, *static_cast<closure*>(arg), [&](auto& listener, auto reply) {
      auto id = request_of(reply.subject);
      listener.on_reply(id, std::move(reply), none);
    });
  };
  natsSubscription* replies = nullptr;
  auto status = natsConnection_Subscribe(
    &replies, handle_, (inbox_ + '*').c_str(), on_reply, inbox_context_);
  if (status != NATS_OK)
    return status;
  subscriptions_.emplace(0, replies);
  // The credit limits the messages instead.
  return natsSubscription_SetPendingLimits(replies, -1, -1);
}

library_connection::~library_connection() {
  if (link_)
    link_->on_read({});
  // In this order: a subscription that is destroyed while a message arrives
  // crashes the library.
  natsConnection_Close(handle_);
  for (auto& from : deliveries_)
    natsSubscription_Destroy(from.subscription);
  for (auto& [id, slot] : used_slots_)
    natsSubscription_Destroy(slot.subscription);
  for (auto& slot : free_slots_)
    natsSubscription_Destroy(slot.subscription);
  for (auto& [id, subscription] : subscriptions_)
    natsSubscription_Destroy(subscription);
  natsConnection_Destroy(handle_);
}

// -- sending and receiving ----------------------------------------------------

caf::error library_connection::send(uint64_t id, const bus_request& request) {
  std::string reply_to;
  auto status = reserve(id, reply_to);
  if (status != NATS_OK)
    return failure(status, "the subscription to replies");
  auto err = send_to(request, reply_to);
  if (err)
    forget(id);
  return err;
}

caf::error library_connection::send_to(const bus_request& request,
                                       const std::string& reply_to) {
  if (request.headers.empty())
    return send_plain(request.subject, reply_to, request.payload);
  natsMsg* raw = nullptr;
  auto status = natsMsg_Create(&raw, request.subject.c_str(), reply_to.c_str(),
                               request.payload.data(),
                               static_cast<int>(request.payload.size()));
  auto msg = message_ptr{raw};
  for (auto& [key, value] : request.headers)
    if (status == NATS_OK)
      status = natsMsgHeader_Set(raw, key.c_str(), value.c_str());
  if (status == NATS_OK)
    status = natsConnection_PublishMsg(handle_, raw);
  if (status != NATS_OK)
    return failure(status, "the message for '" + request.subject + "'");
  return {};
}

caf::error library_connection::publish(const bus_message& msg) {
  return send_plain(msg.subject, msg.reply, msg.payload);
}

caf::error library_connection::send_plain(const std::string& subject,
                                          const std::string& reply_to,
                                          const std::string& payload) {
  auto size = static_cast<int>(payload.size());
  auto status = reply_to.empty()
                  ? natsConnection_Publish(handle_, subject.c_str(),
                                           payload.data(), size)
                  : natsConnection_PublishRequest(handle_, subject.c_str(),
                                                  reply_to.c_str(),
                                                  payload.data(), size);
  if (status != NATS_OK)
    return failure(status, "the message for '" + subject + "'");
  return {};
}

natsStatus library_connection::reserve(uint64_t id, std::string& reply_to) {
  if (!link_) {
    reply_to = inbox_ + std::to_string(id);
    return NATS_OK;
  }
  reply_slot slot;
  if (free_slots_.empty()) {
    slot.prefix = inbox_ + std::to_string(++slots_) + '.';
    auto status = natsConnection_SubscribeSync(&slot.subscription, handle_,
                                               (slot.prefix + '*').c_str());
    if (status != NATS_OK)
      return status;
    natsSubscription_SetPendingLimits(slot.subscription, slot_messages, -1);
    link_->on_read([this] { deliver(); });
  } else {
    slot = std::move(free_slots_.back());
    free_slots_.pop_back();
    // Late replies must leave room for the next one.
    natsMsg* msg = nullptr;
    while (natsSubscription_NextMsg(&msg, slot.subscription, 0) == NATS_OK)
      discard(msg);
  }
  reply_to = slot.prefix + std::to_string(id);
  used_slots_.emplace(id, std::move(slot));
  return NATS_OK;
}

void library_connection::forget(uint64_t id) {
  // A late notice must not apply to the next request of the slot.
  if (auto node = used_slots_.extract(id))
    natsSubscription_Destroy(node.mapped().subscription);
}

void library_connection::deliver() {
  // A copy: the listener may send the next request.
  std::vector<uint64_t> waiting;
  for (auto& [id, slot] : used_slots_)
    if (uint64_t count = 0;
        natsSubscription_QueuedMsgs(slot.subscription, &count) == NATS_OK
        && count > 0)
      waiting.push_back(id);
  for (auto id : waiting)
    deliver_reply(id);
  for (auto& from : deliveries_)
    deliver_messages(from);
}

void library_connection::deliver_reply(uint64_t id) {
  auto i = used_slots_.find(id);
  natsMsg* msg = nullptr;
  auto status = NATS_OK;
  do {
    // A subscriber may answer twice, and the slot may have been used before.
    discard(std::exchange(msg, nullptr));
    status = natsSubscription_NextMsg(&msg, i->second.subscription, 0);
  } while (status == NATS_OK && request_of(natsMsg_GetSubject(msg)) != id);
  if (status != NATS_OK && status != NATS_NO_RESPONDERS)
    return;
  free_slots_.push_back(std::move(i->second));
  used_slots_.erase(i);
  if (status == NATS_OK)
    admit(msg, *inbox_context_, [&](auto& listener, auto reply) {
      listener.on_reply(id, std::move(reply), false);
    });
  else
    bridge_->call(
      [&](auto& listener) { listener.on_reply(id, bus_message{}, true); });
}

void library_connection::deliver_messages(const delivery& from) {
  natsMsg* msg = nullptr;
  uint64_t count = 0;
  natsSubscription_QueuedMsgs(from.subscription, &count);
  for (; count > 0; --count)
    if (natsSubscription_NextMsg(&msg, from.subscription, 0) == NATS_OK)
      admit(msg, *from.context, [&](auto& listener, auto taken) {
        listener.on_message(from.context->id, std::move(taken));
      });
}

caf::error library_connection::subscribe(uint64_t id,
                                         const std::string& subject,
                                         const std::string& queue,
                                         std::shared_ptr<credit> limit) {
  auto on_message = [](natsConnection*, natsSubscription*, natsMsg* msg,
                       void* arg) {
    auto self = static_cast<closure*>(arg);
    admit(msg, *self, [self](auto& listener, auto taken) {
      listener.on_message(self->id, std::move(taken));
    });
  };
  natsSubscription* subscription = nullptr;
  auto context = immortal({bridge_, id, std::move(limit)});
  if (link_)
    return subscribe_here(subject, queue, context);
  auto status = queue.empty() ? natsConnection_Subscribe(
                  &subscription, handle_, subject.c_str(), on_message, context)
                              : natsConnection_QueueSubscribe(
                                &subscription, handle_, subject.c_str(),
                                queue.c_str(), on_message, context);
  if (status != NATS_OK)
    return failure(status, "the subscription to '" + subject + "'");
  subscriptions_.emplace(id, subscription);
  return {};
}

caf::error library_connection::subscribe_here(const std::string& subject,
                                              const std::string& queue,
                                              closure* context) {
  delivery to{nullptr, context};
  auto status = queue.empty()
                  ? natsConnection_SubscribeSync(&to.subscription, handle_,
                                                 subject.c_str())
                  : natsConnection_QueueSubscribeSync(
                    &to.subscription, handle_, subject.c_str(), queue.c_str());
  if (status != NATS_OK)
    return failure(status, "the subscription to '" + subject + "'");
  // All messages that were read are forwarded before more are read.
  natsSubscription_SetPendingLimits(to.subscription, -1, -1);
  deliveries_.push_back(to);
  link_->on_read([this] { deliver(); });
  return {};
}

void library_connection::unsubscribe(uint64_t id) {
  for (auto& from : deliveries_)
    if (from.context->id == id)
      natsSubscription_Unsubscribe(from.subscription);

  // It is destroyed together with the connection.
  if (auto i = subscriptions_.find(id); i != subscriptions_.end())
    natsSubscription_Unsubscribe(i->second);
}

bool library_connection::is_open() const {
  return !natsConnection_IsClosed(handle_);
}

bus_status library_connection::status() const {
  bus_status result;
  char url[512] = "";
  result.connected = is_open();
  if (natsConnection_GetConnectedUrl(handle_, url, sizeof(url)) == NATS_OK)
    result.server = without_credentials(url);
  result.max_payload = natsConnection_GetMaxPayload(handle_);
  return result;
}

} // namespace aiops::nats
