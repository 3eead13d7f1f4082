#pragma once

#include "base/error.hpp"

#include <cstdint>
#include <filesystem>
#include <string>

/// @file
/// Small files that are read again when they change. Reading blocks. An error
/// is `invalid_configuration`, and its text says why without naming the file.

namespace aiops {

/// Identifies one state of a file; all zeros: there is no file.
struct file_stamp {
  uint64_t device = 0;
  uint64_t inode = 0;
  int64_t size = 0;
  /// Nanoseconds.
  int64_t modified = 0;

  friend bool operator==(const file_stamp&, const file_stamp&) = default;
};

/// To be called before the file is read, so that the next comparison notices
/// a change in between.
file_stamp stamp_of(const std::filesystem::path& file);

/// Reads a regular file of at most 1 MiB.
caf::expected<std::string> read_small_file(const std::filesystem::path& file);

} // namespace aiops
