#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <utility>

namespace aiops {

/// An immutable value that any number of readers share, together with its
/// encoded bytes. They are made at most once, by the thread that needs them
/// first.
template <class T>
class snapshot {
public:
  explicit snapshot(T value) : value_(std::move(value)) {
    // nop
  }

  const T& value() const noexcept {
    return value_;
  }

  /// The value as `render` writes it. Every caller must pass the same
  /// function, because only the first result is kept.
  template <class Render>
  const std::string& bytes(Render&& render) const {
    std::call_once(once_, [&] { bytes_ = render(value_); });
    return bytes_;
  }

private:
  T value_;
  mutable std::once_flag once_;
  mutable std::string bytes_;
};

template <class T>
using snapshot_ptr = std::shared_ptr<const snapshot<T>>;

template <class T>
snapshot_ptr<T> make_snapshot(T value) {
  return std::make_shared<const snapshot<T>>(std::move(value));
}

} // namespace aiops
