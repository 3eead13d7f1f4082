#include "http/server/event_ring.hpp"

#include <doctest/doctest.h>

using namespace aiops;
using namespace aiops::http;
using namespace std::literals;

namespace {

const auto all = topic_set{}.set();

constexpr auto training = event_topic::training;
constexpr auto gpu = event_topic::gpu;

topic_set only(event_topic topic) {
  return topic_set{}.set(static_cast<size_t>(topic));
}

std::vector<uint64_t> numbers(const std::vector<event_frame_ptr>& frames) {
  std::vector<uint64_t> result;
  for (auto& frame : frames)
    result.push_back(frame->number);
  return result;
}

/// The numbers of the events after a position.
std::vector<uint64_t> next(const event_ring& ring, uint64_t position,
                           const topic_set& topics = all) {
  std::vector<event_frame_ptr> frames;
  CHECK(ring.collect(position, topics, 100, frames));
  return numbers(frames);
}

using list = std::vector<uint64_t>;

} // namespace

TEST_CASE("topics have names") {
  for (size_t i = 0; i < event_topic_count; ++i) {
    auto topic = static_cast<event_topic>(i);
    CHECK(event_topic_of(to_string(topic)) == topic);
  }
  CHECK(!event_topic_of(""));
  CHECK(!event_topic_of("Training"));
  CHECK(!event_topic_of("train"));
}

TEST_CASE("an event is sent with its id, topic and data") {
  event_ring ring{"abc", 10, 1000};
  ring.append(gpu, R"({"a":1})");
  auto start = ring.start_after("", all);
  REQUIRE(start.latest.size() == 1);
  CHECK(start.latest[0]->bytes == "id: abc-1\nevent: gpu\ndata: {\"a\":1}\n\n");
}

TEST_CASE("a new client gets the last event of each topic, in order") {
  event_ring ring{"abc", 10, 10'000};
  auto empty = ring.start_after("", all);
  CHECK(empty.position == 0);
  CHECK(empty.latest.empty());
  CHECK(!empty.missed);
  ring.append(gpu, "1");
  ring.append(training, "2");
  ring.append(training, "3");
  ring.append(gpu, "4");
  auto start = ring.start_after("", all);
  CHECK(start.position == 4);
  CHECK(numbers(start.latest) == list{3, 4});
  CHECK(!start.missed);
  CHECK(numbers(ring.start_after("", only(training)).latest) == list{3});
  CHECK(ring.start_after("", only(event_topic::backend)).latest.empty());
}

TEST_CASE("a client that reconnects continues after its last event") {
  event_ring ring{"abc", 10, 10'000};
  for (auto i = 0; i < 5; ++i)
    ring.append(training, "x");
  for (uint64_t n = 0; n <= 5; ++n) {
    auto start = ring.start_after("abc-" + std::to_string(n), all);
    CHECK(start.position == n);
    CHECK(start.latest.empty());
    CHECK(!start.missed);
  }
}

TEST_CASE("an id that is too old or foreign means that events were missed") {
  event_ring ring{"abc", 3, 10'000};
  for (auto i = 0; i < 5; ++i)
    ring.append(training, "x");
  CHECK(!ring.start_after("abc-2", all).missed);
  for (auto id : {"abc-1", "abc-0", "abc-6", "abd-4", "abc", "abc-", "-", "4",
                  "abc--4", "abc-4x", "abc-99999999999999999999"}) {
    CAPTURE(id);
    auto start = ring.start_after(id, all);
    CHECK(start.missed);
    CHECK(start.position == 5);
    CHECK(numbers(start.latest) == list{5});
  }
}

TEST_CASE("the oldest events are dropped above the maximum number") {
  event_ring ring{"abc", 3, 10'000};
  for (auto i = 0; i < 5; ++i)
    ring.append(training, "x");
  CHECK(!ring.holds(1));
  CHECK(ring.holds(2));
  CHECK(next(ring, 2) == list{3, 4, 5});
  CHECK(next(ring, 5).empty());
  std::vector<event_frame_ptr> frames;
  uint64_t position = 1;
  CHECK(!ring.collect(position, all, 100, frames));
  CHECK(frames.empty());
  CHECK(position == 1);
}

TEST_CASE(
  "the oldest events are dropped above the maximum size, never the last") {
  event_ring ring{"abc", 100, 1000};
  for (auto i = 0; i < 100; ++i)
    ring.append(training, std::string(300, 'x'));
  CHECK(!ring.holds(96));
  CHECK(next(ring, 98) == list{99, 100});
  ring.append(training, std::string(5000, 'x'));
  CHECK(next(ring, 100) == list{101});
  CHECK(!ring.holds(99));
  // Small ones fit again.
  ring.append(training, "x");
  ring.append(training, "x");
  CHECK(next(ring, 101) == list{102, 103});
}

TEST_CASE(
  "only events of the requested topics are collected, up to the limit") {
  event_ring ring{"abc", 100, 10'000};
  for (auto i = 0; i < 6; ++i)
    ring.append(i % 2 == 0 ? training : gpu, "x");
  CHECK(next(ring, 0, only(gpu)) == list{2, 4, 6});
  CHECK(next(ring, 2, only(gpu)) == list{4, 6});
  std::vector<event_frame_ptr> frames;
  uint64_t position = 0;
  CHECK(ring.collect(position, all, 4, frames));
  CHECK(numbers(frames) == list{1, 2, 3, 4});
  CHECK(position == 0);
  // `out` has `limit` elements already.
  CHECK(ring.collect(position, all, 4, frames));
  CHECK(frames.size() == 4);
  CHECK(position == 0);
}

TEST_CASE("a client without matching events does not fall behind") {
  event_ring ring{"abc", 3, 10'000};
  std::vector<event_frame_ptr> frames;
  uint64_t position = 0;
  for (auto i = 0; i < 10; ++i) {
    ring.append(training, "x");
    CHECK(ring.collect(position, only(gpu), 100, frames));
    CHECK(frames.empty());
    CHECK(position == static_cast<uint64_t>(i + 1));
  }
}
