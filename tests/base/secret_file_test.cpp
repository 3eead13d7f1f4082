#include "base/secret_file.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include <unistd.h>

using namespace aiops;

namespace {

struct fixture {
  fixture() {
    auto pattern
      = (std::filesystem::temp_directory_path() / "secret-XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    folder = pattern;
  }

  ~fixture() {
    std::filesystem::remove_all(folder);
  }

  /// What is read from a file with this content.
  std::string secret_in(const std::string& content) const {
    auto file = folder / "secret";
    std::ofstream{file, std::ios::binary} << content;
    auto result = read_secret(file);
    REQUIRE(result);
    return *result;
  }

  std::string problem_with(const std::filesystem::path& file) const {
    auto result = read_secret(file);
    REQUIRE(!result);
    CHECK(code_of(result.error()) == ec::invalid_configuration);
    return text_of(result.error());
  }

  std::filesystem::path folder;
};

} // namespace

TEST_CASE_FIXTURE(fixture, "line breaks at the end are not part of a secret") {
  CHECK(secret_in("key") == "key");
  CHECK(secret_in("key\n") == "key");
  CHECK(secret_in("key\r\n") == "key");
  CHECK(secret_in("key\n\n") == "key");
}

TEST_CASE_FIXTURE(fixture, "everything else in the file is the secret") {
  CHECK(secret_in(" a key \t") == " a key \t");
  CHECK(secret_in("\na\nb\n") == "\na\nb");
  CHECK(secret_in(std::string{"a\0b", 3}) == std::string{"a\0b", 3});
}

TEST_CASE_FIXTURE(fixture, "a file without a secret is an empty secret") {
  CHECK(secret_in("").empty());
  CHECK(secret_in("\r\n\n").empty());
}

TEST_CASE_FIXTURE(fixture, "the error says why a secret cannot be read") {
  CHECK(problem_with(folder / "missing") == "No such file or directory");
  CHECK(problem_with(folder) == "it is not a regular file");
  auto large = folder / "large";
  std::ofstream{large} << std::string(1024 * 1024 + 1, 'x');
  CHECK(problem_with(large) == "it is larger than 1 MiB");
}
