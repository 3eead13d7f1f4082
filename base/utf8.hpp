#pragma once

#include <cstdint>
#include <string_view>

namespace aiops {

/// Reads one UTF-8 code point at the front of `text` and removes it; -1 when
/// the bytes are not valid UTF-8 (overlong forms and surrogates are invalid);
/// `text` is then unchanged.
/// @pre `!text.empty()`
int32_t next_code_point(std::string_view& text);

} // namespace aiops
