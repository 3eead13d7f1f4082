#pragma once

#include "actors/actors.hpp"
#include "base/small_file.hpp"

#include <filesystem>
#include <optional>
#include <string>

namespace aiops::http {

/// Reads a JSON object, and removes secrets: all members whose names contain
/// `secretKey`, at any depth, in any letter case, with or without separators
/// (`secret_key`). An error is `invalid_configuration` and says what is wrong
/// with the file.
caf::expected<std::string> load_ai_settings(const std::filesystem::path& file);

/// Answers with the content of the file, which is read again after a change. If
/// it cannot be used then, the last valid content stays.
class ai_settings_state {
public:
  static inline const char* name = "ai-settings";

  ai_settings_actor::behavior_type make_behavior(std::filesystem::path file);

private:
  caf::result<std::string> get();

  std::filesystem::path file_;
  /// Of the file when it was read last, even if it could not be used.
  std::optional<file_stamp> stamp_;
  /// The last valid content.
  std::optional<std::string> settings_;
  /// Why the file cannot be used; no error if it can.
  caf::error problem_;
};

/// Spawn it detached if there is a file, since reading blocks.
/// @param file may be empty: then the settings are an empty object.
ai_settings_actor::behavior_type
ai_settings(ai_settings_actor::stateful_pointer<ai_settings_state> self,
            std::filesystem::path file);

} // namespace aiops::http
