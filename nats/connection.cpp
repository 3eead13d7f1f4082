#include "nats/connection.hpp"

#include <charconv>
#include <cstring>
#include <map>
#include <thread>
#include <vector>

namespace aiops::nats {

namespace {

/// Replies that may wait to be handled: some times the requests in flight.
constexpr size_t inbox_messages = 4096;
constexpr size_t inbox_bytes = 256 * 1024 * 1024;

/// What the library hands back to a callback.
struct closure {
  std::shared_ptr<connection_bridge> bridge;
  /// The attempt, or the subscription.
  uint64_t id = 0;
  /// Of a subscription.
  std::shared_ptr<credit> limit = {};
};

/// The library may call back after everything else is destroyed, so what it
/// hands back lives as long as the process.
closure* immortal(closure what) {
  static std::mutex mutex;
  static auto closures = std::vector<std::unique_ptr<closure>>{};
  std::lock_guard guard{mutex};
  return closures.emplace_back(std::make_unique<closure>(std::move(what)))
    .get();
}

struct message_deleter {
  void operator()(natsMsg* ptr) const noexcept {
    natsMsg_Destroy(ptr);
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

/// Hands a message to `deliver` if there is credit for it.
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
uint64_t request_of(const bus_message& msg) {
  auto last = std::string_view{msg.subject}.substr(msg.subject.rfind('.') + 1);
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
      return make_error(ec::disconnected, std::string{lost_in_flight});
    default:
      return make_error(ec::internal, nats_error_text(status));
  }
}

class library_connection : public nats_connection {
public:
  explicit library_connection(std::shared_ptr<connection_bridge> bridge)
    : bridge_(std::move(bridge)) {
    // nop
  }

  ~library_connection() override;

  natsStatus connect(const nats_config& config, uint64_t attempt,
                     std::string& problem);

  caf::error send(uint64_t id, const bus_request& request) override;

  caf::error publish(const bus_message& msg) override;

  caf::error subscribe(uint64_t id, const std::string& subject,
                       const std::string& queue,
                       std::shared_ptr<credit> limit) override;

  void unsubscribe(uint64_t id) override;

  bool is_open() const override;

  bus_status status() const override;

private:
  natsConnection* handle_ = nullptr;
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
                           std::shared_ptr<connection_bridge> bridge) {
  auto run = [config = std::move(config), attempt, bridge] {
    auto conn = std::make_shared<library_connection>(bridge);
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
      // The library's own queue overflowed before our callback came to it.
      if (status == NATS_SLOW_CONSUMER)
        listener.on_drop(0);
      else
        listener.on_error(std::move(words));
    });
  };
  auto on_reply = [](natsConnection*, natsSubscription*, natsMsg* msg,
                     void* arg) {
    auto none = natsMsg_IsNoResponders(msg);
    admit(msg, *static_cast<closure*>(arg), [&](auto& listener, auto reply) {
      auto id = request_of(reply);
      listener.on_reply(id, std::move(reply), none);
    });
  };
  natsInbox* inbox = nullptr;
  natsSubscription* replies = nullptr;
  auto context = immortal({bridge_, attempt});
  auto inbox_context = immortal(
    {bridge_, 0, std::make_shared<credit>(inbox_messages, inbox_bytes)});
  auto status = natsOptions_SetClosedCB(opts->get(), on_closed, context);
  if (status == NATS_OK)
    status = natsOptions_SetErrorHandler(opts->get(), on_error, context);
  if (status == NATS_OK)
    status = natsConnection_Connect(&handle_, opts->get());
  if (status == NATS_OK)
    status = natsInbox_Create(&inbox);
  if (status == NATS_OK) {
    inbox_ = std::string{inbox} + '.';
    natsInbox_Destroy(inbox);
    status = natsConnection_Subscribe(&replies, handle_, (inbox_ + '*').c_str(),
                                      on_reply, inbox_context);
  }
  if (status == NATS_OK) {
    subscriptions_.emplace(0, replies);
    // The credit bounds what may arrive.
    status = natsSubscription_SetPendingLimits(replies, -1, -1);
  }
  if (status != NATS_OK)
    problem = nats_error_text(status);
  return status;
}

library_connection::~library_connection() {
  // In this order: a subscription that is destroyed while a message arrives
  // crashes the library.
  natsConnection_Close(handle_);
  for (auto& [id, subscription] : subscriptions_)
    natsSubscription_Destroy(subscription);
  natsConnection_Destroy(handle_);
}

// -- sending and receiving ----------------------------------------------------

caf::error library_connection::send(uint64_t id, const bus_request& request) {
  natsMsg* raw = nullptr;
  auto reply_to = inbox_ + std::to_string(id);
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
  natsMsg* raw = nullptr;
  auto status = natsMsg_Create(
    &raw, msg.subject.c_str(), msg.reply.empty() ? nullptr : msg.reply.c_str(),
    msg.payload.data(), static_cast<int>(msg.payload.size()));
  auto owned = message_ptr{raw};
  if (status == NATS_OK)
    status = natsConnection_PublishMsg(handle_, raw);
  if (status != NATS_OK)
    return failure(status, "the message for '" + msg.subject + "'");
  return {};
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

void library_connection::unsubscribe(uint64_t id) {
  // It is destroyed with the connection: see there.
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
