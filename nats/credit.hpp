#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

namespace aiops::nats {

/// Limits the messages of one subscription that are queued in this process,
/// between the library's thread and the actor that handles them. Each message
/// holds a token; destroying the token returns its credit, on any thread.
/// @thread-safe
class credit : public std::enable_shared_from_this<credit> {
public:
  using token = std::shared_ptr<const void>;

  /// Maximum of queued messages and bytes. A message with more bytes is
  /// accepted if no other is queued.
  explicit credit(size_t messages = 1024, size_t bytes = 8 * 1024 * 1024)
    : max_messages_(messages), max_bytes_(bytes) {
    // nop
  }

  /// Returns the token of a message, or null when there is no credit.
  token take(size_t bytes) {
    auto messages = messages_.fetch_add(1) + 1;
    auto total = bytes_.fetch_add(bytes) + bytes;
    if (messages > max_messages_ || (messages > 1 && total > max_bytes_)) {
      give_back(bytes);
      return nullptr;
    }
    auto release = [self = shared_from_this(), bytes](const void*) {
      self->give_back(bytes);
    };
    return {this, std::move(release)};
  }

  /// Counts a message that was dropped. True for the first one since `resume`.
  bool drop() {
    return dropped_.fetch_add(1) == 0;
  }

  /// Returns the number of messages dropped since the last call.
  uint64_t resume() {
    return dropped_.exchange(0);
  }

private:
  void give_back(size_t bytes) {
    messages_.fetch_sub(1);
    bytes_.fetch_sub(bytes);
  }

  const size_t max_messages_;
  const size_t max_bytes_;
  std::atomic<size_t> messages_{0};
  std::atomic<size_t> bytes_{0};
  std::atomic<uint64_t> dropped_{0};
};

} // namespace aiops::nats
