#include "http/compat/json.hpp"
#include "http/v1/v1_json.hpp"

#include "base/error.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <limits>

using namespace aiops;
using namespace aiops::http;
using namespace std::literals;
using nlohmann::json;

namespace {

template <class T>
std::string problem_of(const caf::expected<T>& got) {
  REQUIRE(!got);
  CHECK(code_of(got.error()) == ec::invalid_argument);
  return text_of(got.error());
}

bool mentions(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

training_statistics statistics_of(std::string_view body) {
  auto got = read_statistics(body);
  REQUIRE(got);
  CHECK(!got->status);
  REQUIRE(got->statistics);
  return got->statistics->over({});
}

} // namespace

// -- reading ------------------------------------------------------------------

TEST_CASE("workloads are read and normalized") {
  auto got = read_workloads(
    R"({"items":[{"clusterId":"c","namespace":"n","deployment":"b"},
                 {"clusterId":"c","namespace":"n","deployment":"a"},
                 {"clusterId":"c","namespace":"n","deployment":"b"}]})");
  REQUIRE(got);
  CHECK(*got == workload_list{{"c", "n", "a"}, {"c", "n", "b"}});
}

TEST_CASE("absent or null items are an empty list") {
  for (auto body : {"{}", R"({"items":null})", R"({"items":[]})"}) {
    auto got = read_workloads(body);
    REQUIRE(got);
    CHECK(got->empty());
  }
}

TEST_CASE("unknown fields are ignored and the last of equal keys wins") {
  auto got = read_workloads(
    R"({"more":{"x":[1]},"items":[{"clusterId":"old","clusterId":"c",
        "namespace":"n","deployment":"d","extra":1}]})");
  REQUIRE(got);
  CHECK(*got == workload_list{{"c", "n", "d"}});
}

TEST_CASE("anything but a JSON object is refused") {
  for (auto body : {"", " ", "nonsense", "{", "[]", "null", "1", "{}x",
                    "{\"items\":[]", "{'items':[]}", "{\"a\":\"\x80\"}"}) {
    CAPTURE(body);
    CHECK(!problem_of(read_workloads(body)).empty());
  }
  CHECK(!problem_of(read_workloads("{}\0"sv)).empty());
}

TEST_CASE("wrong types name the field") {
  CHECK(mentions(problem_of(read_workloads(R"({"items":{}})")), "items"));
  CHECK(
    mentions(problem_of(read_workloads(R"({"items":[null]})")), "items[0]"));
  CHECK(mentions(problem_of(read_workloads(R"({"items":[{"clusterId":1}]})")),
                 "items[0].clusterId"));
  CHECK(mentions(problem_of(read_workloads(
                   R"({"items":[{"clusterId":"c","namespace":"n",
                       "deployment":"d"},{"clusterId":"c",
                       "namespace":"n"}]})")),
                 "items[1].deployment"));
  CHECK(mentions(problem_of(read_statistics(R"({"timeElapsed":[]})")),
                 "timeElapsed"));
  CHECK(mentions(problem_of(read_statistics(R"({"stage":7})")), "stage"));
  CHECK(mentions(problem_of(read_statistics(R"({"modelAccuracy":true})")),
                 "modelAccuracy"));
  CHECK(mentions(problem_of(read_status_update(R"({"status":{}})")), "status"));
  CHECK(mentions(problem_of(read_status_update(R"({"statistics":[]})")),
                 "statistics"));
  CHECK(
    mentions(problem_of(read_status_update(R"({"statistics":{"stage":1}})")),
             "statistics.stage"));
}

TEST_CASE("names are validated") {
  for (auto name : {"", "a\\u0000b", "a\\nb"}) {
    auto body = R"({"items":[{"clusterId":")"s + name
                + R"(","namespace":"n","deployment":"d"}]})";
    CHECK(mentions(problem_of(read_workloads(body)), "clusterId"));
  }
  auto body = R"({"items":[{"clusterId":")" + std::string(254, 'x')
              + R"(","namespace":"n","deployment":"d"}]})";
  CHECK(mentions(problem_of(read_workloads(body)), "clusterId"));
}

TEST_CASE("deep nesting is refused before it is parsed") {
  std::string deep(500'000, '[');
  CHECK(mentions(problem_of(read_workloads(deep)), "deep"));
  CHECK(mentions(problem_of(read_workloads(R"({"a":)" + deep)), "deep"));
  // Brackets in a string do not nest.
  CHECK(read_workloads(R"({"a":"\")" + deep + "\"}"));
}

TEST_CASE("integers are read from numbers, strings and integral floats") {
  for (auto text : {"42", "\"42\"", "42.0", "4.2e1", "\"42.0\"", "\"4.2e1\""}) {
    CAPTURE(text);
    auto body = R"({"timeElapsed":)"s + text + "}";
    CHECK(statistics_of(body).time_elapsed == 42);
  }
  CHECK(statistics_of(R"({"timeElapsed":"9223372036854775807"})").time_elapsed
        == std::numeric_limits<int64_t>::max());
}

TEST_CASE("anything but a 64-bit integer is refused") {
  for (auto text : {"1.5", "\"1.5\"", "\"\"", "\" 1\"", "\"1x\"", "true", "{}",
                    "1e400", "\"nan\"", "\"inf\"", "\"-nan\"", "nan", "-NaN"}) {
    CAPTURE(text);
    CHECK(!read_statistics(R"({"timeElapsed":)"s + text + "}"));
  }
}

TEST_CASE("values out of range are clamped") {
  struct {
    std::string_view body;
    training_statistics expected;
  } rows[] = {
    {R"({"percentageCompleted":"100"})", {0, 100, 0, 0, 0.0, ""}},
    {R"({"percentageCompleted":101})", {0, 100, 0, 0, 0.0, ""}},
    {R"({"percentageCompleted":-1})", {}},
    {R"({"timeElapsed":-1})", {}},
    {R"({"remainingTime":"-1"})", {}},
    {R"({"currentEpoch":-9223372036854775808})", {}},
    {R"({"timeElapsed":9223372036854775808})", {INT64_MAX, 0, 0, 0, 0.0, ""}},
    {R"({"timeElapsed":"9223372036854775808"})", {INT64_MAX, 0, 0, 0, 0.0, ""}},
    {R"({"timeElapsed":18446744073709551616})", {INT64_MAX, 0, 0, 0, 0.0, ""}},
    {R"({"percentageCompleted":1e300})", {0, 100, 0, 0, 0.0, ""}},
  };
  for (auto& row : rows) {
    CAPTURE(row.body);
    CHECK(statistics_of(row.body) == row.expected);
  }
}

TEST_CASE("doubles are read from numbers and strings") {
  CHECK(statistics_of(R"({"modelAccuracy":0.75})").model_accuracy == 0.75);
  CHECK(statistics_of(R"({"modelAccuracy":1})").model_accuracy == 1.0);
  CHECK(statistics_of(R"({"modelAccuracy":"0.5"})").model_accuracy == 0.5);
}

TEST_CASE("NaN and Infinity differ from absent numbers") {
  for (auto text : {"\"NaN\"", "\"Infinity\"", "\"-Infinity\"", "NaN",
                    "Infinity", "-Infinity", " NaN "}) {
    CAPTURE(text);
    for (std::string_view key :
         {"timeElapsed", "percentageCompleted", "remainingTime", "currentEpoch",
          "modelAccuracy"}) {
      auto got = read_statistics("{\"" + std::string{key} + "\":" + text
                                 + R"(,"stage":"a NaN, \"Infinity"})");
      REQUIRE(got);
      CHECK(got->statistics->stage == "a NaN, \"Infinity");
      auto& corrections = got->statistics->corrections;
      REQUIRE(corrections.size() == 1);
      CHECK(corrections[0].field == key);
      CHECK(corrections[0].kept);
    }
  }
  // As json.dumps of Python writes it.
  auto got = read_status_update(
    R"({"status": "training", "statistics": {"percentageCompleted": 40, )"
    R"("remainingTime": -Infinity, "modelAccuracy": NaN}})");
  REQUIRE(got);
  CHECK(got->statistics->over({1, 2, 3, 4, 0.5, ""})
        == training_statistics{0, 40, 3, 0, 0.5, ""});
  // Only in reports, and only these words.
  CHECK(!read_workloads(R"({"items":[],"x":NaN})"));
  for (auto body :
       {R"({"modelAccuracy":NaNa})", R"({"modelAccuracy":xNaN})",
        R"({"modelAccuracy":nan})", R"({"modelAccuracy":+Infinity})",
        R"({"modelAccuracy":NaN)", "NaN"})
    CHECK(!read_statistics(body));
}

TEST_CASE("null is the default") {
  CHECK(statistics_of(R"({"timeElapsed":null,"percentageCompleted":null,
                          "remainingTime":null,"currentEpoch":null,
                          "modelAccuracy":null,"stage":null})")
        == training_statistics{});
}

TEST_CASE("a status update may contain statistics") {
  auto bare = read_status_update(R"({"status":"completed"})");
  REQUIRE(bare);
  CHECK(bare->status == "completed");
  CHECK(!bare->statistics);
  auto null = read_status_update(R"({"statistics":null})");
  REQUIRE(null);
  CHECK(!null->statistics);
  CHECK(!null->status);
  auto empty = read_status_update(R"({"status":"","uuid":null})");
  REQUIRE(empty);
  CHECK(!empty->status);
  CHECK(empty->id.empty());
  auto full = read_status_update(
    R"({"status":"training","statistics":{"percentageCompleted":"7"}})");
  REQUIRE(full);
  REQUIRE(full->statistics);
  CHECK(full->statistics->percentage_completed == 7);
}

TEST_CASE("progress may name its job") {
  auto bare = read_statistics(R"({"uuid":"job-1","percentageCompleted":7})");
  REQUIRE(bare);
  CHECK(bare->id == "job-1");
  CHECK(bare->statistics->percentage_completed == 7);
  auto full = read_status_update(R"({"status":"training","uuid":"job-1"})");
  REQUIRE(full);
  CHECK(full->id == "job-1");
  CHECK(mentions(problem_of(read_statistics(R"({"uuid":1})")), "uuid"));
  CHECK(mentions(problem_of(read_status_update(R"({"uuid":{}})")), "uuid"));
}

// -- writing ------------------------------------------------------------------

TEST_CASE("a status is written with all fields and integers as strings") {
  CHECK(to_json(model_status{})
        == R"({"status":"","statistics":{"timeElapsed":"0",)"
           R"("percentageCompleted":"0","remainingTime":"0",)"
           R"("currentEpoch":"0","modelAccuracy":0,"stage":""}})");
  model_status x{"training", {12, 34, 3600, 2, 0.5, "train"}};
  CHECK(to_json(x)
        == R"({"status":"training","statistics":{"timeElapsed":"12",)"
           R"("percentageCompleted":"34","remainingTime":"3600",)"
           R"("currentEpoch":"2","modelAccuracy":0.5,"stage":"train"}})");
}

TEST_CASE("empty lists are written as empty arrays") {
  CHECK(runtime_classes_json({}) == R"({"RuntimeClasses":[]})");
  CHECK(to_json(workload_list{}) == R"({"items":[]})");
  CHECK(to_json(cluster_counts{}) == R"({"items":[]})");
  CHECK(to_json(gpu_list{}) == R"({"items":[]})");
}

TEST_CASE("lists are written in their order") {
  CHECK(runtime_classes_json({"nvidia", "a\"b"})
        == R"({"RuntimeClasses":["nvidia","a\"b"]})");
  CHECK(to_json(workload_list{{"c", "n", "a"}, {"c", "n", "b"}})
        == R"({"items":[{"clusterId":"c","namespace":"n","deployment":"a"},)"
           R"({"clusterId":"c","namespace":"n","deployment":"b"}]})");
  CHECK(to_json(cluster_counts{"c", {{"n", "d", 123}}})
        == R"({"items":[{"clusterId":"c","namespace":"n","deployment":"d",)"
           R"("logCount":"123"}]})");
  CHECK(to_json(gpu_list{{"nvidia.com/gpu", 2, 1}})
        == R"({"items":[{"name":"nvidia.com/gpu","capacity":"2",)"
           R"("allocatable":"1"}]})");
  CHECK(to_json(training_result{"training job submitted"})
        == R"({"response":"training job submitted"})");
}

TEST_CASE("the inventory lists the GPUs and the usable sums") {
  gpu_resource one{"nvidia.com/gpu", 4, 3, "node-a", "nvidia"};
  one.product = "NVIDIA-A100";
  one.memory = 85'899'345'920;
  one.allocated = 2;
  gpu_resource cordoned{"nvidia.com/gpu", 8, 8, "node-b", "nvidia"};
  cordoned.schedulable = false;
  cordoned.allocated = 0;
  gpu_resource mig{
    "nvidia.com/mig-1g.10gb", 7, 7, "node-a", "nvidia", gpu_kind::mig};
  mig.devices.push_back(
    {"MIG-1", "A100 1g.10gb", 10, 5, 50, {{42, "python", 5}}});
  gpu_inventory x;
  x.gpus = {one, mig, cordoned};
  x.observed_at = std::chrono::system_clock::time_point{1769860800s};
  x.source = "kubernetes";
  auto got = json::parse(to_json(x, *x.observed_at + 5s));
  CHECK(got["items"].size() == 3);
  CHECK(got["items"][0]
        == json({{"node", "node-a"},
                 {"resource", "nvidia.com/gpu"},
                 {"vendor", "nvidia"},
                 {"kind", "full"},
                 {"product", "NVIDIA-A100"},
                 {"memoryBytes", 85'899'345'920},
                 {"driver", ""},
                 {"capacity", 4},
                 {"allocatable", 3},
                 {"allocated", 2},
                 {"free", 1},
                 {"ready", true},
                 {"schedulable", true},
                 {"devices", json::array()}}));
  CHECK(got["items"][1]["kind"] == "mig");
  CHECK(got["items"][1]["free"].is_null());
  CHECK(got["items"][1]["devices"][0]
        == json(
          {{"uuid", "MIG-1"},
           {"product", "A100 1g.10gb"},
           {"memoryBytes", 10},
           {"memoryUsedBytes", 5},
           {"utilizationPercent", 50},
           {"processes",
            {{{"pid", 42}, {"program", "python"}, {"memoryUsedBytes", 5}}}}}));
  // The eight GPUs of the cordoned node are not usable.
  CHECK(got["usable"]
        == json({{{"resource", "nvidia.com/gpu"},
                  {"capacity", 4},
                  {"allocatable", 3},
                  {"allocated", 2},
                  {"free", 1}},
                 {{"resource", "nvidia.com/mig-1g.10gb"},
                  {"capacity", 7},
                  {"allocatable", 7},
                  {"allocated", nullptr},
                  {"free", nullptr}}}));
  CHECK(got["observedAt"] == "2026-01-31T12:00:00.000Z");
  CHECK(got["ageSeconds"] == 5);
  CHECK(got["stale"] == false);
  CHECK(got["source"] == "kubernetes");
}

TEST_CASE("a node with more allocated than allocatable has nothing free") {
  gpu_inventory x;
  x.gpus = {{"nvidia.com/gpu", 4, 1}};
  x.gpus[0].allocated = 3;
  auto got = json::parse(to_json(x, {}));
  CHECK(got["items"][0]["free"] == 0);
  CHECK(got["observedAt"].is_null());
  CHECK(got["ageSeconds"].is_null());
}

TEST_CASE("the overview has real integers") {
  cluster_overview x;
  CHECK(to_json(x)
        == R"({"clusters":[],"aggregatedAt":null,"stale":false,)"
           R"("reason":"","source":"","aggregating":false})");
  x.clusters.push_back({"c", 1, 2, 3});
  x.aggregated_at = std::chrono::system_clock::time_point{1'769'860'800'250ms};
  x.stale = true;
  x.reason = "why";
  x.source = "jetstream";
  x.aggregating = true;
  CHECK(to_json(x)
        == R"({"clusters":[{"id":"c","namespaces":1,"deployments":2,)"
           R"("logCount":3}],"aggregatedAt":"2026-01-31T12:00:00.250Z",)"
           R"("stale":true,"reason":"why","source":"jetstream",)"
           R"("aggregating":true})");
}

TEST_CASE("the age of the counts is appended to the encoded bytes") {
  cluster_overview x;
  auto now = std::chrono::system_clock::time_point{1'000s};
  CHECK(with_age(R"({"a":1})", x, now) == R"({"a":1,"ageSeconds":null})");
  x.aggregated_at = now - 61'999ms;
  CHECK(with_age(R"({"a":1})", x, now) == R"({"a":1,"ageSeconds":61})");
  x.aggregated_at = now + 10s;
  CHECK(with_age(R"({"a":1})", x, now) == R"({"a":1,"ageSeconds":0})");
}

TEST_CASE("a page of workloads has real integers") {
  workload_page page;
  CHECK(to_json("c", {}, page)
        == R"({"clusterId":"c","total":0,"items":[],"nextCursor":null})");
  page.total = 2;
  page.rows.push_back({"n\"", "d", 9'007'199'254'740'993});
  page.last = workload_position{"n\"", "d", 0};
  CHECK(to_json("c", {}, page)
        == R"({"clusterId":"c","total":2,"items":[{"namespace":"n\"",)"
           R"("deployment":"d","logCount":9007199254740993}],"nextCursor":")"
             + encode_cursor(workload_order::name, *page.last) + "\"}");
}

TEST_CASE("the history has what was added since the previous interval") {
  auto at = [](int i) {
    return std::chrono::system_clock::time_point{history_interval * i};
  };
  auto point = [](const char* when, int64_t count, const std::string& added) {
    return R"({"at":"1970-01-01T00:)" + std::string{when}
           + R"(:00.000Z","logCount":)" + std::to_string(count) + R"(,"added":)"
           + added + "}";
  };
  // One interval is missing, and later the count falls.
  cluster_history x{
    "c",
    {{at(0), 5}, {at(1), 7}, {at(3), 9}, {at(4), 9}, {at(5), 2}, {at(6), 4}}};
  auto head = R"({"clusterId":"c","intervalSeconds":300,"items":[)"s;
  auto later = point("25", 2, "null") + "," + point("30", 4, "2") + "]}";
  CHECK(to_json(x, at(-1))
        == head + point("00", 5, "null") + "," + point("05", 7, "2") + ","
             + point("15", 9, "null") + "," + point("20", 9, "0") + ","
             + later);
  // The point before the first requested one is still used.
  CHECK(to_json(x, at(3) + 1s) == head + point("20", 9, "0") + "," + later);
  CHECK(to_json(x, at(6)) == head + "]}");
  CHECK(to_json({"c", {}}, at(0)) == head + "]}");
}

TEST_CASE("strings with any content are valid JSON") {
  for (auto text : {"plain"s, "qu\"ote\\"s, "tab\t\n\x01"s, "\0nul"s,
                    "umlaut \xc3\xa4 \xf0\x9f\x98\x80"s, "\x7f"s}) {
    auto parsed = nlohmann::json::parse(json_string(text));
    CHECK(parsed.get<std::string>() == text);
  }
  auto broken = nlohmann::json::parse(json_string("a\xff\xc3"));
  CHECK(broken.get<std::string>().starts_with("a\xef\xbf\xbd"));
}

TEST_CASE("a number that JSON lacks is written as zero") {
  model_status x;
  x.statistics.model_accuracy = std::numeric_limits<double>::quiet_NaN();
  auto parsed = nlohmann::json::parse(to_json(x));
  CHECK(parsed["statistics"]["modelAccuracy"] == 0);
}
