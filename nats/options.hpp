#pragma once

#include "config/config.hpp"

#include <nats/nats.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

namespace aiops::nats {

/// A peer that receives nothing for this long counts as dead.
inline constexpr std::chrono::milliseconds write_deadline{1'000};

struct nats_options_deleter {
  void operator()(natsOptions* ptr) const noexcept {
    natsOptions_Destroy(ptr);
  }
};

using nats_options_ptr = std::unique_ptr<natsOptions, nats_options_deleter>;

/// Makes the library's options for servers, credentials and TLS. Reads the
/// credential files, so call it for each attempt to connect. Fails with
/// `invalid_configuration` and a sentence that names the file.
caf::expected<nats_options_ptr> make_options(const nats_config& config);

/// Whether the connection is encrypted.
bool wants_tls(const nats_config& config);

/// The last error of the library on this thread, or the text of `status`.
std::string nats_error_text(natsStatus status);

/// A URL for the log: without user and password.
std::string without_credentials(std::string_view url);

/// The file in which a gateway with this state directory stores how to connect
/// to its embedded server. Tools on the same machine read it.
std::filesystem::path connection_file(const std::filesystem::path& state_dir);

/// Reads this file; nothing when there is none or it is malformed.
std::optional<nats_config>
read_connection_file(const std::filesystem::path& state_dir);

/// Writes this file, readable by its owner only. Returns an error text, empty
/// on success.
std::string write_connection_file(const std::filesystem::path& state_dir,
                                  const nats_config& config);

} // namespace aiops::nats
