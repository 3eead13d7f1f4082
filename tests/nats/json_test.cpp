#include "nats/json.hpp"
#include "nats/training/progress_json.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

using namespace aiops;
using namespace aiops::nats;

TEST_CASE("workloads are written as a map of maps of lists") {
  CHECK(encode_workloads({}) == "{}");
  workload_list xs{{"a", "n1", "d1"},
                   {"a", "n1", "d2"},
                   {"a", "n2", "d1"},
                   {"b.c", "ns", "\"ä\""}};
  auto text = encode_workloads(xs);
  CHECK(text
        == R"({"a":{"n1":["d1","d2"],"n2":["d1"]},"b.c":{"ns":["\"ä\""]}})");
  CHECK(decode_workloads(text) == xs);
  CHECK(decode_workloads("{}") == workload_list{});
  CHECK(decode_workloads(R"({"b":{"n":["d","d"]},"a":{}})")
        == workload_list{{"b", "n", "d"}});
}

TEST_CASE("anything but a map of workloads is rejected") {
  for (auto text :
       {"", "null", "[]", "rubbish", "{\"a\":1}", "{\"a\":{\"b\":1}}",
        "{\"a\":{\"b\":[1]}}", "{\"a\":{\"b\":[\"c\"]}", "\xff\xfe"}) {
    CAPTURE(text);
    CHECK(!decode_workloads(text));
  }
}

TEST_CASE("parameters contain the job and are read in both formats") {
  workload_list xs{{"c", "n", "d"}};
  auto text = encode_parameters({"7", xs});
  CHECK(text == R"({"uuid":"7","workloads":{"c":{"n":["d"]}}})");
  CHECK(decode_parameters(text) == xs);
  CHECK(encode_parameters({"7", {}}) == R"({"uuid":"7"})");
  CHECK(decode_parameters(R"({"uuid":"7"})") == workload_list{});
  CHECK(decode_parameters(R"({"uuid":"7","workloads":null})")
        == workload_list{});
  CHECK(decode_parameters(R"({"c":{"n":["d"]}})") == xs);
  CHECK(decode_parameters("{}") == workload_list{});
  // Clusters may have any name.
  CHECK(decode_parameters(R"({"uuid":{"n":["d"]},"workloads":{"n":["d"]}})")
        == workload_list{{"uuid", "n", "d"}, {"workloads", "n", "d"}});
  CHECK(decode_parameters(R"({"workloads":{"n":["d"]}})")
        == workload_list{{"workloads", "n", "d"}});
  for (auto bad : {"", "[]", R"({"uuid":"7","workloads":7})", R"({"uuid":7})",
                   R"({"uuid":"7","workloads":{"c":7}})"}) {
    CAPTURE(bad);
    CHECK(!decode_parameters(bad));
  }
}

TEST_CASE("text replies must be readable") {
  CHECK(readable("training job submitted"));
  CHECK(readable("état: terminé"));
  CHECK(readable(std::string(1024, 'x')));
  CHECK(!readable(""));
  CHECK(!readable(std::string(1025, 'x')));
  CHECK(!readable("\xff\xfe"));
  CHECK(!readable(std::string_view{"a\0b", 3}));
  CHECK(!readable("line\nbreak"));
}

TEST_CASE("statistics are written as proto3 JSON and read leniently") {
  training_statistics x{61, 42, 100, 3, 0.25, "train"};
  auto text = encode_statistics(x);
  auto json = nlohmann::json::parse(text);
  CHECK(json["timeElapsed"] == "61");
  CHECK(json["percentageCompleted"] == "42");
  CHECK(json["modelAccuracy"] == 0.25);
  CHECK(decode_progress(text)->statistics == x);
  for (auto bad : {"", "[]", R"({"timeElapsed":"x"})", R"({"timeElapsed":1.5})",
                   R"({"timeElapsed":true})", R"({"stage":1})",
                   R"({"timeElapsed":"1 "})"}) {
    CAPTURE(bad);
    CHECK(!decode_progress(bad));
  }
}

TEST_CASE("a model status is written as proto3 JSON and read leniently") {
  model_status x{"training", {61, 42, 100, 3, 0.25, "train"}};
  auto json = nlohmann::json::parse(encode_model(x));
  CHECK(json["status"] == "training");
  CHECK(json["statistics"]["timeElapsed"] == "61");
  auto read = decode_progress(encode_model(x));
  REQUIRE(read);
  CHECK(read->status == x.status);
  CHECK(read->statistics == x.statistics);
  for (auto bad : {"", "[]", R"({"status":1})", R"({"statistics":1})",
                   R"({"statistics":{"timeElapsed":"x"}})"}) {
    CAPTURE(bad);
    CHECK(!decode_progress(bad));
  }
}

TEST_CASE("entries of a bucket are read from the stream's answer") {
  auto found = decode_message(parse_json(
    R"({"message":{"subject":"$KV.b.k","seq":7,"data":"aGVsbG8=",
        "time":"2026-01-31T12:00:00.5Z"}})"));
  REQUIRE(found);
  CHECK(!found->removal);
  CHECK(found->entry.value == "hello");
  CHECK(found->entry.revision == 7);
  CHECK(found->entry.created.time_since_epoch()
        == std::chrono::milliseconds{1769860800500});
  // "NATS/1.0\r\nKV-Operation: DEL\r\n\r\n"
  auto removed = decode_message(parse_json(
    R"({"message":{"seq":8,"hdrs":"TkFUUy8xLjANCktWLU9wZXJhdGlvbjogREVMDQoNCg==",
        "time":"2026-01-31T12:00:00Z"}})"));
  REQUIRE(removed);
  CHECK(removed->removal);
  CHECK(removed->entry.revision == 8);
  CHECK(removed->entry.value.empty());
  CHECK(!decode_message(parse_json("{}")));
  CHECK(!decode_message(parse_json(R"({"message":{"data":"!!!!"}})")));
}
