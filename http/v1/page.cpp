#include "http/v1/page.hpp"

#include "base/error.hpp"

#include <charconv>
#include <cstdint>

namespace aiops::http {

namespace {

using namespace std::literals;

constexpr auto alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                          "0123456789-_"sv;

} // namespace

caf::expected<size_t> read_limit(const http_request& req) {
  auto result = default_page_size;
  if (auto text = req.parameter("limit"); !text.empty()) {
    auto last = text.data() + text.size();
    auto [ptr, err] = std::from_chars(text.data(), last, result);
    if (err != std::errc{} || ptr != last || result < 1
        || result > max_page_size)
      return make_error(ec::invalid_argument,
                        "limit must be an integer from 1 to "
                          + std::to_string(max_page_size));
  }
  return result;
}

std::string encode_base64url(std::string_view bytes) {
  std::string result;
  uint32_t bits = 0;
  auto n = 0;
  for (unsigned char c : bytes) {
    bits = bits << 8 | c;
    for (n += 8; n >= 6; n -= 6)
      result += alphabet[bits >> (n - 6) & 63];
  }
  if (n > 0)
    result += alphabet[bits << (6 - n) & 63];
  return result;
}

std::optional<std::string> decode_base64url(std::string_view text) {
  std::string result;
  uint32_t bits = 0;
  auto n = 0;
  for (auto c : text) {
    auto value = alphabet.find(c);
    if (value == std::string_view::npos)
      return std::nullopt;
    bits = bits << 6 | static_cast<uint32_t>(value);
    n += 6;
    if (n >= 8) {
      n -= 8;
      result += static_cast<char>(bits >> n & 255);
    }
  }
  // The remaining bits must be padding.
  if (n == 6 || (bits & ((1u << n) - 1)) != 0)
    return std::nullopt;
  return result;
}

} // namespace aiops::http
