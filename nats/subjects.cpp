#include "nats/subjects.hpp"

#include <charconv>

namespace aiops::nats::subjects {

namespace {

bool plain(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')
         || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

std::string encode(std::string_view name, char escape) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string result;
  result.reserve(name.size());
  for (auto c : name) {
    if (plain(c)) {
      result += c;
    } else {
      auto byte = static_cast<unsigned char>(c);
      result += escape;
      result += digits[byte >> 4];
      result += digits[byte & 15];
    }
  }
  return result;
}

} // namespace

std::string generation_prefix(uint64_t term, uint64_t number) {
  return "counts." + std::to_string(term) + '.' + std::to_string(number) + '.';
}

std::string index_key(std::string_view prefix, size_t number) {
  return std::string{prefix} + "index." + std::to_string(number);
}

std::string shard_key(std::string_view prefix, std::string_view cluster,
                      size_t part) {
  return std::string{prefix} + "shard." + encode_key_token(cluster) + '.'
         + std::to_string(part);
}

std::string watchlist_key(const std::string& id) {
  return "training.watchlist." + id;
}

std::string unreadable_key(uint64_t revision) {
  return "training.unreadable." + std::to_string(revision);
}

std::string job_key(uint64_t number) {
  return "training.history." + std::to_string(number % job_slots);
}

std::string history_key(size_t slot, size_t part) {
  return "history." + std::to_string(slot) + '.' + std::to_string(part);
}

std::string encode_token(std::string_view name) {
  return encode(name, '%');
}

std::string encode_key_token(std::string_view name) {
  return encode(name, '=');
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

} // namespace aiops::nats::subjects
