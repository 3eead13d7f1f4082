#pragma once

#include <string_view>

namespace aiops::host {

/// Tells the service manager the state, for example `READY=1`, several lines
/// at once allowed. Does nothing unless it started us and wants to know.
void notify_systemd(std::string_view state);

} // namespace aiops::host
