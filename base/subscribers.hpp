#pragma once

#include "base/caf_compat.hpp"

#include <algorithm>
#include <vector>

namespace aiops {

/// The actors that follow another one, without those that have ended.
template <class Handle>
class subscribers {
public:
  /// Forgets subscribers that end. Sets the down handler of `self`.
  template <class Self>
  void forget_ended(Self* self) {
    self->set_down_handler(
      [this](const caf::down_msg& msg) { remove(msg.source); });
  }

  void remove(const caf::actor_addr& gone) {
    std::erase_if(handles_, [&](auto& x) { return x.address() == gone; });
  }

  bool contains(const Handle& x) const {
    return std::find(handles_.begin(), handles_.end(), x) != handles_.end();
  }

  /// Adds a subscriber, and monitors it, unless it is known already.
  template <class Self>
  void add(Self* self, const Handle& x) {
    if (contains(x))
      return;
    self->monitor(x);
    handles_.push_back(x);
  }

  /// Sends a message to every subscriber.
  template <class... Ts>
  void send(const Ts&... xs) const {
    for (auto& x : handles_)
      caf::anon_send(x, xs...);
  }

  bool empty() const noexcept {
    return handles_.empty();
  }

  size_t size() const noexcept {
    return handles_.size();
  }

private:
  std::vector<Handle> handles_;
};

} // namespace aiops
