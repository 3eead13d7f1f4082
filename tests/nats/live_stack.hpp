#pragma once

#include "host/one_thread_scheduler.hpp"
#include "nats/bus.hpp"
#include "nats/kv_store.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/live_system.hpp"
#include "tests/support/nats_server.hpp"

#include <functional>

namespace aiops::test {

using namespace nats;

using namespace std::chrono_literals;

inline bus_config quick(nats_config nats) {
  bus_config cfg;
  cfg.nats = std::move(nats);
  cfg.last_backoff = 100ms;
  return cfg;
}

inline nats_config to(const nats_server& server,
                      std::string_view credentials = "") {
  nats_config result;
  result.urls = {server.url(credentials)};
  return result;
}

/// The bus and the actors that use it, with a real server, on one thread as in
/// the program.
struct live_stack : live_system {
  explicit live_stack(nats_config nats) : live_stack(quick(std::move(nats))) {
    // nop
  }

  explicit live_stack(bus_config bus_cfg)
    : live_system(host::one_thread_scheduler::use) {
    bus_handle = spawn(bus, std::move(bus_cfg));
    kv_store_config cfg;
    // Creating a bucket may take a while on a busy disk.
    cfg.request_timeout = 10s;
    kv = spawn(kv_store, bus_handle, cfg);
  }

  bus_status status() {
    return ask<bus_status>(bus_handle, status_atom_v).cvalue();
  }

  bool connects() {
    return eventually([&] { return status().connected; });
  }

  ec request(const std::string& subject, caf::timespan timeout = 2s) {
    auto reply = ask<bus_reply>(bus_handle, request_atom_v,
                                bus_request{subject, "x", {}, timeout});
    return reply ? ec::none : code_of(reply.error());
  }

  /// Waits until the server has received what was sent before, for example
  /// subscriptions. Messages of other connections may arrive there earlier.
  bool flushed() {
    return request("no.responder") == ec::no_responders;
  }

  caf::expected<uint64_t> put(std::string value,
                              std::optional<uint64_t> expected = {}) {
    return ask<uint64_t>(kv, put_atom_v,
                         kv_write{"bucket", "key", std::move(value), expected});
  }

  caf::expected<kv_entry> get() {
    return ask<kv_entry>(kv, get_atom_v, std::string{"bucket"},
                         std::string{"key"});
  }

  bus_actor bus_handle;
  kv_store_actor kv;
};

inline bus_sink_actor::behavior_type
sink(bus_sink_actor::pointer, std::shared_ptr<mailbox_of<std::string>> seen) {
  return {
    [seen](const bus_message& msg) { seen->push(msg.payload); },
    [seen](connect_atom) { seen->push("(connected)"); },
  };
}

inline kv_listener_actor::behavior_type
listener(kv_listener_actor::pointer,
         std::shared_ptr<mailbox_of<std::string>> seen) {
  return {
    [seen](update_atom, const kv_entry& x) {
      seen->push(x.revision == 0 ? "(none)" : x.value);
    },
  };
}

/// Answers requests on a subject like a backend.
class responder {
public:
  using answer = std::function<std::string(std::string)>;

  responder(const nats_server& server, const std::string& subject,
            std::string reply)
    : responder(server, subject,
                answer{[reply](const std::string&) { return reply; }}) {
    // nop
  }

  responder(const nats_server& server, const std::string& subject, answer how)
    : how_(std::move(how)) {
    auto on_message = [](natsConnection* nc, natsSubscription*, natsMsg* msg,
                         void* self) {
      auto text = static_cast<responder*>(self)->how_(
        {natsMsg_GetData(msg),
         static_cast<size_t>(natsMsg_GetDataLength(msg))});
      natsConnection_Publish(nc, natsMsg_GetReply(msg), text.data(),
                             static_cast<int>(text.size()));
      natsMsg_Destroy(msg);
    };
    natsConnection_ConnectTo(&connection_, server.url().c_str());
    natsConnection_Subscribe(&subscription_, connection_, subject.c_str(),
                             on_message, this);
    natsConnection_Flush(connection_);
  }

  ~responder() {
    natsConnection_Close(connection_);
    natsSubscription_Destroy(subscription_);
    natsConnection_Destroy(connection_);
  }

private:
  answer how_;
  natsConnection* connection_ = nullptr;
  natsSubscription* subscription_ = nullptr;
};

} // namespace aiops::test
