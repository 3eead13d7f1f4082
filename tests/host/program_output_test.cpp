#include "host/program_output.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace aiops;
using namespace aiops::host;
using namespace std::chrono_literals;

TEST_CASE("a program's output is read to its end") {
  CHECK(program_output({"echo", "nats-server: v2.9.10"}, 30s)
        == "nats-server: v2.9.10\n");
  auto much = program_output({"head", "-c", "50000", "/dev/zero"}, 30s);
  REQUIRE(much);
  CHECK(much->size() == 50'000);
}

TEST_CASE("a program that cannot be run or fails has no output") {
  CHECK(!program_output({"/nowhere/nats-server", "--version"}, 30s));
  CHECK(!program_output({"sh", "-c", "echo v2.9.10; exit 1"}, 30s));
}

TEST_CASE("a program that does not end is killed") {
  auto begin = std::chrono::steady_clock::now();
  CHECK(!program_output({"sleep", "600"}, 20ms));
  // Also one that has closed its output.
  CHECK(!program_output({"sh", "-c", "exec >&-; exec sleep 600"}, 20ms));
  CHECK(std::chrono::steady_clock::now() - begin < 300s);
}

TEST_CASE("a program that writes without end is stopped") {
  CHECK(!program_output({"yes"}, 30s));
}
