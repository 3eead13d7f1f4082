#pragma once

#include "base/time.hpp"

#include <algorithm>

/// @file
/// The deadlines of all requests between actors. A caller has to wait longer
/// than the actor it asks, so that it gets the error of that actor, which says
/// more than its own timeout. The steps and factors are written here only.

namespace aiops {

/// How much longer a caller waits than the actor it asks.
inline constexpr milliseconds deadline_step{50};

/// The deadline of a caller whose request is answered within `inner`.
template <class Duration>
constexpr Duration outlast(Duration inner) {
  return inner + deadline_step;
}

/// How long a change of the training book may take if one request to the store
/// takes up to `step`: it may wait for another change, read the book, and write
/// it.
template <class Duration>
constexpr Duration change_time(Duration step) {
  return 3 * step;
}

/// From the bus to the HTTP API; each is the deadline of those who ask.
struct deadlines {
  /// A server or the backend answers a request of the bus.
  milliseconds bus{};
  /// The bus answers.
  milliseconds bus_answer{};
  /// The key-value store answers.
  milliseconds store{};
  /// A store or the backend answers an actor of the domain.
  milliseconds domain{};
  /// A caller that waits for something that is not yet known is answered.
  milliseconds wait{};
  /// An HTTP request that reads or writes is answered.
  milliseconds http{};

  /// A submission is answered; then by HTTP.
  milliseconds train{};
  milliseconds http_train{};
  /// The outcome of a submission is stored. After its own deadline it may be
  /// read back and stored.
  milliseconds outcome{};

  /// A change of the book is stored; then a report of progress from the bus.
  /// They may take longer than an HTTP request: the client then gets 504, and
  /// the work goes on.
  milliseconds change{};
  milliseconds progress{};

  /// @param request `--request-timeout`
  /// @param submission `--train-timeout`
  static constexpr deadlines of(milliseconds request, milliseconds submission) {
    deadlines result;
    result.bus = request;
    result.bus_answer = outlast(result.bus);
    result.store = outlast(result.bus_answer);
    result.domain = outlast(result.store);
    result.wait = outlast(result.domain);
    result.http = outlast(result.wait);
    result.change = change_time(result.domain);
    result.progress = outlast(result.change);
    result.train = submission;
    result.http_train = result.train + (result.http - result.bus);
    result.outcome = result.train + change_time(result.domain);
    return result;
  }

  /// A bucket is found or created, which takes several requests.
  constexpr milliseconds bucket() const {
    return 5 * store;
  }

  /// A notification of the end of a training is delivered by NATS or HTTP.
  constexpr milliseconds notification(milliseconds webhook) const {
    return std::max(2 * bus, outlast(webhook));
  }

  /// A scan of the GPUs. It runs in the background.
  constexpr milliseconds scan(milliseconds interval) const {
    return std::max(bus, interval * 4 / 5);
  }

  /// Runtime classes are listed, possibly after a scan that is running.
  constexpr milliseconds classes(milliseconds interval) const {
    return outlast(2 * scan(interval));
  }
};

/// A count of log messages ends before the next one begins.
constexpr milliseconds count_deadline(milliseconds interval) {
  return interval * 7 / 10;
}

} // namespace aiops
