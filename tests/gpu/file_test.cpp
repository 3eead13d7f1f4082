#include "gpu/file.hpp"

#include "tests/support/deterministic.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include <unistd.h>

using namespace aiops;
using namespace aiops::test;

namespace {

const gpu_list one{{"nvidia.com/gpu", 2, 1}};

constexpr auto one_json
  = R"([{"name":"nvidia.com/gpu","capacity":2,"allocatable":"1"}])";

std::string why(std::string_view json) {
  auto x = gpu::parse(json);
  REQUIRE_FALSE(x);
  CHECK(code_of(x.error()) == ec::invalid_configuration);
  return text_of(x.error());
}

struct fixture : deterministic {
  fixture() {
    auto pattern
      = (std::filesystem::temp_directory_path() / "gpu-file-XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    folder = pattern;
    path = folder / "gpus.json";
    aut = spawn(gpu::file, path);
  }

  ~fixture() {
    std::filesystem::remove_all(folder);
  }

  void write(std::string_view text) {
    std::ofstream{path, std::ios::binary} << text;
    // Two writes may have the same time on the file system's clock.
    using namespace std::filesystem;
    last_write_time(path, file_time_type{std::chrono::seconds{++writes}});
  }

  auto scan() {
    return ask(aut, get_atom_v);
  }

  std::filesystem::path folder;
  std::filesystem::path path;
  int writes = 0;
  gpu_probe_actor aut;
};

} // namespace

TEST_CASE("a list of GPUs may be bare or in an object") {
  auto object = std::string{"{\"items\":"} + one_json + ",\"more\":1}";
  for (auto json : {std::string{one_json}, object}) {
    auto x = gpu::parse(json);
    REQUIRE(x);
    CHECK(*x == one);
  }
  CHECK(gpu::parse("[]")->empty());
  CHECK(gpu::parse("{\"items\":[]}")->empty());
}

TEST_CASE("numbers of GPUs are plain integers of 0 or more") {
  auto with = [](std::string count) {
    return gpu::parse("[{\"name\":\"g\",\"capacity\":" + count
                      + ",\"allocatable\":0}]");
  };
  CHECK(with("9223372036854775807")->front().capacity == INT64_MAX);
  CHECK(with("\"9223372036854775807\"")->front().capacity == INT64_MAX);
  for (auto bad :
       {"-1", "\"-1\"", "1.5", "\"1.5\"", "\"\"", "\" 1\"", "\"1 \"", "\"+1\"",
        "\"1k\"", "null", "true", "[]", "1e3", "9223372036854775808",
        "\"9223372036854775808\"", "99999999999999999999999"}) {
    CAPTURE(bad);
    CHECK_FALSE(with(bad));
  }
}

TEST_CASE("an error says what is wrong with a list of GPUs") {
  CHECK(why("") == "it is not JSON");
  CHECK(why("[") == "it is not JSON");
  CHECK(why("3") == "it has to be a list, or an object with a list \"items\"");
  CHECK(why("{}") == "it has to be a list, or an object with a list \"items\"");
  CHECK(why("{\"items\":3}")
        == "it has to be a list, or an object with a list \"items\"");
  CHECK(why("[3]") == "item 1 has to be an object");
  CHECK(why("[{}]") == "item 1: \"name\" has to be a non-empty string");
  CHECK(why("[{\"name\":\"\"}]")
        == "item 1: \"name\" has to be a non-empty string");
  CHECK(why("[{\"name\":\"g\"}]")
        == "item 1: \"capacity\" has to be an integer of 0 or more");
  CHECK(why("[{\"name\":\"g\",\"capacity\":1,\"allocatable\":1},"
            "{\"name\":\"g\",\"capacity\":1}]")
        == "item 2: \"allocatable\" has to be an integer of 0 or more");
  CHECK(why(std::string(100'000, '[')) == "it is not JSON");
}

TEST_CASE_FIXTURE(fixture, "a file is read again when it has changed") {
  write(one_json);
  auto x = scan();
  REQUIRE(x->value);
  CHECK(*x->value == one);
  write("[]");
  auto y = scan();
  REQUIRE(y->value);
  CHECK(y->value->empty());
}

TEST_CASE_FIXTURE(fixture, "a file that did not change is not read again") {
  write(one_json);
  scan();
  auto time = std::filesystem::last_write_time(path);
  // Same size, same time, same inode.
  std::ofstream{path, std::ios::binary | std::ios::in} << "?";
  std::filesystem::last_write_time(path, time);
  CHECK(*scan()->value == one);
}

TEST_CASE_FIXTURE(fixture, "a file that was replaced is read again") {
  write(one_json);
  scan();
  auto time = std::filesystem::last_write_time(path);
  auto other = folder / "other.json";
  std::string text = one_json;
  text.replace(text.find('2'), 1, "7");
  std::ofstream{other, std::ios::binary} << text;
  std::filesystem::last_write_time(other, time);
  std::filesystem::rename(other, path);
  CHECK(scan()->value->front().capacity == 7);
}

TEST_CASE_FIXTURE(fixture, "an error names the file that cannot be used") {
  auto expect = [&](std::string_view problem) {
    auto x = scan();
    CHECK(x->code() == ec::invalid_configuration);
    CHECK(text_of(x->error).find(path.string()) != std::string::npos);
    CHECK(text_of(x->error).ends_with(problem));
  };
  expect("No such file or directory");
  write("{");
  expect("it is not JSON");
  expect("it is not JSON");
  write(std::string(1024 * 1024 + 1, ' '));
  expect("it is larger than 1 MiB");
  std::filesystem::remove(path);
  std::filesystem::create_directory(path);
  expect("it is not a regular file");
  std::filesystem::remove(path);
  write(one_json);
  CHECK(*scan()->value == one);
  std::filesystem::remove(path);
  expect("No such file or directory");
}
