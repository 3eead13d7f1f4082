#pragma once

#include "actors/actors.hpp"
#include "base/small_file.hpp"

#include <filesystem>
#include <optional>
#include <string>

namespace aiops::http {

/// Reads a JSON object, and removes secrets: all members whose names hold
/// `secretKey`, at any depth, in any letter case, with or without separators
/// (`secret_key`). An error is `invalid_configuration` and says what is wrong
/// with the file.
caf::expected<std::string> load_ai_settings(const std::filesystem::path& file);

/// Answers what is in the file, which is read again when it changed. While it
/// cannot be used, the last good content stays.
class ai_settings_state {
public:
  static inline const char* name = "ai-settings";

  ai_settings_actor::behavior_type make_behavior(std::filesystem::path file);

private:
  caf::result<std::string> get();

  std::filesystem::path file_;
  /// Of the file as last read, whether it could be used or not.
  std::optional<file_stamp> stamp_;
  /// Nothing before the file could be used.
  std::optional<std::string> settings_;
  /// Why the file cannot be used; no error when it can.
  caf::error problem_;
};

/// Spawn it detached if there is a file: it blocks while it reads.
/// @param file may be empty: then the settings are.
ai_settings_actor::behavior_type
ai_settings(ai_settings_actor::stateful_pointer<ai_settings_state> self,
            std::filesystem::path file);

} // namespace aiops::http
