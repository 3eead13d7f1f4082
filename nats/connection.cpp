#include "nats/connection.hpp"

#include <charconv>
#include <cstring>
#include <thread>

namespace aiops {

/// What the library hands back to a callback.
struct nats_connection::closure {
  std::shared_ptr<connection_bridge> bridge;
  /// The attempt, or the subscription.
  uint64_t id = 0;
};

namespace {

struct message_deleter {
  void operator()(natsMsg* ptr) const noexcept {
    natsMsg_Destroy(ptr);
  }
};

using message_ptr = std::unique_ptr<natsMsg, message_deleter>;

std::string payload_of(natsMsg* msg) {
  return {natsMsg_GetData(msg),
          static_cast<size_t>(natsMsg_GetDataLength(msg))};
}

/// The last token of an inbox subject is the number of the request.
uint64_t request_of(natsMsg* msg) {
  auto subject = std::string_view{natsMsg_GetSubject(msg)};
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
    case NATS_IO_ERROR:
      return make_error(ec::disconnected, "the connection to NATS is lost");
    default:
      return make_error(ec::internal, nats_error_text(status));
  }
}

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
    auto conn = std::shared_ptr<nats_connection>{new nats_connection};
    conn->bridge_ = bridge;
    std::string problem;
    if (conn->connect(config, *conn->make_closure(attempt), problem) != NATS_OK)
      conn.reset();
    nats_ReleaseThreadMemory();
    bridge->call([&](auto& listener) {
      listener.on_connect(attempt, std::move(conn), std::move(problem));
    });
  };
  std::thread{std::move(run)}.detach();
}

natsStatus nats_connection::connect(const nats_config& config, closure& context,
                                    std::string& problem) {
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
    static_cast<closure*>(arg)->bridge->call(
      [&](auto& listener) { listener.on_error(std::move(words)); });
  };
  auto on_reply = [](natsConnection*, natsSubscription*, natsMsg* raw,
                     void* arg) {
    auto msg = message_ptr{raw};
    static_cast<closure*>(arg)->bridge->call([&](auto& listener) {
      listener.on_reply(request_of(msg.get()), payload_of(msg.get()),
                        natsMsg_IsNoResponders(msg.get()));
    });
  };
  natsInbox* inbox = nullptr;
  natsSubscription* replies = nullptr;
  auto status = natsOptions_SetClosedCB(opts->get(), on_closed, &context);
  if (status == NATS_OK)
    status = natsOptions_SetErrorHandler(opts->get(), on_error, &context);
  if (status == NATS_OK)
    status = natsConnection_Connect(&handle_, opts->get());
  if (status == NATS_OK)
    status = natsInbox_Create(&inbox);
  if (status == NATS_OK) {
    inbox_ = std::string{inbox} + '.';
    natsInbox_Destroy(inbox);
    status = natsConnection_Subscribe(&replies, handle_, (inbox_ + '*').c_str(),
                                      on_reply, &context);
  }
  if (status == NATS_OK) {
    subscriptions_.emplace(0, replies);
    // What may arrive is bounded by the requests in flight.
    status = natsSubscription_SetPendingLimits(replies, -1, -1);
  }
  if (status != NATS_OK)
    problem = nats_error_text(status);
  return status;
}

nats_connection::~nats_connection() {
  // In this order: a subscription that is destroyed while a message arrives
  // crashes the library.
  natsConnection_Close(handle_);
  for (auto& [id, subscription] : subscriptions_)
    natsSubscription_Destroy(subscription);
  natsConnection_Destroy(handle_);
}

nats_connection::closure* nats_connection::make_closure(uint64_t id) {
  // The library may call back after everything here is destroyed.
  static std::mutex mutex;
  static auto closures = std::vector<std::unique_ptr<closure>>{};
  std::lock_guard guard{mutex};
  auto fresh = std::make_unique<closure>(closure{bridge_, id});
  return closures.emplace_back(std::move(fresh)).get();
}

// -- sending and receiving ----------------------------------------------------

caf::error nats_connection::send(uint64_t id, const bus_request& request) {
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

caf::error nats_connection::publish(const bus_message& msg) {
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

caf::error nats_connection::subscribe(uint64_t id, const std::string& subject,
                                      const std::string& queue) {
  auto on_message = [](natsConnection*, natsSubscription*, natsMsg* raw,
                       void* arg) {
    auto msg = message_ptr{raw};
    auto self = static_cast<closure*>(arg);
    self->bridge->call([&](auto& listener) {
      auto reply = natsMsg_GetReply(msg.get());
      listener.on_message(self->id,
                          {natsMsg_GetSubject(msg.get()), payload_of(msg.get()),
                           reply == nullptr ? "" : reply});
    });
  };
  natsSubscription* subscription = nullptr;
  auto context = make_closure(id);
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

void nats_connection::unsubscribe(uint64_t id) {
  // It is destroyed with the connection: see there.
  if (auto i = subscriptions_.find(id); i != subscriptions_.end())
    natsSubscription_Unsubscribe(i->second);
}

bus_status nats_connection::status() const {
  bus_status result;
  char url[512] = "";
  result.connected = true;
  if (natsConnection_GetConnectedUrl(handle_, url, sizeof(url)) == NATS_OK)
    result.server = without_credentials(url);
  result.max_payload = natsConnection_GetMaxPayload(handle_);
  return result;
}

} // namespace aiops
