#include "tests/simulation/network.hpp"

#include "base/error.hpp"
#include "nats/connection.hpp"

#include <algorithm>

namespace aiops::simulation {

using namespace nats;

namespace {

/// A message that takes longer than this is late.
constexpr milliseconds slow{20};

} // namespace

// -- the bus ------------------------------------------------------------------

simulated_bus_actor::behavior_type
simulated_bus_state::make_behavior(network& net, size_t link) {
  net_ = &net;
  link_ = link;
  self_->set_down_handler([this](const caf::down_msg& msg) {
    std::erase_if(subscriptions_, [&](auto& entry) {
      return entry.second.sink.address() == msg.source;
    });
    std::erase_if(listeners_,
                  [&](auto& x) { return x.address() == msg.source; });
  });
  return {
    [this](request_atom, bus_request& request) { return send(request); },
    [this](subscribe_atom, std::string& subject, bus_sink_actor& sink) {
      add_subscription(subject, {}, sink);
    },
    [this](subscribe_atom, std::string& subject, std::string& queue,
           bus_sink_actor& sink) {
      add_subscription(subject, std::move(queue), sink);
    },
    [this](put_atom, const bus_message& msg) { return publish(msg); },
    [this](subscribe_atom, bus_listener_actor& listener) {
      self_->monitor(listener);
      self_->send(listener, update_atom_v, status());
      listeners_.push_back(std::move(listener));
    },
    [this](status_atom) { return status(); },
    [this](update_atom, uint64_t id, bus_reply& reply) {
      net_->done(link_, id);
      if (auto node = pending_.extract(id))
        node.mapped().promise.deliver(std::move(reply));
    },
    [this](delete_atom, uint64_t id) {
      net_->done(link_, id);
      if (auto node = pending_.extract(id))
        node.mapped().promise.deliver(make_error(
          ec::no_responders, "there is no subscriber on the NATS subject '"
                               + node.mapped().subject + "'"));
    },
    [this](update_atom, uint64_t id, bus_message& msg) {
      if (auto i = subscriptions_.find(id); i != subscriptions_.end())
        self_->send(i->second.sink, std::move(msg));
    },
    [this](connect_atom, bool up) { connect(up); },
    [this](tick_atom) { expire(); },
  };
}

caf::result<bus_reply> simulated_bus_state::send(bus_request& request) {
  if (!connected_)
    return make_error(ec::disconnected, "there is no connection to NATS");
  if (static_cast<int64_t>(request.payload.size()) > net_->max_payload())
    return make_error(ec::too_large,
                      "the message is larger than the NATS server accepts");
  auto id = ++last_request_;
  auto promise = self_->make_response_promise<bus_reply>();
  net_->send(link_, id, request);
  pending_.emplace(id, pending_request{promise, std::move(request.subject),
                                       self_->clock().now() + request.timeout});
  arm_timer();
  return promise;
}

caf::result<void> simulated_bus_state::publish(const bus_message& msg) {
  if (!connected_)
    return make_error(ec::disconnected, "there is no connection to NATS");
  net_->publish(link_, msg);
  return caf::unit;
}

void simulated_bus_state::add_subscription(std::string& subject,
                                           std::string queue,
                                           bus_sink_actor& sink) {
  self_->monitor(sink);
  auto id = ++last_subscription_;
  auto [i, added] = subscriptions_.emplace(
    id, subscription{std::move(subject), std::move(queue), std::move(sink)});
  if (connected_)
    subscribe(id, i->second);
}

void simulated_bus_state::subscribe(uint64_t id, const subscription& sub) {
  net_->subscribe(link_, id, sub.subject, sub.queue);
  self_->send(sub.sink, connect_atom_v);
}

void simulated_bus_state::connect(bool up) {
  connected_ = up;
  if (up) {
    ++connects_;
    for (auto& [id, sub] : subscriptions_)
      subscribe(id, sub);
  } else {
    for (auto& [id, request] : std::exchange(pending_, {}))
      request.promise.deliver(lost_in_flight());
  }
  notify();
}

void simulated_bus_state::expire() {
  timer_.reset();
  auto now = self_->clock().now();
  for (auto i = pending_.begin(); i != pending_.end();) {
    if (i->second.deadline > now) {
      ++i;
      continue;
    }
    net_->done(link_, i->first);
    i->second.promise.deliver(
      make_error(ec::timeout, "no answer in time on the NATS subject '"
                                + i->second.subject + "'"));
    i = pending_.erase(i);
  }
  arm_timer();
}

void simulated_bus_state::arm_timer() {
  std::optional<time_point> next;
  for (auto& [id, request] : pending_)
    next = std::min(next.value_or(request.deadline), request.deadline);
  if (!next || (timer_ && *timer_ <= *next))
    return;
  timer_ = next;
  self_->scheduled_send(self_, *next, tick_atom_v);
}

bus_status simulated_bus_state::status() const {
  bus_status result;
  result.connected = connected_;
  result.connects = connects_;
  if (connected_) {
    result.server = "nats://simulation:4222";
    result.max_payload = net_->max_payload();
  } else {
    result.reason = "the connection was lost";
  }
  return result;
}

void simulated_bus_state::notify() {
  for (auto& listener : listeners_)
    self_->send(listener, update_atom_v, status());
}

simulated_bus_actor::behavior_type
simulated_bus(simulated_bus_actor::stateful_pointer<simulated_bus_state> self,
              network* net, size_t link) {
  return self->state.make_behavior(*net, link);
}

// -- the network --------------------------------------------------------------

network::network(timeline& time, faults& what, jetstream_model& store)
  : time_(time), faults_(what), store_(store),
    random_(what.random(fault::connection_lost)), links_(3) {
  // nop
}

void network::serve(const std::string& subject, service handler) {
  if (handler)
    services_.insert_or_assign(subject, std::move(handler));
  else
    services_.erase(subject);
}

void network::publish_from_outside(bus_message msg, answer_handler answer) {
  if (answer) {
    msg.reply = "_INBOX.outside." + std::to_string(++last_inbox_);
    inboxes_.emplace(msg.reply, std::move(answer));
  }
  time_.after(random_.between<microseconds>(microseconds{100}, milliseconds{2}),
              [this, msg = std::move(msg)] { deliver(msg); });
}

// -- connections --------------------------------------------------------------

void network::attach(size_t index, simulated_bus_actor bus) {
  auto& x = links_[index];
  x.bus = std::move(bus);
  x.up = false;
  auto epoch = ++x.epoch;
  time_.after(random_.between<milliseconds>(milliseconds{1}, milliseconds{50}),
              [=, this] { connect(index, epoch); });
}

void network::detach(size_t index) {
  auto& x = links_[index];
  x.bus = nullptr;
  x.up = false;
  ++x.epoch;
  x.subscriptions.clear();
  x.in_flight.clear();
}

void network::connect(size_t index, uint64_t epoch) {
  auto& x = links_[index];
  if (x.epoch != epoch || x.up || !x.bus)
    return;
  x.up = true;
  x.subscriptions.clear();
  x.last_request = x.last_answer = {};
  caf::anon_send(x.bus, connect_atom_v, true);
}

void network::cut(size_t index, caf::timespan length) {
  auto& x = links_[index];
  if (!x.bus)
    return;
  auto was_up = std::exchange(x.up, false);
  auto epoch = ++x.epoch;
  x.subscriptions.clear();
  x.in_flight.clear();
  if (was_up)
    caf::anon_send(x.bus, connect_atom_v, false);
  time_.after(length, [=, this] { connect(index, epoch); });
}

void network::block(size_t index, caf::timespan length, bool requests,
                    bool answers) {
  auto& x = links_[index];
  auto end = time_.now() + length;
  if (requests)
    x.requests_blocked_until = std::max(x.requests_blocked_until, end);
  if (answers)
    x.answers_blocked_until = std::max(x.answers_blocked_until, end);
}

void network::heal() {
  for (size_t i = 0; i < links_.size(); ++i) {
    auto& x = links_[i];
    x.requests_blocked_until = x.answers_blocked_until = {};
    // A message that is held back would also hold back all later ones.
    auto soon = time_.now() + milliseconds{10};
    if (x.bus && !x.up)
      connect(i, x.epoch);
    else if (x.last_request > soon || x.last_answer > soon)
      cut(i, milliseconds{20});
  }
}

time_point network::last_arrival() const {
  return last_arrival_;
}

time_point network::arrival(time_point& last, time_point blocked_until) {
  caf::timespan delay = random_.between<microseconds>(microseconds{50},
                                                      milliseconds{2});
  if (faults_.happens(fault::slow_network)) {
    auto& random = faults_.random(fault::slow_network);
    delay = random.chance(0.1)
              ? random.between<milliseconds>(seconds{1}, seconds{12})
              : random.between<milliseconds>(milliseconds{1},
                                             milliseconds{200});
  }
  last = std::max({last, blocked_until, time_.now() + delay});
  return last;
}

void network::to_server(size_t index, std::function<void()> what) {
  auto& x = links_[index];
  auto epoch = x.epoch;
  auto when = arrival(x.last_request, x.requests_blocked_until);
  last_arrival_ = std::max(last_arrival_, when);
  time_.at(when, [=, this] {
    // Messages in flight when the connection is lost may arrive or not.
    if (links_[index].epoch == epoch || random_.chance(0.5))
      what();
  });
}

void network::to_replica(size_t index, uint64_t epoch,
                         std::function<void()> what) {
  auto& x = links_[index];
  if (x.epoch != epoch || !x.up)
    return;
  time_.at(arrival(x.last_answer, x.answers_blocked_until), [=, this] {
    if (links_[index].epoch == epoch && links_[index].up)
      what();
  });
}

// -- messages -----------------------------------------------------------------

void network::send(size_t index, uint64_t id, const bus_request& request) {
  if (on_send)
    on_send(index, request);
  auto& x = links_[index];
  auto epoch = x.epoch;
  x.in_flight[id] = kind_of(request);
  auto late = x.last_request;
  to_server(index, [=, this] { arrived(index, epoch, id, request); });
  if (x.last_request > late + slow)
    faults_.meet(fault::slow_network, kind_of(request));
}

void network::done(size_t index, uint64_t id) {
  links_[index].in_flight.erase(id);
}

void network::meet(fault x, std::optional<size_t> index) {
  for (size_t i = 0; i < links_.size(); ++i)
    if (!index || i == *index)
      for (auto& [id, kind] : links_[i].in_flight)
        faults_.meet(x, kind);
}

void network::arrived(size_t index, uint64_t epoch, uint64_t id,
                      const bus_request& request) {
  auto answer = [=, this](std::string text) {
    to_replica(index, epoch, [=, this] {
      caf::anon_send(links_[index].bus, update_atom_v, id, bus_reply{text});
    });
  };
  auto heard = deliver(bus_message{request.subject, request.payload});
  if (store_.listens(request.subject))
    store_.request(request, answer);
  else if (auto i = services_.find(request.subject); i != services_.end())
    i->second(index, request, answer);
  else if (!heard)
    to_replica(index, epoch, [=, this] {
      caf::anon_send(links_[index].bus, delete_atom_v, id);
    });
}

void network::publish(size_t index, const bus_message& msg) {
  to_server(index, [=, this] { deliver(msg); });
}

void network::subscribe(size_t index, uint64_t id, const std::string& subject,
                        const std::string& queue) {
  auto epoch = links_[index].epoch;
  to_server(index, [=, this] {
    auto& x = links_[index];
    if (x.epoch == epoch)
      x.subscriptions.push_back({id, subject, queue});
  });
}

bool network::deliver(const bus_message& msg) {
  if (auto node = inboxes_.extract(msg.subject)) {
    node.mapped()(msg.payload);
    return true;
  }
  auto heard = false;
  std::map<std::string, std::vector<std::pair<size_t, uint64_t>>> queues;
  for (size_t i = 0; i < links_.size(); ++i)
    for (auto& sub : links_[i].subscriptions) {
      if (sub.subject != msg.subject)
        continue;
      heard = true;
      if (sub.queue.empty())
        deliver_to(i, sub.id, msg);
      else
        queues[sub.queue].emplace_back(i, sub.id);
    }
  for (auto& [name, members] : queues) {
    auto& [index, id] = random_.pick(members);
    deliver_to(index, id, msg);
  }
  return heard;
}

void network::deliver_to(size_t index, uint64_t id, const bus_message& msg) {
  auto deliver = [=, this](caf::timespan delay) {
    auto epoch = links_[index].epoch;
    auto hand_over = [=, this] {
      caf::anon_send(links_[index].bus, update_atom_v, id, msg);
    };
    if (delay.count() == 0)
      to_replica(index, epoch, hand_over);
    else
      time_.after(delay, [=, this] { to_replica(index, epoch, hand_over); });
  };
  if (!faults_.happens(fault::change_lost))
    deliver(caf::timespan{0});
  // Delayed, so also out of order.
  if (faults_.happens(fault::change_repeated))
    deliver(faults_.random(fault::change_repeated)
              .between<milliseconds>(milliseconds{1}, milliseconds{500}));
}

} // namespace aiops::simulation
