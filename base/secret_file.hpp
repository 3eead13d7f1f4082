#pragma once

#include "base/error.hpp"

#include <filesystem>
#include <string>

namespace aiops {

/// Reads a file that holds one secret: a password, a token or a key. Line
/// breaks at its end are not part of the secret; everything else is. Blocks. An
/// error is `invalid_configuration`, and its text says why without naming the
/// file.
caf::expected<std::string> read_secret(const std::filesystem::path& file);

} // namespace aiops
