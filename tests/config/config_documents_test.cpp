#include "config/config.hpp"
#include "config/config_options.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

using namespace aiops;

namespace {

std::string read(const std::string& name) {
  std::ifstream in{AIOPS_GATEWAY_SOURCE_DIR "/" + name};
  CHECK_MESSAGE(in, name);
  return {std::istreambuf_iterator<char>{in}, {}};
}

/// The names (lower-case letters and dashes) that follow `prefix` in the text.
std::set<std::string> names_after(const std::string& text,
                                  const std::string& prefix) {
  std::set<std::string> result;
  for (auto at = text.find(prefix); at != std::string::npos;
       at = text.find(prefix, at + 1)) {
    auto start = at + prefix.size();
    auto end = text.find_first_not_of("abcdefghijklmnopqrstuvwxyz-", start);
    result.insert(text.substr(start, end - start));
  }
  return result;
}

/// The lines of the example that set something: key, value.
std::vector<std::pair<std::string, std::string>> example_settings() {
  std::vector<std::pair<std::string, std::string>> result;
  std::istringstream lines{read("packaging/aiops-gateway.conf.example")};
  for (std::string line; std::getline(lines, line);) {
    auto equals = line.find(" = \"");
    if (line.starts_with("#") && line.ends_with('"')
        && equals != std::string::npos) {
      auto value = line.substr(equals + 4);
      value.pop_back();
      result.emplace_back(line.substr(1, equals - 1), std::move(value));
    }
  }
  return result;
}

/// The names of all options, and of the flags that are not settings.
std::set<std::string> all_flags() {
  std::set<std::string> result{"help",      "help-markdown", "version",
                               "config",    "check-config",  "print-config",
                               "completion"};
  for (auto& x : all_options())
    result.insert(x.name);
  return result;
}

/// What the program prints for a flag that makes it exit.
std::string printed(const char* flag) {
  const char* arguments[] = {"aiops-gateway", flag};
  auto result = parse_command_line(2, arguments);
  CHECK(result.exit_code == 0);
  return result.print.value_or("");
}

} // namespace

TEST_CASE("docs/operations.md has the table of --help-markdown") {
  auto text = read("docs/operations.md");
  auto table = printed("--help-markdown");
  auto start = text.find("\n" + table.substr(0, table.find('\n') + 1));
  REQUIRE(start != std::string::npos);
  // Row by row, so that a failure shows the row to be replaced.
  std::istringstream found{text.substr(start + 1)};
  std::istringstream expected{table};
  std::string found_row;
  for (std::string row; std::getline(expected, row);) {
    CHECK(std::getline(found, found_row));
    CHECK(found_row == row);
  }
  CHECK(std::getline(found, found_row));
  CHECK(found_row == "");
  CHECK(names_after(table, "\n| `--") == all_flags());
}

TEST_CASE("documents name no option that does not exist") {
  auto known = all_flags();
  for (auto name :
       {"docs/operations.md", "docs/architecture.md", "docs/nats.md"})
    for (auto& flag : names_after(read(name), "`--"))
      CHECK_MESSAGE(known.contains(flag), name << ": --" << flag);
}

TEST_CASE("the example file shows every option, with its default") {
  auto settings = example_settings();
  CHECK(settings.size() == all_options().size());
  for (auto& x : all_options()) {
    CAPTURE(x.name);
    auto named = [&](auto& setting) { return setting.first == x.name; };
    auto found = std::find_if(settings.begin(), settings.end(), named);
    REQUIRE(found != settings.end());
    gateway_config config;
    CHECK(x.set(config, found->second));
    if (x.default_words.empty() && !x.default_value().empty())
      CHECK(found->second == x.default_value());
  }
}
