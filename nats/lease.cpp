#include "nats/lease.hpp"

#include "actors/training/planted_bug.hpp"
#include "base/error.hpp"
#include "base/log.hpp"
#include "host/host_name.hpp"
#include "nats/json.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <random>

#include <unistd.h>

namespace aiops::nats {

namespace {

/// How often the lease is renewed or read in one lease duration.
constexpr int reads_per_duration = 4;

constexpr auto patience_with_outages = std::chrono::milliseconds{250};

/// Each write contains the revision that it replaces, so that no two are equal.
/// After a write without an answer, an earlier value from an old copy of the
/// store must not be mistaken for it.
std::string encode_lease(const std::string& owner, uint64_t over,
                         bool released) {
  nlohmann::json result{{"owner", owner}, {"over", over}};
  if (released)
    result["released"] = true;
  return dump_json(result);
}

} // namespace

std::string replica_id() {
  std::random_device random;
  return host::host_name() + '-' + std::to_string(getpid()) + '-'
         + std::to_string(random());
}

internal_lease_actor::behavior_type
lease_state::make_behavior(kv_store_actor kv_store, const lease_config& cfg) {
  kv_store_ = std::move(kv_store);
  cfg_ = cfg;
  listeners_.forget_ended(self_);
  self_->set_exit_handler(
    [this](const caf::exit_msg& msg) { release(msg.reason); });
  timer_ = self_->clock().now();
  caf::anon_send(self_, tick_atom_v);
  return {
    [this](subscribe_atom, const lease_listener_actor& listener) {
      add_listener(listener);
    },
    [this](tick_atom) { tick(); },
  };
}

void lease_state::add_listener(const lease_listener_actor& listener) {
  listeners_.add(self_, listener);
  caf::anon_send(listener, update_atom_v, status_);
}

void lease_state::tick() {
  auto now = self_->clock().now();
  if (!timer_ || now < *timer_)
    return;
  timer_.reset();
  if (held() && now >= status_.until)
    lose("it could not be renewed in time");
  if (busy_)
    wake_at(now + cfg_.duration / reads_per_duration);
  else if (held())
    write(revision_);
  else
    read();
}

void lease_state::read() {
  if (leaving_)
    return;
  busy_ = true;
  self_
    ->request(kv_store_, cfg_.duration / 2, get_atom_v, cfg_.bucket, cfg_.key)
    .then([this](const kv_entry& entry) { handle_entry(entry); },
          [this](const caf::error&) {
            // The bus logs outages, and most of them are short.
            busy_ = false;
            wake_at(
              self_->clock().now()
              + std::min<caf::timespan>(cfg_.duration / reads_per_duration,
                                        patience_with_outages));
          });
}

void lease_state::handle_entry(const kv_entry& entry) {
  busy_ = false;
  auto now = self_->clock().now() + planted_clock_offset(cfg_.owner);
  if (revision_ != entry.revision) {
    revision_ = entry.revision;
    seen_ = now;
  }
  auto value = parse_json(entry.value);
  auto has = [&](const char* key, const nlohmann::json& what) {
    return value.is_object() && value.contains(key) && value[key] == what;
  };
  // The own value: a write without an answer was stored.
  auto free = entry.revision == 0 || has("released", true)
              || has("owner", cfg_.owner) || now - seen_ >= cfg_.duration;
  if (free)
    return write(entry.revision);
  if (held())
    lose("another replica has taken it");
  wake_at(
    std::min(now + cfg_.duration / reads_per_duration, seen_ + cfg_.duration));
}

void lease_state::write(uint64_t expected) {
  if (leaving_)
    return;
  busy_ = true;
  auto sent = self_->clock().now();
  auto over = planted(planted_bug::lease_without_revision)
                ? std::nullopt
                : std::optional{expected};
  self_
    ->request(kv_store_, cfg_.duration / 2, put_atom_v,
              kv_write{cfg_.bucket, cfg_.key,
                       encode_lease(cfg_.owner, expected, false), over})
    .then([this, sent](uint64_t revision) { written(sent, revision); },
          [this](const caf::error& err) {
            busy_ = false;
            // Another replica was faster, or an earlier write without an answer
            // was stored. The key shows which.
            if (code_of(err) == ec::conflict)
              read();
            else
              wake_at(self_->clock().now()
                      + cfg_.duration / (2 * reads_per_duration));
          });
}

void lease_state::written(clock::time_point sent, uint64_t revision) {
  busy_ = false;
  if (leaving_)
    return;
  revision_ = revision;
  auto until = sent + cfg_.duration * 3 / 4;
  auto now = self_->clock().now();
  if (now >= until) {
    // The answer arrived too late; the next write starts another term.
    if (held())
      lose("a renewal took too long");
    return read();
  }
  if (!held()) {
    status_.held = true;
    status_.term = revision;
    log::info(name, "took the lease", {{"key", cfg_.key}, {"term", revision}});
  }
  status_.until = until;
  notify();
  wake_at(sent + cfg_.duration / reads_per_duration);
}

void lease_state::lose(const std::string& why) {
  log::warning(name, "lost the lease", {{"key", cfg_.key}, {"reason", why}});
  status_ = {};
  notify();
}

void lease_state::notify() {
  listeners_.send(update_atom_v, status_);
}

void lease_state::release(const caf::error& reason) {
  if (!held() || reason == caf::exit_reason::kill) {
    self_->quit(reason);
    return;
  }
  status_ = {};
  leaving_ = true;
  timer_.reset();
  notify();
  self_
    ->request(kv_store_, cfg_.duration / reads_per_duration, put_atom_v,
              kv_write{cfg_.bucket, cfg_.key,
                       encode_lease(cfg_.owner, revision_, true), revision_})
    .then([this, reason](uint64_t) { self_->quit(reason); },
          [this, reason](const caf::error&) { self_->quit(reason); });
}

void lease_state::wake_at(clock::time_point when) {
  timer_ = when;
  self_->scheduled_send(self_, when, tick_atom_v);
}

internal_lease_actor::behavior_type
lease(internal_lease_actor::stateful_pointer<lease_state> self,
      kv_store_actor kv_store, const lease_config& cfg) {
  return self->state.make_behavior(std::move(kv_store), cfg);
}

} // namespace aiops::nats
