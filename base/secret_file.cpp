#include "base/secret_file.hpp"

#include "base/small_file.hpp"

namespace aiops {

caf::expected<std::string> read_secret(const std::filesystem::path& file) {
  auto text = read_small_file(file);
  if (text)
    text->resize(text->find_last_not_of("\r\n") + 1);
  return text;
}

} // namespace aiops
