#include "nats/durability.hpp"

#include <doctest/doctest.h>

using namespace aiops;
using namespace aiops::nats;

namespace {

bool is_unknown(const durability_report& report) {
  return !report.synced && !report.replicas
         && report.power_failure.starts_with("unknown");
}

} // namespace

TEST_CASE("the version of nats-server is read") {
  auto read = parse_server_version;
  CHECK(read("nats-server: v2.9.10\n") == server_version{2, 9});
  CHECK(read("nats-server: v2.12.3\n") == server_version{2, 12});
  CHECK(read("nats-server: v2.14.0-preview.1") == server_version{2, 14});
  CHECK(read("nats-server: v3.0") == server_version{3, 0});
  for (auto text : {"", "v2.10.1", "nats-server: v", "nats-server: v2",
                    "nats-server: v2.", "nats-server: vx.y"})
    CHECK_MESSAGE(read(text) == server_version{}, text);
}

TEST_CASE("each write is synced by servers that can do so") {
  CHECK(!can_sync_always({}));
  CHECK(!can_sync_always({2, 9}));
  CHECK(can_sync_always({2, 10}));
  CHECK(can_sync_always({3, 0}));
  auto modern = embedded_durability({2, 10});
  CHECK(modern.synced == true);
  CHECK(modern.replicas == 1);
  CHECK(modern.power_failure.starts_with("nothing"));
  auto old = embedded_durability({2, 9});
  CHECK(old.synced == false);
  CHECK(old.power_failure.find("docs/operations.md") != std::string::npos);
  CHECK(embedded_durability({}).synced == false);
}

TEST_CASE("the replicas of a bucket are read") {
  auto one = bucket_durability(R"({"config":{"num_replicas":1}})");
  CHECK(one.replicas == 1);
  CHECK(!one.synced);
  auto three = bucket_durability(R"({"config":{"num_replicas":3}})");
  CHECK(three.replicas == 3);
  CHECK(three.power_failure != one.power_failure);
  for (auto text :
       {"", "[]", "{}", R"({"error":{"code":404}})", R"({"config":3})",
        R"({"config":{}})", R"({"config":{"num_replicas":"many"}})"})
    CHECK_MESSAGE(is_unknown(bucket_durability(text)), text);
}
