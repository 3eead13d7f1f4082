#include "nats/nkey.hpp"

#include <openssl/evp.h>

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

namespace aiops::nats {

namespace {

constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The first byte of every seed, before the kind of key is mixed in.
constexpr uint8_t seed_prefix = 18 << 3;

/// Ed25519 keys, private and public, have 32 bytes.
constexpr size_t key_size = 32;

/// Characters of a seed: prefix, key and checksum in base32.
constexpr size_t seed_length = 58;

std::optional<std::vector<uint8_t>> base32_decode(std::string_view text) {
  std::vector<uint8_t> result;
  uint32_t bits = 0;
  auto count = 0;
  for (auto c : text) {
    auto value = alphabet.find(c);
    if (value == std::string_view::npos)
      return std::nullopt;
    bits = (bits << 5) | static_cast<uint32_t>(value);
    count += 5;
    if (count >= 8) {
      count -= 8;
      result.push_back(static_cast<uint8_t>(bits >> count));
    }
  }
  return result;
}

std::string base32_encode(const std::vector<uint8_t>& bytes) {
  std::string result;
  uint32_t bits = 0;
  auto count = 0;
  for (auto byte : bytes) {
    bits = (bits << 8) | byte;
    count += 8;
    while (count >= 5) {
      count -= 5;
      result += alphabet[(bits >> count) & 31];
    }
  }
  if (count > 0)
    result += alphabet[(bits << (5 - count)) & 31];
  return result;
}

/// CRC-16/XMODEM, the checksum of NKeys.
uint16_t checksum(const uint8_t* first, const uint8_t* last) {
  uint16_t crc = 0;
  for (; first != last; ++first) {
    crc = static_cast<uint16_t>(crc ^ (*first << 8));
    for (auto bit = 0; bit < 8; ++bit)
      crc = static_cast<uint16_t>(crc & 0x8000 ? (crc << 1) ^ 0x1021
                                               : crc << 1);
  }
  return crc;
}

} // namespace

std::string find_nkey_seed(std::string_view text) {
  while (!text.empty()) {
    auto end = text.find_first_of("\r\n");
    auto line = text.substr(0, end);
    while (!line.empty() && (line.front() == ' ' || line.front() == '\t'))
      line.remove_prefix(1);
    while (!line.empty() && (line.back() == ' ' || line.back() == '\t'))
      line.remove_suffix(1);
    if (line.starts_with('S'))
      return std::string{line};
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return {};
}

std::optional<std::string> nkey_public_key(std::string_view seed) {
  auto raw = base32_decode(seed);
  if (!raw || seed.size() != seed_length)
    return std::nullopt;
  auto body_end = raw->data() + 2 + key_size;
  auto expected = static_cast<uint16_t>(body_end[0] | (body_end[1] << 8));
  auto prefix = static_cast<uint8_t>((*raw)[0] & 0xf8);
  if (checksum(raw->data(), body_end) != expected || prefix != seed_prefix)
    return std::nullopt;
  using key_ptr = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
  auto key = key_ptr{EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr,
                                                  raw->data() + 2, key_size),
                     EVP_PKEY_free};
  // The seed's second byte contains the rest of the kind of key.
  std::vector<uint8_t> result(1 + key_size);
  result[0] = static_cast<uint8_t>((((*raw)[0] & 7) << 5) | ((*raw)[1] >> 3));
  auto size = key_size;
  if (!key
      || EVP_PKEY_get_raw_public_key(key.get(), result.data() + 1, &size) != 1)
    return std::nullopt;
  auto crc = checksum(result.data(), result.data() + result.size());
  result.push_back(static_cast<uint8_t>(crc & 0xff));
  result.push_back(static_cast<uint8_t>(crc >> 8));
  return base32_encode(result);
}

} // namespace aiops::nats
