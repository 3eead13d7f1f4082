#include "nats/subjects.hpp"

#include <charconv>

namespace aiops::subjects {

namespace {

bool plain(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')
         || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

} // namespace

std::string encode_token(std::string_view name) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string result;
  result.reserve(name.size());
  for (auto c : name) {
    if (plain(c)) {
      result += c;
    } else {
      auto byte = static_cast<unsigned char>(c);
      result += '%';
      result += digits[byte >> 4];
      result += digits[byte & 15];
    }
  }
  return result;
}

std::optional<std::string> decode_token(std::string_view token) {
  std::string result;
  result.reserve(token.size());
  while (!token.empty()) {
    if (token.front() != '%') {
      result += token.front();
      token.remove_prefix(1);
      continue;
    }
    unsigned char byte = 0;
    if (token.size() < 3)
      return std::nullopt;
    auto last = token.data() + 3;
    auto [end, error] = std::from_chars(token.data() + 1, last, byte, 16);
    if (error != std::errc{} || end != last)
      return std::nullopt;
    result += static_cast<char>(byte);
    token.remove_prefix(3);
  }
  return result;
}

std::string log_subject(std::string_view stream, std::string_view cluster,
                        std::string_view namespace_name,
                        std::string_view deployment) {
  return std::string{stream} + '.' + encode_token(cluster) + '.'
         + encode_token(namespace_name) + '.' + encode_token(deployment);
}

} // namespace aiops::subjects
