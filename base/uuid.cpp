#include "base/uuid.hpp"

#include <random>

namespace aiops {

std::string make_uuid() {
  static constexpr char digits[] = "0123456789abcdef";
  std::random_device source;
  std::uniform_int_distribution<int> digit{0, 15};
  std::string result{"xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx"};
  for (auto& c : result)
    if (c == 'x')
      c = digits[digit(source)];
    else if (c == 'y') // Two bits are the variant of RFC 9562.
      c = digits[8 + digit(source) % 4];
  return result;
}

} // namespace aiops
