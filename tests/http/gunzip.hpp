#pragma once

#include <zlib.h>

#include <string>

namespace aiops::test {

/// The contents of a gzip file; empty if it is not one.
inline std::string gunzip(std::string bytes) {
  std::string result;
  z_stream stream{};
  inflateInit2(&stream, MAX_WBITS + 16);
  stream.next_in = reinterpret_cast<Bytef*>(bytes.data());
  stream.avail_in = static_cast<uInt>(bytes.size());
  auto code = Z_OK;
  while (code == Z_OK) {
    char buf[4096];
    stream.next_out = reinterpret_cast<Bytef*>(buf);
    stream.avail_out = sizeof(buf);
    code = inflate(&stream, Z_NO_FLUSH);
    result.append(buf, sizeof(buf) - stream.avail_out);
  }
  inflateEnd(&stream);
  return code == Z_STREAM_END && stream.avail_in == 0 ? result : std::string{};
}

} // namespace aiops::test
