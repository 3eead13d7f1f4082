#include "tools/log_line.hpp"

#include <doctest/doctest.h>

using namespace aiops;
using namespace aiops::tools;

namespace {

std::vector<std::string> split(line_splitter& splitter,
                               std::vector<std::string> chunks) {
  std::vector<std::string> result;
  auto add = [&](std::string line) { result.push_back(std::move(line)); };
  for (const auto& chunk : chunks)
    splitter.feed(chunk, add);
  splitter.finish(add);
  return result;
}

} // namespace

TEST_CASE("lines of the systemd journal name their workload") {
  auto owner = owner_of(
    R"({"_HOSTNAME":"h.1","_TRANSPORT":"stdout","_SYSTEMD_UNIT":"a.service"})",
    {});
  REQUIRE(owner);
  CHECK_EQ(*owner, workload{"h.1", "stdout", "a.service"});
  owner = owner_of(
    R"({"_HOSTNAME":"h","_TRANSPORT":"kernel","SYSLOG_IDENTIFIER":"kernel"})",
    {});
  REQUIRE(owner);
  CHECK_EQ(owner->deployment, "kernel");
}

TEST_CASE("lines of Kubernetes log shippers name their workload") {
  auto owner = owner_of(R"({"cluster_id":"c","deployment":"d",
                            "kubernetes":{"namespace_name":"n"}})",
                        {});
  REQUIRE(owner);
  CHECK_EQ(*owner, workload{"c", "n", "d"});
}

TEST_CASE("a fixed name has priority; with three, any line is accepted") {
  name_sources sources;
  sources.cluster.fixed = "mine";
  auto owner = owner_of(
    R"({"cluster_id":"c","namespace":"n","deployment":"d"})", sources);
  REQUIRE(owner);
  CHECK_EQ(owner->cluster_id, "mine");
  CHECK_FALSE(owner_of("plain text", sources));
  sources.namespace_name.fixed = "n";
  sources.deployment.fixed = "d";
  CHECK(owner_of("plain text", sources));
  CHECK(owner_of("\xff\xfe", sources));
}

TEST_CASE("invalid names are skipped") {
  for (auto cluster : {"\"\"", "7", "null", "\"a\\nb\"", "[\"c\"]"}) {
    auto line
      = std::string{R"({"namespace":"n","deployment":"d","cluster_id":)"}
        + cluster + "}";
    CHECK_FALSE(owner_of(line, {}));
    line.back() = ',';
    CHECK(owner_of(line + R"("_HOSTNAME":"h"})", {}));
  }
}

TEST_CASE("chunks become lines") {
  line_splitter splitter;
  CHECK_EQ(split(splitter, {"a", "b\nc\n", "\n", "d"}),
           std::vector<std::string>{"ab", "c", "", "d"});
  CHECK_EQ(splitter.cut(), 0u);
}

TEST_CASE("overlong lines are cut") {
  constexpr auto limit = line_splitter::max_line;
  line_splitter splitter;
  auto lines = split(splitter, {std::string(limit, 'a') + '\n',
                                std::string(limit, 'b'), "bb\nc"});
  REQUIRE_EQ(lines.size(), 3u);
  CHECK_EQ(lines[0].size(), limit);
  CHECK_EQ(lines[1], std::string(limit, 'b'));
  CHECK_EQ(lines[2], "c");
  CHECK_EQ(splitter.cut(), 1u);
}
