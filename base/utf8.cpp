#include "base/utf8.hpp"

#include <cstddef>

namespace aiops {

int32_t next_code_point(std::string_view& text) {
  auto byte = [&](size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  auto lead = byte(0);
  auto length = lead < 0x80u             ? 1
                : (lead & 0xe0u) == 0xc0 ? 2
                : (lead & 0xf0u) == 0xe0 ? 3
                : (lead & 0xf8u) == 0xf0 ? 4
                                         : 0;
  if (length == 0)
    return -1;
  constexpr int32_t minimum[] = {0, 0, 0x80, 0x800, 0x10000};
  constexpr uint32_t mask[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
  auto point = static_cast<int32_t>(lead & mask[length]);
  for (auto i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0u) != 0x80u)
      return -1;
    point = (point << 6) | static_cast<int32_t>(byte(i) & 0x3fu);
  }
  if (point < minimum[length] || point > 0x10ffff
      || (point >= 0xd800 && point <= 0xdfff))
    return -1;
  text.remove_prefix(length);
  return point;
}

} // namespace aiops
