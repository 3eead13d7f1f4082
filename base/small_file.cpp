#include "base/small_file.hpp"

#include <cerrno>
#include <fstream>
#include <system_error>
#include <utility>

#include <sys/stat.h>

namespace aiops {

namespace {

constexpr size_t max_size = 1024 * 1024;

caf::error unusable(std::string why) {
  return make_error(ec::invalid_configuration, std::move(why));
}

} // namespace

file_stamp stamp_of(const std::filesystem::path& file) {
  struct stat info;
  if (::stat(file.c_str(), &info) != 0)
    return {};
  return {info.st_dev, info.st_ino, info.st_size,
          info.st_mtim.tv_sec * 1'000'000'000 + info.st_mtim.tv_nsec};
}

caf::expected<std::string> read_small_file(const std::filesystem::path& file) {
  struct stat info;
  if (::stat(file.c_str(), &info) != 0)
    return unusable(std::generic_category().message(errno));
  if (!S_ISREG(info.st_mode))
    return unusable("it is not a regular file");
  std::ifstream in{file, std::ios::binary};
  if (!in)
    return unusable("it cannot be opened");
  std::string text(max_size + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (in.bad())
    return unusable("it cannot be read");
  text.resize(static_cast<size_t>(in.gcount()));
  if (text.size() > max_size)
    return unusable("it is larger than 1 MiB");
  return text;
}

} // namespace aiops
