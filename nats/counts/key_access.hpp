#pragma once

#include "actors/messages.hpp"
#include "base/error.hpp"

#include <functional>
#include <string>

namespace aiops::nats {

/// Access to the keys of one bucket. The answers arrive later.
struct key_access {
  std::function<void(std::string, std::function<void(caf::expected<kv_entry>)>)>
    get;
  std::function<void(kv_write, std::function<void(caf::expected<uint64_t>)>)>
    put;
};

} // namespace aiops::nats
