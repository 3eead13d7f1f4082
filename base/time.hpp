#pragma once

#include <chrono>

namespace aiops {

using std::chrono::milliseconds;

} // namespace aiops
