#pragma once

#include "base/caf_compat.hpp"

#include <utility>

namespace aiops {

/// An error handler that passes the error on to the caller of `promise`.
template <class Promise>
auto relay(Promise promise) {
  return [promise = std::move(promise)](const caf::error& err) mutable {
    promise.deliver(err);
  };
}

} // namespace aiops
