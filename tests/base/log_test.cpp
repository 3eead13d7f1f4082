#include "base/log.hpp"

#include <doctest/doctest.h>

using namespace aiops;

TEST_CASE("text lines begin with time and level") {
  auto line = log::render(log::format::text, log::level::info, "bus",
                          "connected", {{"server", "h:1"}, {"connects", 2}});
  REQUIRE(line.size() > 24);
  CHECK(line[4] == '-');
  CHECK(line[10] == 'T');
  CHECK(line[19] == '.');
  CHECK(line.substr(23) == "Z info    bus: connected server=h:1 connects=2");
}

TEST_CASE("journal lines begin with a priority") {
  auto render = [](log::level level) {
    return log::render(log::format::journal, level, "bus", "said \"no\"", {});
  };
  CHECK(render(log::level::debug) == "<7>bus: said \"no\"");
  CHECK(render(log::level::info) == "<6>bus: said \"no\"");
  CHECK(render(log::level::warning) == "<4>bus: said \"no\"");
  CHECK(render(log::level::error) == "<3>bus: said \"no\"");
}

TEST_CASE("values with special characters are quoted") {
  auto line = log::render(log::format::journal, log::level::info, "x", "y",
                          {{"a", ""}, {"b", "two words"}, {"c", "k=\"v\""}});
  CHECK(line == R"(<6>x: y a="" b="two words" c="k=\"v\"")");
}

TEST_CASE("a record is one line, whatever it contains") {
  for (auto how : {log::format::text, log::format::json, log::format::journal})
    CHECK(log::render(how, log::level::info, "x", "a\nb\x1b[2J",
                      {{"field", "c\r\nd"}, {"raw", "\xff\xc2"}})
            .find_first_of("\n\r\x1b\xff\xc2")
          == std::string::npos);
}

TEST_CASE("JSON lines are objects of strings") {
  auto line = log::render(log::format::json, log::level::warning, "bus",
                          "said \"no\"", {{"name", "gr\u00fcn\xff\\\t"}});
  auto start = line.find(R"(,"level")");
  REQUIRE(start != std::string::npos);
  CHECK(line.starts_with(R"({"time":"2)"));
  CHECK(line.substr(start)
        == ",\"level\":\"warning\",\"component\":\"bus\",\"message\":"
           "\"said \\\"no\\\"\",\"name\":\"gr\u00fcn\\ufffd\\\\\\u0009\"}");
}

TEST_CASE("levels below the minimum are not written") {
  log::configure(log::level::warning, log::format::text);
  CHECK(!log::enabled(log::level::info));
  CHECK(log::enabled(log::level::warning));
  log::configure(log::level::debug, log::format::text);
  CHECK(log::enabled(log::level::debug));
  log::configure(log::level::info, log::format::text);
}
