#pragma once

#include <cstdint>
#include <string_view>

namespace aiops {

/// Reads one UTF-8 code point at the front of `text` and removes it; -1 when
/// the bytes are no valid UTF-8 (overlong forms and surrogates are not), and
/// `text` then stays as it is.
/// @pre `!text.empty()`
int32_t next_code_point(std::string_view& text);

} // namespace aiops
