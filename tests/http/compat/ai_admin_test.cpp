#include "tests/http/fixture.hpp"

#include "base/error.hpp"
#include "http/ask.hpp"
#include "http/compat/ai_settings.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <cstdlib>
#include <fstream>

using namespace aiops;
using namespace aiops::http;
using namespace aiops::test;
using nlohmann::json;

namespace {

constexpr std::string_view prefixes[] = {"/AIAdmin", "/opni-api/AIAdmin"};

std::string at(std::string_view prefix, std::string_view path) {
  return std::string{prefix} + std::string{path};
}

/// A settings file, removed by the destructor.
struct settings_file {
  std::filesystem::path dir;
  std::filesystem::path path;

  explicit settings_file(std::string_view text) {
    auto name = (std::filesystem::temp_directory_path() / "ai-XXXXXX").string();
    dir = mkdtemp(name.data());
    path = dir / "settings.json";
    write(text);
  }

  ~settings_file() {
    std::filesystem::remove_all(dir);
  }

  /// Replaces the file atomically.
  void write(std::string_view text) const {
    std::ofstream{dir / "next"} << text;
    std::filesystem::rename(dir / "next", path);
  }

  json load() const {
    auto got = load_ai_settings(path);
    REQUIRE(got);
    return json::parse(*got);
  }

  std::string problem() const {
    auto got = load_ai_settings(path);
    REQUIRE(!got);
    CHECK(code_of(got.error()) == ec::invalid_configuration);
    CHECK(text_of(got.error()).find(path.string()) != std::string::npos);
    return text_of(got.error());
  }
};

bool mentions(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

} // namespace

// -- routes -------------------------------------------------------------------

TEST_CASE("the requests of the dashboard are served under both prefixes") {
  gateway gw;
  gw.script([](auto& x) {
    x.ai_settings = std::string{R"({"gpuSettings":{}})"};
    x.runtime_classes = {"nvidia", "runc"};
  });
  for (auto prefix : prefixes) {
    auto got = gw.get(at(prefix, "/ai/settings"));
    CHECK(got.status == 200);
    CHECK(got.header("content-type").starts_with("application/json"));
    CHECK(got.body == R"({"gpuSettings":{}})");
    got = gw.get(at(prefix, "/ai/upgrade"));
    CHECK(got.status == 200);
    CHECK(got.body == R"({"UpgradePending":false})");
    got = gw.get(at(prefix, "/ai/runtimeclasses"));
    CHECK(got.status == 200);
    CHECK(got.body == R"({"RuntimeClasses":["nvidia","runc"]})");
  }
}

TEST_CASE("requests to install are refused") {
  gateway gw;
  std::pair<std::string_view, std::string_view> requests[] = {
    {"PUT", "/ai/settings"},
    {"DELETE", "/ai/settings"},
    {"POST", "/ai/upgrade"}};
  for (auto prefix : prefixes)
    for (auto [method, path] : requests) {
      auto got = gw.ask(method, at(prefix, path),
                        method == "DELETE" ? "" : "{}");
      CHECK(got.status == 501);
      auto body = json::parse(got.body);
      CHECK(body["code"] == 12);
      CHECK(mentions(body["message"], "does not install AI services"));
      CHECK(body["details"] == json::array());
    }
  auto got = gw.ask("POST", "/AIAdmin/ai/settings", "{}");
  CHECK(got.status == 405);
  CHECK(got.header("allow") == "GET, PUT, DELETE, HEAD, OPTIONS");
  CHECK(gw.get("/AIAdmin/ai/other").status == 404);
}

TEST_CASE("settings that cannot be read are an error without details") {
  gateway gw;
  gw.script([](auto& x) {
    x.ai_settings = make_error(ec::invalid_configuration, "cannot use '/x'");
  });
  auto got = gw.get("/AIAdmin/ai/settings");
  CHECK(got.status == 500);
  CHECK(json::parse(got.body)["code"] == 13);
  CHECK(!mentions(got.body, "/x"));
}

// -- the file -----------------------------------------------------------------

TEST_CASE("settings are returned without secrets") {
  settings_file file{R"({"s3Settings":{"accessKey":"a","secretKey":"s","x":1},
    "SECRETKEY":{"deep":"s"},"list":[{"Secret_Key":"s","y":[[{"secret-key":2}]]},
    "secretKey"],"\u0073ecretKey":"s","s3SecretKeyFile":"s","secret":"kept",
    "key":"kept"})"};
  CHECK(file.load() == json::parse(R"({"s3Settings":{"accessKey":"a","x":1},
    "list":[{"y":[[{}]]},"secretKey"],"secret":"kept","key":"kept"})"));
}

TEST_CASE("an error names the unusable file and the reason") {
  CHECK(settings_file{"{}"}.load() == json::object());
  CHECK(mentions(settings_file{""}.problem(), "is not valid JSON"));
  CHECK(mentions(settings_file{R"({"a":NaN})"}.problem(), "is not valid JSON"));
  CHECK(mentions(settings_file{"[]"}.problem(), "must be a JSON object"));
  CHECK(
    mentions(settings_file{R"({"a":)" + std::string(100'000, '[')}.problem(),
             "too deep"));
  CHECK(mentions(settings_file{"{" + std::string(1 << 20, ' ') + "}"}.problem(),
                 "larger than 1 MiB"));
  settings_file missing{"{}"};
  std::filesystem::remove(missing.path);
  CHECK(mentions(missing.problem(), "No such file"));
  std::filesystem::create_directory(missing.path);
  CHECK(mentions(missing.problem(), "not a regular file"));
}

TEST_CASE("changed settings are read again, the last valid ones stay") {
  gateway gw;
  asker ask{gw.system()};
  settings_file file{R"({"a":1})"};
  auto aut = gw.system().spawn<caf::detached>(ai_settings, file.path);
  auto shown = [&] {
    auto got = ask.ask(aut, std::chrono::seconds{5}, get_atom_v);
    return got ? *got : text_of(got.error());
  };
  CHECK(shown() == R"({"a":1})");
  file.write(R"({"a":2})");
  CHECK(shown() == R"({"a":2})");
  file.write("rubbish");
  CHECK(shown() == R"({"a":2})");
  std::filesystem::remove(file.path);
  CHECK(shown() == R"({"a":2})");
  file.write(R"({"a":3})");
  CHECK(shown() == R"({"a":3})");
  caf::anon_send_exit(aut, caf::exit_reason::kill);
  aut = gw.system().spawn<caf::detached>(ai_settings, std::filesystem::path{});
  CHECK(shown() == "{}");
  caf::anon_send_exit(aut, caf::exit_reason::kill);
  file.write("rubbish");
  aut = gw.system().spawn<caf::detached>(ai_settings, file.path);
  CHECK(mentions(shown(), "is not valid JSON"));
  caf::anon_send_exit(aut, caf::exit_reason::kill);
}
