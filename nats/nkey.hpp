#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace aiops::nats {

/// Finds the seed (a line that starts with `S`) in the text of an NKey seed
/// file, with or without header lines; empty when there is none.
std::string find_nkey_seed(std::string_view text);

/// Derives the public key that belongs to an NKey seed, as the server's
/// configuration names it (`U...` for a user). Nothing for a malformed seed.
std::optional<std::string> nkey_public_key(std::string_view seed);

} // namespace aiops::nats
