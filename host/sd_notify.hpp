#pragma once

#include <string_view>

namespace aiops::host {

/// Notifies systemd of the state, for example `READY=1`; several lines are
/// allowed. Does nothing unless systemd expects notifications (NOTIFY_SOCKET).
void notify_systemd(std::string_view state);

} // namespace aiops::host
