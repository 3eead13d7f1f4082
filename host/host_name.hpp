#pragma once

#include <unistd.h>

#include <string>

namespace aiops::host {

/// The name of this machine; empty when it is unknown.
inline std::string host_name() {
  char buffer[256] = {};
  if (::gethostname(buffer, sizeof(buffer) - 1) != 0)
    return {};
  return buffer;
}

} // namespace aiops::host
