#include "http/server/negotiation.hpp"

#include "http/server/header_text.hpp"

#include <zlib.h>

#include <algorithm>
#include <cstdint>

namespace aiops::http {

namespace {

/// Removes the part before the next separator and returns it.
std::string_view cut(std::string_view& text, char separator) {
  auto end = std::min(text.find(separator), text.size());
  auto part = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return trim(part);
}

/// Whether a weight such as `q=0.5` is above zero.
bool is_positive(std::string_view weight) {
  auto key = cut(weight, '=');
  weight = trim(weight);
  auto digit_or_dot = [](char c) { return c == '.' || (c >= '0' && c <= '9'); };
  return equal_ignoring_case(key, "q")
         && (weight.starts_with('0') || weight.starts_with('1'))
         && std::all_of(weight.begin(), weight.end(), digit_or_dot)
         && weight.find_first_of("123456789") != std::string_view::npos;
}

} // namespace

bool accepts_gzip(std::string_view accept_encoding) {
  auto any = false;
  while (!accept_encoding.empty()) {
    auto weight = cut(accept_encoding, ',');
    auto coding = cut(weight, ';');
    auto wanted = trim(weight).empty() || is_positive(weight);
    // A named coding has priority over the asterisk, in any order.
    if (equal_ignoring_case(coding, "gzip")
        || equal_ignoring_case(coding, "x-gzip"))
      return wanted;
    if (coding == "*")
      any = wanted;
  }
  return any;
}

std::string etag_of(std::string_view body) {
  // FNV-1a. It need not resist attacks: a client that can choose the body can
  // change the data anyway.
  uint64_t hash = 0xcbf29ce484222325;
  for (unsigned char c : body)
    hash = (hash ^ c) * 0x100000001b3;
  std::string result = "W/\"";
  for (auto shift = 60; shift >= 0; shift -= 4)
    result += "0123456789abcdef"[(hash >> shift) & 15];
  return result + '"';
}

bool etag_matches(std::string_view if_none_match, std::string_view etag) {
  auto opaque = [](std::string_view tag) {
    return tag.starts_with("W/") ? tag.substr(2) : tag;
  };
  auto rest = trim(if_none_match);
  if (rest == "*")
    return true;
  for (;;) {
    rest.remove_prefix(std::min(rest.find_first_not_of(" \t,"), rest.size()));
    rest = opaque(rest);
    // The quotes may contain commas.
    auto end = rest.starts_with('"') ? rest.find('"', 1)
                                     : std::string_view::npos;
    if (end == std::string_view::npos)
      return false;
    if (rest.substr(0, end + 1) == opaque(etag))
      return true;
    rest.remove_prefix(end + 1);
  }
}

std::optional<std::string> gzip(std::string_view bytes) {
  z_stream stream{};
  // 16 is added to the window bits for the gzip format. All clients share the
  // workers, and lists of counts shrink to a tenth at any level, so the fastest
  // level is used.
  if (deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, MAX_WBITS + 16,
                   MAX_MEM_LEVEL, Z_DEFAULT_STRATEGY)
      != Z_OK)
    return std::nullopt;
  std::string result;
  result.resize(deflateBound(&stream, bytes.size()));
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(result.data());
  stream.avail_out = static_cast<uInt>(result.size());
  auto done = bytes.size() <= UINT32_MAX && result.size() <= UINT32_MAX
              && deflate(&stream, Z_FINISH) == Z_STREAM_END;
  result.resize(stream.total_out);
  deflateEnd(&stream);
  if (!done)
    return std::nullopt;
  return result;
}

void negotiate(const http_request& req, http_response& res) {
  if (!res.recurring || res.status != 200)
    return;
  auto etag = etag_of(res.body);
  auto known = etag_matches(req.if_none_match, etag);
  res.headers.emplace_back("ETag", std::move(etag));
  res.headers.emplace_back("Cache-Control", "no-cache");
  res.headers.emplace_back("Vary", "Accept-Encoding");
  if (known) {
    res.status = 304;
    res.body.clear();
  } else if (req.accepts_gzip && res.body.size() >= min_compressed) {
    if (auto compressed = gzip(res.body)) {
      res.body = std::move(*compressed);
      res.headers.emplace_back("Content-Encoding", "gzip");
    }
  }
}

} // namespace aiops::http
