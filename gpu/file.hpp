#pragma once

#include "actors/actors.hpp"
#include "base/small_file.hpp"

#include <filesystem>
#include <optional>
#include <string_view>

namespace aiops::gpu {

/// Reads a list of GPUs from JSON: `{"items":[…]}` or the bare list of
/// `{"name":…,"capacity":…,"allocatable":…}`, both numbers as an integer or as
/// a string with one. The error says what is wrong.
caf::expected<gpu_list> parse(std::string_view json);

/// The probe of `--gpu-source file:PATH`. Reads the file again when it
/// has changed. Blocks while it reads, so spawn it detached.
class file_state {
public:
  static inline const char* name = "gpu-file";

  gpu_probe_actor::behavior_type make_behavior(std::filesystem::path path);

private:
  caf::result<gpu_list> get();

  caf::expected<gpu_list> read() const;

  /// The error for a file that cannot be used, and why.
  caf::error unusable(std::string_view why) const;

  std::filesystem::path path_;
  /// Nothing until the file was read successfully.
  std::optional<file_stamp> stamp_;
  gpu_list gpus_;
};

gpu_probe_actor::behavior_type
file(gpu_probe_actor::stateful_pointer<file_state> self,
     std::filesystem::path path);

} // namespace aiops::gpu
