#include "logs/jetstream.hpp"
#include "tests/support/deterministic.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <functional>
#include <map>
#include <random>

using namespace aiops;
using namespace aiops::logs;
using namespace aiops::test;
using nlohmann::json;

namespace {

/// A stream whose subjects are listed in pages, as nats-server does.
struct paged_stream {
  size_t limit = 7;
  std::string created = "2026-01-01T00:00:00Z";
  std::map<std::string, int64_t> subjects;
  /// Called after each page.
  std::function<void()> after_page = [] {};
  size_t pages = 0;
  /// Whether it does not exist yet, and how it was created.
  bool missing = false;
  json config;

  std::string answer(const std::string& request) {
    ++pages;
    auto asked = json::parse(request).at("offset").get<size_t>();
    auto offset = std::min(asked, subjects.size());
    json result{{"created", created}, {"state", {{"messages", 1}}}};
    auto i = std::next(subjects.begin(), static_cast<std::ptrdiff_t>(offset));
    for (size_t n = 0; n < limit && i != subjects.end(); ++n, ++i)
      result["state"]["subjects"][i->first] = i->second;
    if (!subjects.empty()) {
      result["offset"] = offset;
      result["limit"] = limit;
      result["total"] = subjects.size();
    }
    after_page();
    return result.dump();
  }
};

using paged_stream_ptr = std::shared_ptr<paged_stream>;

bus_actor::behavior_type fake_bus(bus_actor::pointer, paged_stream_ptr stream) {
  return {
    [=](request_atom, const bus_request& x) {
      if (x.subject.find(".CREATE.") != std::string::npos) {
        stream->config = json::parse(x.payload);
        return bus_reply{"{}"};
      }
      if (stream->missing)
        return bus_reply{R"({"error":{"code":404,"err_code":10059}})"};
      return bus_reply{stream->answer(x.payload)};
    },
    [](subscribe_atom, const std::string&, const bus_sink_actor&) { /* nop */ },
    [](subscribe_atom, const std::string&, const std::string&,
       const bus_sink_actor&) { /* nop */ },
    [](put_atom, const bus_message&) { /* nop */ },
    [](subscribe_atom, const bus_listener_actor&) { /* nop */ },
    [](status_atom) { return bus_status{}; },
  };
}

std::string name_of(size_t n) {
  return "d" + std::to_string(n);
}

std::string subject_of(size_t n) {
  return "logs.c.n." + name_of(n);
}

struct fixture : deterministic {
  paged_stream_ptr stream = std::make_shared<paged_stream>();
  log_source_actor source = spawn(jetstream_log_source, spawn(fake_bus, stream),
                                  jetstream_log_source_config{});

  ~fixture() {
    stream->after_page = [] {};
  }

  /// Log messages by deployment.
  std::map<std::string, int64_t> count() {
    auto got = ask(source, count_atom_v);
    REQUIRE(got->value);
    std::map<std::string, int64_t> result;
    for (auto& [id, cluster] : (*got->value)->clusters)
      for (auto row : cluster->value())
        result[std::string{row.deployment}] += row.log_count;
    return result;
  }
};

} // namespace

TEST_CASE_FIXTURE(fixture, "a missing stream is created with the configured "
                           "replicas") {
  stream->missing = true;
  CHECK(count().empty());
  CHECK(stream->config.at("num_replicas") == 1);
  jetstream_log_source_config cfg;
  cfg.replicas = 3;
  source = spawn(jetstream_log_source, spawn(fake_bus, stream), cfg);
  CHECK(count().empty());
  CHECK(stream->config.at("num_replicas") == 3);
}

TEST_CASE_FIXTURE(fixture, "all pages of an unchanged stream are counted") {
  for (size_t n = 0; n < 50; ++n)
    stream->subjects[subject_of(n)] = 3;
  auto counts = count();
  CHECK(counts.size() == 50);
  for (auto& [deployment, log_count] : counts)
    CHECK(log_count == 3);
  CHECK(stream->pages == 9);
}

TEST_CASE_FIXTURE(fixture, "a lasting subject is counted once, whatever other "
                           "subjects appear and disappear") {
  std::minstd_rand random{1};
  for (auto round = 0; round < 100; ++round) {
    CAPTURE(round);
    stream->subjects.clear();
    for (size_t n = 0; n < 100; n += 2)
      stream->subjects[subject_of(n)] = 1;
    stream->after_page = [&] {
      for (auto changes = random() % 12; changes > 0; --changes) {
        auto subject = subject_of(random() % 50 * 2 + 1);
        if (stream->subjects.erase(subject) == 0)
          stream->subjects[subject] = 1;
      }
    };
    auto counts = count();
    for (size_t n = 0; n < 100; n += 2)
      CHECK(counts[name_of(n)] == 1);
    for (auto& [deployment, log_count] : counts)
      CHECK(log_count <= 1);
  }
}

TEST_CASE_FIXTURE(fixture, "a stream that is emptied ends the count") {
  for (size_t n = 0; n < 50; ++n)
    stream->subjects[subject_of(n)] = 1;
  stream->after_page = [&] { stream->subjects.clear(); };
  CHECK(count().size() == 7);
}

TEST_CASE_FIXTURE(fixture, "a stream that is created again is counted again") {
  for (size_t n = 0; n < 50; ++n)
    stream->subjects[subject_of(n)] = 1;
  stream->after_page = [&] {
    if (stream->pages != 2)
      return;
    stream->created = "2026-01-01T00:00:01Z";
    stream->subjects = {{subject_of(1), 1}, {subject_of(2), 1}};
  };
  CHECK(count() == std::map<std::string, int64_t>{{"d1", 1}, {"d2", 1}});
}

TEST_CASE_FIXTURE(fixture, "a list that never ends is an error") {
  for (size_t n = 0; n < 20; ++n)
    stream->subjects[subject_of(n)] = 1;
  stream->after_page = [&] {
    for (auto n = 0; n < 10; ++n)
      stream->subjects[subject_of(10'000 + stream->subjects.size())] = 1;
  };
  CHECK(ask(source, count_atom_v)->code() == ec::bad_reply);
}
