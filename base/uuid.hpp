#pragma once

#include <string>

namespace aiops {

/// A random UUID (version 4), in lower case.
std::string make_uuid();

} // namespace aiops
