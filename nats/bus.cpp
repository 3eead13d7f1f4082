#include "nats/bus.hpp"

namespace aiops::nats {

namespace {

/// Turns the callbacks into messages.
class bus_bridge : public connection_listener {
public:
  explicit bus_bridge(internal_bus_actor bus) : bus_(std::move(bus)) {
    // nop
  }

  void on_connect(uint64_t attempt, std::shared_ptr<nats_connection> conn,
                  std::string error) override {
    caf::anon_send(bus_, connect_atom_v, attempt, std::move(conn),
                   std::move(error));
  }

  void on_closed(uint64_t attempt) override {
    caf::anon_send(bus_, delete_atom_v, attempt);
  }

  void on_reply(uint64_t id, bus_message reply, bool no_responders) override {
    caf::anon_send(bus_, update_atom_v, id, std::move(reply), no_responders);
  }

  void on_message(uint64_t id, bus_message msg) override {
    caf::anon_send(bus_, update_atom_v, id, std::move(msg));
  }

  void on_drop(uint64_t id) override {
    caf::anon_send(bus_, update_atom_v, id);
  }

  void on_error(std::string text) override {
    log::warning("bus", "received an error from the NATS server",
                 {{"error", text}});
  }

private:
  internal_bus_actor bus_;
};

/// Whether the connection ended before or while something was sent.
bool no_longer_connected(const caf::error& err) {
  auto code = code_of(err);
  return code == ec::disconnected || code == ec::lost_in_flight;
}

} // namespace

// -- initialization and tear down ---------------------------------------------

bus_state::bus_state(internal_bus_actor::pointer self) : self_(self) {
  // nop
}

bus_state::~bus_state() {
  if (bridge_)
    bridge_->detach();
}

void bus_state::init(bus_config config) {
  config_ = std::move(config);
  bridge_ = std::make_shared<connection_bridge>(
    std::make_shared<bus_bridge>(internal_bus_actor{self_}));
  random_.seed(std::random_device{}());
  self_->set_down_handler(
    [this](const caf::down_msg& msg) { remove(msg.source); });
  open();
}

internal_bus_actor::behavior_type bus_state::make_behavior() {
  return {
    [this](request_atom, bus_request& request) {
      return send_request(request);
    },
    [this](subscribe_atom, std::string& subject, bus_sink_actor& sink) {
      add_subscription(subject, {}, sink);
    },
    [this](subscribe_atom, std::string& subject, std::string& queue,
           bus_sink_actor& sink) {
      add_subscription(subject, std::move(queue), sink);
    },
    [this](put_atom, const bus_message& msg) { return publish(msg); },
    [this](subscribe_atom, bus_listener_actor& listener) {
      add_listener(listener);
    },
    [this](status_atom) {
      connected();
      return status();
    },
    [this](connect_atom, uint64_t attempt,
           std::shared_ptr<nats_connection>& conn,
           std::string& problem) { handle_connect(attempt, conn, problem); },
    [this](connect_atom, uint64_t attempt, bool stuck) {
      check_attempt(attempt, stuck);
    },
    [this](restart_atom) { open(); },
    [this](delete_atom, uint64_t attempt) { handle_closed(attempt); },
    [this](update_atom, uint64_t id, bus_message& reply, bool none) {
      handle_reply(id, reply, none);
    },
    [this](update_atom, uint64_t id, bus_message& msg) {
      if (auto i = subscriptions_.find(id); i != subscriptions_.end())
        self_->send(i->second.sink, std::move(msg));
    },
    [this](update_atom, uint64_t id) { handle_drop(id); },
    [this](update_atom) { catch_up(); },
    [this](tick_atom) { expire_requests(); },
  };
}

// -- requests and messages ----------------------------------------------------

caf::result<bus_reply> bus_state::send_request(bus_request& request) {
  if (!connected())
    return no_connection();
  auto room = config_.max_pending - (request.read_only ? config_.reserved : 0);
  if (pending_.size() >= room)
    return make_error(ec::overloaded, "too many requests wait for NATS");
  auto id = ++last_request_;
  if (auto err = sent(connection_->send(id, request)))
    return err;
  auto deadline = self_->clock().now() + request.timeout;
  auto promise = self_->make_response_promise<bus_reply>();
  pending_.emplace(
    id, pending_request{promise, std::move(request.subject), deadline});
  deadlines_.emplace(deadline, id);
  arm_timer();
  return promise;
}

caf::result<void> bus_state::publish(const bus_message& msg) {
  if (!connected())
    return no_connection();
  if (auto err = sent(connection_->publish(msg)))
    return err;
  return caf::unit;
}

caf::error bus_state::no_connection() const {
  return make_error(ec::disconnected,
                    "there is no connection to NATS: " + reason_);
}

void bus_state::handle_reply(uint64_t id, bus_message& reply,
                             bool no_responders) {
  auto i = pending_.find(id);
  if (i == pending_.end())
    return; // too late
  auto request = std::move(i->second);
  pending_.erase(i);
  auto [first, last] = deadlines_.equal_range(request.deadline);
  deadlines_.erase(
    std::find_if(first, last, [&](auto& entry) { return entry.second == id; }));
  if (no_responders)
    request.promise.deliver(make_error(
      ec::no_responders,
      "there is no subscriber on the NATS subject '" + request.subject + "'"));
  else
    request.promise.deliver(bus_reply{std::move(reply.payload)});
}

void bus_state::expire_requests() {
  timer_.reset();
  auto end = deadlines_.upper_bound(self_->clock().now());
  for (auto i = deadlines_.begin(); i != end; ++i) {
    auto node = pending_.extract(i->second);
    if (connection_)
      connection_->forget(i->second);
    node.mapped().promise.deliver(
      make_error(ec::timeout, "no answer in time on the NATS subject '"
                                + node.mapped().subject + "'"));
  }
  deadlines_.erase(deadlines_.begin(), end);
  arm_timer();
}

void bus_state::arm_timer() {
  if (deadlines_.empty())
    return;
  auto next = deadlines_.begin()->first;
  if (timer_ && *timer_ <= next)
    return;
  timer_ = next;
  self_->delayed_send(self_, next - self_->clock().now(), tick_atom_v);
}

void bus_state::fail_all(const caf::error& reason) {
  deadlines_.clear();
  for (auto& [id, request] : std::exchange(pending_, {}))
    request.promise.deliver(reason);
}

// -- subscriptions ------------------------------------------------------------

void bus_state::add_subscription(std::string& subject, std::string queue,
                                 bus_sink_actor& sink) {
  self_->monitor(sink);
  auto id = ++last_subscription_;
  auto [i, added] = subscriptions_.emplace(
    id, subscription{std::move(subject), std::move(queue), std::move(sink),
                     std::make_shared<credit>()});
  if (connected())
    subscribe(id, i->second);
}

void bus_state::remove(const caf::actor_addr& gone) {
  // The server continues to send until the next connection. A sink ends only
  // when the supervisor restarts it, and its messages are discarded here. The
  // messages of a queue would be missing at the other members of the queue.
  std::erase_if(subscriptions_, [&](auto& entry) {
    auto& [id, sub] = entry;
    if (sub.sink.address() != gone)
      return false;
    if (connection_ && !sub.queue.empty())
      connection_->unsubscribe(id);
    return true;
  });
  listeners_.remove(gone);
}

void bus_state::subscribe(uint64_t id, const subscription& sub) {
  auto err = sent(
    connection_->subscribe(id, sub.subject, sub.queue, sub.limit));
  if (no_longer_connected(err))
    return; // the next connection subscribes again
  if (err)
    log::warning("bus", "cannot subscribe",
                 {{"subject", sub.subject}, {"error", text_of(err)}});
  self_->send(sub.sink, connect_atom_v);
}

void bus_state::handle_drop(uint64_t id) {
  for (auto& [known, sub] : subscriptions_)
    if (id == 0 || known == id)
      sub.missed = true;
  if (!std::exchange(catching_up_, true))
    self_->delayed_send(self_, config_.catch_up_delay, update_atom_v);
}

void bus_state::catch_up() {
  catching_up_ = false;
  for (auto& [id, sub] : subscriptions_) {
    if (!std::exchange(sub.missed, false))
      continue;
    log::warning("bus",
                 "dropped messages that arrived faster than they were handled",
                 {{"subject", sub.subject},
                  {"messages", static_cast<int64_t>(sub.limit->resume())}});
    self_->send(sub.sink, connect_atom_v);
  }
}

// -- connection ---------------------------------------------------------------

void bus_state::open() {
  if (connection_ || connecting_)
    return;
  connecting_ = true;
  auto where = config_.locate ? config_.locate() : config_.nats;
  ++attempt_;
  if (config_.open)
    config_.open(std::move(where), attempt_, bridge_);
  else
    nats_connection::open(std::move(where), attempt_, bridge_, watcher());
  self_->delayed_send(self_, config_.connect_deadline, connect_atom_v, attempt_,
                      false);
}

std::shared_ptr<socket_watcher> bus_state::watcher() const {
  auto scheduler = dynamic_cast<watching_scheduler*>(
    &self_->home_system().scheduler());
  auto result = scheduler != nullptr ? scheduler->watcher() : nullptr;
  // A detached bus has another thread.
  return result && result->here() ? result : nullptr;
}

void bus_state::check_attempt(uint64_t attempt, bool stuck) {
  if (stuck && abandoned_.count(attempt) > 0 && config_.give_up) {
    config_.give_up("an attempt to connect to NATS hangs inside the library");
    return;
  }
  if (stuck || !connecting_ || attempt != attempt_)
    return;
  log::error("bus", "abandons an attempt to connect: the NATS server accepted "
                    "it and then sent nothing");
  reason_ = "the NATS server does not finish its greeting";
  abandoned_.insert(attempt);
  connecting_ = false;
  notify();
  self_->delayed_send(self_, config_.stuck_deadline, connect_atom_v, attempt,
                      true);
  retry_later();
}

void bus_state::handle_connect(uint64_t attempt,
                               std::shared_ptr<nats_connection>& conn,
                               std::string& problem) {
  abandoned_.erase(attempt);
  if (attempt != attempt_ || !connecting_)
    return;
  connecting_ = false;
  connection_ = std::move(conn);
  if (!connection_) {
    failed(std::move(problem));
    return;
  }
  connected_at_ = self_->clock().now();
  ++connects_;
  // Its end may have been reported before it arrived here.
  if (!connected())
    return;
  log::info("bus", "connected to NATS", {{"server", status().server}});
  for (auto& [id, sub] : subscriptions_)
    if (connection_)
      subscribe(id, sub);
  notify();
}

void bus_state::handle_closed(uint64_t attempt) {
  if (attempt == attempt_ && connection_)
    lose();
}

bool bus_state::connected() {
  if (connection_ && !connection_->is_open())
    lose();
  return connection_ != nullptr;
}

caf::error bus_state::sent(caf::error err) {
  if (no_longer_connected(err))
    lose();
  return err;
}

void bus_state::lose() {
  connection_.reset();
  log::warning("bus", "lost the connection to NATS");
  if (self_->clock().now() - connected_at_ >= config_.stable_after) {
    backoff_.reset();
    failures_ = 0;
  }
  fail_all(lost_in_flight());
  failed("the connection was lost");
}

void bus_state::failed(std::string reason) {
  if (++failures_ == config_.noteworthy_failures)
    log::warning("bus", "cannot connect to NATS, keeps trying",
                 {{"error", reason}});
  reason_ = std::move(reason);
  notify();
  retry_later();
}

void bus_state::retry_later() {
  auto pause = backoff_.fail(config_.first_backoff, config_.last_backoff);
  auto jitter = std::uniform_real_distribution{0.75, 1.25}(random_);
  auto delay = std::chrono::duration_cast<caf::timespan>(pause * jitter);
  self_->delayed_send(self_, delay, restart_atom_v);
}

bus_status bus_state::status() const {
  bus_status result;
  if (connection_)
    result = connection_->status();
  else
    result.reason = reason_;
  result.connects = connects_;
  return result;
}

// -- listeners ----------------------------------------------------------------

void bus_state::add_listener(bus_listener_actor& listener) {
  if (listeners_.empty())
    notified_ = status();
  self_->send(listener, update_atom_v, notified_);
  listeners_.add(self_, listener);
}

void bus_state::notify() {
  if (listeners_.empty())
    return;
  auto now = status();
  auto same = now.connected == notified_.connected
              && now.server == notified_.server
              && now.reason == notified_.reason
              && now.connects == notified_.connects;
  if (same)
    return;
  notified_ = std::move(now);
  listeners_.send(update_atom_v, notified_);
}

// -- spawning -----------------------------------------------------------------

internal_bus_actor::behavior_type
bus(internal_bus_actor::stateful_pointer<bus_state> self, bus_config config) {
  self->state.init(std::move(config));
  return self->state.make_behavior();
}

} // namespace aiops::nats
