#include "base/uuid.hpp"

#include <array>
#include <random>

#include <sys/random.h>

namespace aiops {

namespace {

using octets = std::array<unsigned char, 16>;

/// One call of the kernel: the standard library's device costs as much for
/// each number, and on some processors ten times that.
octets random_octets() {
  octets result;
  if (getentropy(result.data(), result.size()) != 0) {
    std::random_device source;
    for (auto& x : result)
      x = static_cast<unsigned char>(source());
  }
  return result;
}

} // namespace

std::string make_uuid() {
  static constexpr char digits[] = "0123456789abcdef";
  auto octets = random_octets();
  octets[6] = static_cast<unsigned char>(0x40 | (octets[6] & 0x0f));
  // Two bits are the variant of RFC 9562.
  octets[8] = static_cast<unsigned char>(0x80 | (octets[8] & 0x3f));
  std::string result;
  result.reserve(36);
  for (size_t i = 0; i < octets.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10)
      result += '-';
    result += digits[octets[i] >> 4];
    result += digits[octets[i] & 0x0f];
  }
  return result;
}

} // namespace aiops
