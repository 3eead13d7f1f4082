#include "nats/training/progress_feed.hpp"

#include "base/error.hpp"
#include "base/log.hpp"
#include "nats/subjects.hpp"
#include "nats/training/progress_json.hpp"

namespace aiops::nats {

progress_feed_state::progress_feed_state(bus_sink_actor::pointer self)
  : self_(self) {
  // nop
}

bus_sink_actor::behavior_type
progress_feed_state::make_behavior(bus_actor bus,
                                   training_status_actor training_status,
                                   const progress_feed_config& cfg) {
  bus_ = std::move(bus);
  training_status_ = std::move(training_status);
  cfg_ = cfg;
  self_->send(bus_, subscribe_atom_v, std::string{subjects::training_progress},
              std::string{subjects::gateway_queue}, bus_sink_actor{self_});
  return {
    [this](const bus_message& msg) { take(msg); },
    // A backend without an answer sends the message again.
    [](connect_atom) { /* nop */ },
  };
}

void progress_feed_state::take(const bus_message& msg) {
  if (msg.payload.size() > cfg_.max_size)
    return finish(msg.reply,
                  make_error(ec::too_large, "the message is too large"));
  if (pending_ >= cfg_.max_pending)
    return finish(msg.reply,
                  make_error(ec::overloaded, "too many messages wait to be "
                                             "stored, send it again later"));
  auto progress = decode_progress(msg.payload);
  if (!progress)
    return finish(msg.reply, progress.error());
  ++pending_;
  self_
    ->request(training_status_, cfg_.request_timeout, put_atom_v,
              std::move(*progress))
    .then(
      [this, reply_to = msg.reply] {
        --pending_;
        finish(reply_to, {});
      },
      [this, reply_to = msg.reply](const caf::error& err) {
        --pending_;
        finish(reply_to, err);
      });
}

void progress_feed_state::finish(const std::string& reply_to,
                                 const caf::error& err) {
  if (err)
    log::debug(
      name, "refused a message",
      {{"subject", subjects::training_progress}, {"error", text_of(err)}});
  if (!reply_to.empty())
    caf::anon_send(bus_, put_atom_v,
                   bus_message{reply_to, encode_outcome(err), {}});
}

bus_sink_actor::behavior_type
progress_feed(bus_sink_actor::stateful_pointer<progress_feed_state> self,
              bus_actor bus, training_status_actor training_status,
              const progress_feed_config& cfg) {
  return self->state.make_behavior(std::move(bus), std::move(training_status),
                                   cfg);
}

} // namespace aiops::nats
