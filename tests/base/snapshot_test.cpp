#include "base/snapshot.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <thread>
#include <vector>

using namespace aiops;

TEST_CASE("a snapshot makes its bytes once, on first use") {
  auto x = make_snapshot(42);
  auto calls = 0;
  auto render = [&](int value) {
    ++calls;
    return std::to_string(value);
  };
  CHECK(x->value() == 42);
  CHECK(calls == 0);
  auto& first = x->bytes(render);
  CHECK(first == "42");
  CHECK(&x->bytes(render) == &first);
  CHECK(calls == 1);
}

TEST_CASE("threads that race for the bytes get the same ones") {
  auto x = make_snapshot(7);
  std::atomic<int> calls{0};
  std::vector<std::thread> threads;
  std::vector<const std::string*> seen(8);
  for (auto& slot : seen)
    threads.emplace_back([&slot, &x, &calls] {
      slot = &x->bytes([&](int value) {
        ++calls;
        return std::to_string(value);
      });
    });
  for (auto& thread : threads)
    thread.join();
  CHECK(calls == 1);
  for (auto slot : seen)
    CHECK(slot == seen.front());
}
