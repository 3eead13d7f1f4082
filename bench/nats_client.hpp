#pragma once

#include <nats/nats.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// @file
/// What the reference programs share: requests to the training backend, and the
/// measurement of their duration.

namespace bench {

/// Owns an object of the NATS library.
template <class T>
using owned = std::unique_ptr<T, void (*)(T*)>;

/// Whether messages are sent at once or by the thread that flushes.
enum class sending { at_once, by_flusher };

/// A connection; null when it fails.
inline owned<natsConnection> connect(const char* url, sending how) {
  natsOptions* options = nullptr;
  natsOptions_Create(&options);
  natsOptions_SetURL(options, url);
  natsOptions_SetSendAsap(options, how == sending::at_once);
  natsConnection* result = nullptr;
  auto status = natsConnection_Connect(&result, options);
  natsOptions_Destroy(options);
  return {status == NATS_OK ? result : nullptr, natsConnection_Destroy};
}

/// Submits a watchlist to the backend.
/// @returns the reply; nothing when there is none in time.
inline std::optional<std::string> submit(natsConnection* conn,
                                         std::string_view watchlist) {
  natsMsg* reply = nullptr;
  if (natsConnection_Request(&reply, conn, "train_model", watchlist.data(),
                             static_cast<int>(watchlist.size()), 5'000)
      != NATS_OK)
    return std::nullopt;
  std::string text{natsMsg_GetData(reply),
                   static_cast<size_t>(natsMsg_GetDataLength(reply))};
  natsMsg_Destroy(reply);
  return text;
}

/// Calls `operation` repeatedly, and prints the median and the 99th percentile
/// of the duration of `count` calls in microseconds.
/// @returns false when a call returns false.
template <class Operation>
bool measure(size_t count, Operation operation) {
  using clock = std::chrono::steady_clock;
  std::vector<double> micros;
  auto warm_up = count / 10;
  for (size_t i = 0; i < count + warm_up; ++i) {
    auto begin = clock::now();
    if (!operation())
      return false;
    std::chrono::duration<double, std::micro> taken = clock::now() - begin;
    if (i >= warm_up)
      micros.push_back(taken.count());
  }
  std::sort(micros.begin(), micros.end());
  std::cout << micros[micros.size() / 2] << ' '
            << micros[micros.size() * 99 / 100] << '\n';
  return true;
}

} // namespace bench
