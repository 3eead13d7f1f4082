#include "nats/socket_link.hpp"

#include "nats/options.hpp"

#include <utility>
#include <vector>

namespace aiops::nats {

namespace {

/// The library may call back after everything else is destroyed, so a link that
/// it uses is kept until the process ends.
void keep(std::shared_ptr<socket_link> link) {
  static std::mutex mutex;
  static auto links = std::vector<std::shared_ptr<socket_link>>{};
  std::lock_guard guard{mutex};
  links.push_back(std::move(link));
}

} // namespace

socket_link::socket_link(std::shared_ptr<socket_watcher> watcher)
  : watcher_(std::move(watcher)) {
  // nop
}

natsStatus socket_link::apply(natsOptions* opts) {
  auto on_attach = [](void** data, void* self, natsConnection* conn,
                      natsSock socket) {
    *data = self;
    return static_cast<socket_link*>(self)->attach(conn,
                                                   static_cast<int>(socket));
  };
  // These two are called with the connection's lock held.
  auto on_read = [](void* data, bool on) {
    auto self = static_cast<socket_link*>(data);
    self->reading_ = on;
    self->watcher_->look_again();
    return NATS_OK;
  };
  auto on_write = [](void* data, bool on) {
    auto self = static_cast<socket_link*>(data);
    self->writing_ = on;
    if (on)
      self->watcher_->look_again();
    return NATS_OK;
  };
  auto on_detach = [](void* data) {
    static_cast<socket_link*>(data)->detach();
    return NATS_OK;
  };
  return natsOptions_SetEventLoop(opts, this, on_attach, on_read, on_write,
                                  on_detach);
}

void socket_link::on_read(std::function<void()> f) {
  std::lock_guard guard{mutex_};
  on_read_ = std::move(f);
}

natsStatus socket_link::attach(natsConnection* conn, int descriptor) {
  conn_ = conn;
  descriptor_ = descriptor;
  reading_ = true;
  keep(shared_from_this());
  watcher_->watch(shared_from_this());
  return NATS_OK;
}

void socket_link::detach() {
  std::lock_guard guard{mutex_};
  conn_ = nullptr;
  descriptor_ = -1;
  watcher_->look_again();
}

int socket_link::descriptor() const {
  return reading_ ? descriptor_.load() : -1;
}

bool socket_link::flush() {
  if (!writing_) {
    stuck_ = false;
    return false;
  }
  std::lock_guard guard{mutex_};
  if (conn_ == nullptr)
    return false;
  natsConnection_ProcessWriteEvent(conn_);
  if (!writing_ || conn_ == nullptr) {
    stuck_ = false;
    return false;
  }
  auto now = std::chrono::steady_clock::now();
  if (!std::exchange(stuck_, true))
    stuck_since_ = now;
  else if (now - stuck_since_ > write_deadline)
    natsConnection_Close(conn_);
  return conn_ != nullptr;
}

void socket_link::read() {
  std::lock_guard guard{mutex_};
  if (conn_ == nullptr)
    return;
  natsConnection_ProcessReadEvent(conn_);
  if (on_read_)
    on_read_();
}

} // namespace aiops::nats
