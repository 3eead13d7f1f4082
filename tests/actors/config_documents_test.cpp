#include "actors/config.hpp"
#include "actors/config_options.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <sstream>
#include <string>

using namespace aiops;

namespace {

std::string read(const std::string& name) {
  std::ifstream in{AIOPS_GATEWAY_SOURCE_DIR "/" + name};
  CHECK_MESSAGE(in, name);
  return {std::istreambuf_iterator<char>{in}, {}};
}

/// All first groups of the pattern in the text.
std::set<std::string> find_all(const std::string& text, const char* pattern) {
  std::regex re{pattern};
  std::set<std::string> result;
  for (auto i = std::sregex_iterator{text.begin(), text.end(), re};
       i != std::sregex_iterator{}; ++i)
    result.insert((*i)[1]);
  return result;
}

/// The names of all options, and of the flags that are no settings.
std::set<std::string> all_flags() {
  std::set<std::string> result{"help",         "version",      "config",
                               "check-config", "print-config", "completion"};
  for (auto& x : all_options())
    result.insert(x.name);
  return result;
}

/// The cells of a table row that the code knows.
std::string row_of(const option& x) {
  auto code = [](const std::string& text) { return "`" + text + "`"; };
  auto variables = code(x.environment());
  if (!x.known_as.empty())
    variables += ", " + code(x.known_as);
  auto flag = "--" + x.name;
  if (!x.placeholder.empty())
    flag += " " + x.placeholder;
  auto value = x.default_value();
  return "| " + code(flag) + " | " + variables + " | "
         + (value.empty() ? "none" : code(value)) + " |";
}

} // namespace

TEST_CASE("docs/operations.md lists every option as it is") {
  auto text = read("docs/operations.md");
  for (auto& x : all_options()) {
    auto row = row_of(x);
    CHECK_MESSAGE(text.find("\n" + row) != std::string::npos, row);
  }
  CHECK(find_all(text, "\n\\| `--([a-z-]+)") == all_flags());
}

TEST_CASE("documents name no option that does not exist") {
  auto known = all_flags();
  for (auto name : {"docs/operations.md", "docs/architecture.md",
                    "docs/nats.md"}) {
    for (auto& flag : find_all(read(name), "`--([a-z][a-z-]+)"))
      CHECK_MESSAGE(known.contains(flag), name << ": --" << flag);
  }
}

TEST_CASE("the example file shows every option with its default") {
  auto text = read("packaging/aiops-gateway.conf.example");
  std::set<std::string> names;
  for (auto& x : all_options()) {
    names.insert(x.name);
    if (x.default_words.empty() && !x.default_value().empty()) {
      auto line = "\n#" + x.name + " = \"" + x.default_value() + "\"\n";
      CHECK_MESSAGE(text.find(line) != std::string::npos, line);
    }
  }
  CHECK(find_all(text, "\n#([a-z-]+) = ") == names);
}

TEST_CASE("each value of the example file is one of its option") {
  std::istringstream lines{read("packaging/aiops-gateway.conf.example")};
  std::smatch parts;
  for (std::string line; std::getline(lines, line);) {
    if (!std::regex_match(line, parts, std::regex{"#([a-z-]+) = \"(.*)\""}))
      continue;
    auto named = [&](auto& x) { return x.name == parts[1]; };
    auto& all = all_options();
    auto x = std::find_if(all.begin(), all.end(), named);
    REQUIRE_MESSAGE(x != all.end(), line);
    gateway_config config;
    CHECK_MESSAGE(x->set(config, parts[2]), line);
  }
}
