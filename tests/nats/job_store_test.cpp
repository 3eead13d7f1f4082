#include "nats/job_json.hpp"
#include "nats/job_store.hpp"
#include "tests/nats/fake_kv_store.hpp"
#include "tests/support/deterministic.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <deque>

using namespace aiops;
using namespace aiops::test;

namespace {

const auto gateway_bucket = std::string{"aiops-gateway"};
const auto book_key = std::string{"training.book"};

using books = std::shared_ptr<std::vector<stored_book>>;

book_listener_actor::behavior_type book_listener(book_listener_actor::pointer,
                                                 books seen) {
  return {
    [seen](update_atom, const stored_book& x) { seen->push_back(x); },
  };
}

training_job job(uint64_t number) {
  training_job result;
  result.number = number;
  result.id = "job-" + std::to_string(number);
  return result;
}

training_book book(uint64_t number) {
  training_book result;
  result.job = job(number);
  result.last_number = number;
  return result;
}

struct fixture : deterministic {
  fixture() {
    handle = spawn(job_store, kv, job_store_config{});
    run();
  }

  ~fixture() {
    memory->listeners.clear();
  }

  auto put(uint64_t number, uint64_t expected) {
    return ask(handle, put_atom_v, book(number), expected);
  }

  auto archive(uint64_t number) {
    return ask(handle, put_atom_v, job(number));
  }

  books follow() {
    auto seen = std::make_shared<std::vector<stored_book>>();
    ask(handle, subscribe_atom_v,
        book_listener_actor{spawn(book_listener, seen)});
    return seen;
  }

  void store(const std::string& key, std::string value) {
    memory->store({gateway_bucket, key, std::move(value), {}});
  }

  /// Number of the job in a slot of the history; 0 when there is none.
  uint64_t slot(size_t n) {
    auto value = memory->value(gateway_bucket,
                               "training.history." + std::to_string(n));
    return value ? decode_job(*value).value().number : 0;
  }

  kv_memory_ptr memory = std::make_shared<kv_memory>();
  kv_store_actor kv = spawn(fake_kv_store, memory);
  job_store_actor handle;
};

} // namespace

TEST_CASE_FIXTURE(fixture, "the book is written over the revision it had") {
  auto empty = ask(handle, get_atom_v);
  REQUIRE(empty->value);
  CHECK(empty->value->revision == 0);
  CHECK(empty->value->value == training_book{});
  CHECK(put(1, 0)->value == 1);
  CHECK(put(2, 0)->code() == ec::conflict);
  CHECK(put(2, 1)->value == 2);
  auto answer = ask(handle, get_atom_v);
  CHECK(answer->value->revision == 2);
  CHECK(answer->value->value == book(2));
  memory->down = make_error(ec::timeout, "late");
  CHECK(ask(handle, get_atom_v)->code() == ec::timeout);
  CHECK(put(3, 2)->code() == ec::timeout);
}

TEST_CASE_FIXTURE(fixture, "an unreadable book is empty and can be replaced") {
  store(book_key, "rubbish");
  auto answer = ask(handle, get_atom_v);
  CHECK(answer->value->revision == 1);
  CHECK(answer->value->value == training_book{});
  CHECK(put(1, answer->value->revision)->value == 2);
  // Jobs go on being counted.
  store(book_key, R"({"job":{"state":"from the future"},"lastNumber":41})");
  answer = ask(handle, get_atom_v);
  CHECK(answer->value->revision == 3);
  CHECK(!answer->value->value.job);
  CHECK(answer->value->value.last_number == 41);
}

TEST_CASE_FIXTURE(fixture, "listeners hear of every change, whoever made it") {
  auto seen = follow();
  REQUIRE(seen->size() == 1);
  CHECK(seen->back().revision == 0);
  put(1, 0);
  REQUIRE(seen->size() == 2);
  CHECK(seen->back().revision == 1);
  CHECK(seen->back().value == book(1));
  store(book_key, encode_book(book(2)));
  run();
  REQUIRE(seen->size() == 3);
  CHECK(seen->back().value == book(2));
  // Later listeners are told at once.
  auto late = follow();
  REQUIRE(late->size() == 1);
  CHECK(late->back().value == book(2));
}

TEST_CASE_FIXTURE(fixture, "the history is a ring that only goes forward") {
  CHECK(archive(7)->value);
  CHECK(slot(7) == 7);
  auto writes = memory->writes.size();
  CHECK(archive(7)->value);
  CHECK(memory->writes.size() == writes);
  CHECK(archive(107)->value);
  CHECK(slot(7) == 107);
  CHECK(archive(7)->value);
  CHECK(slot(7) == 107);
  store("training.history.8", "rubbish");
  CHECK(archive(8)->value);
  CHECK(slot(8) == 8);
}

TEST_CASE_FIXTURE(fixture, "two that archive at once end with the later job") {
  auto others = 1;
  memory->refuse = [&](const kv_write& x) -> caf::error {
    if (x.expected && others-- > 0)
      store("training.history.7", encode_job(job(207)));
    return {};
  };
  CHECK(archive(107)->value);
  CHECK(slot(7) == 207);
  // Not for ever.
  others = 1'000;
  memory->refuse = [&](const kv_write& x) -> caf::error {
    if (x.expected)
      store("training.history.7", encode_job(job(0)));
    return {};
  };
  CHECK(archive(307)->code() == ec::conflict);
}

TEST_CASE_FIXTURE(fixture, "the history is what can be read of it") {
  CHECK(ask(handle, list_atom_v)->value == job_summaries{});
  for (uint64_t n = 1; n <= 150; ++n)
    archive(n);
  store("training.history.3", "rubbish");
  store("training.history.x.y", "not ours");
  auto answer = ask(handle, list_atom_v);
  REQUIRE(answer->value);
  CHECK(answer->value->size() == 99);
  auto least = std::min_element(
    answer->value->begin(), answer->value->end(),
    [](auto& x, auto& y) { return x.job.number < y.job.number; });
  CHECK(least->job.number == 51);
  memory->down = make_error(ec::timeout, "late");
  CHECK(ask(handle, list_atom_v)->code() == ec::timeout);
}

TEST_CASE_FIXTURE(fixture, "one job of the history is one read") {
  auto find = [&](uint64_t number) { return ask(handle, get_atom_v, number); };
  CHECK(find(7)->code() == ec::not_found);
  auto stored = job(7);
  stored.workloads = {{"c", "n", "d"}};
  CHECK(ask(handle, put_atom_v, stored)->value);
  CHECK(find(7)->value == stored);
  // The same slot.
  CHECK(find(107)->code() == ec::not_found);
  store("training.history.7", "rubbish");
  CHECK(find(7)->code() == ec::not_found);
  memory->down = make_error(ec::timeout, "late");
  CHECK(find(7)->code() == ec::timeout);
}

namespace {

/// Reads that a test answers.
struct held_reads {
  std::deque<caf::typed_response_promise<kv_entry>> reads;
  size_t most = 0;
};

/// Holds the reads of a history of 100 jobs.
kv_store_actor::behavior_type
holding_kv_store(kv_store_actor::pointer self,
                 std::shared_ptr<held_reads> held) {
  return {
    [=](get_atom, const std::string&, const std::string&) {
      held->reads.push_back(self->make_response_promise<kv_entry>());
      held->most = std::max(held->most, held->reads.size());
      return held->reads.back();
    },
    [](put_atom, const kv_write&) { return uint64_t{0}; },
    [](check_atom, const std::string&) { /* nop */ },
    [](delete_atom, const std::string&, const std::string&) {
      return uint64_t{0};
    },
    [](list_atom, const std::string&, const std::string&) {
      return std::vector<std::string>(100, "training.history.1");
    },
    [](subscribe_atom, const std::string&, const std::string&,
       const kv_listener_actor&) { /* nop */ },
  };
}

} // namespace

TEST_CASE_FIXTURE(fixture, "a list of jobs reads a few at a time") {
  auto held = std::make_shared<held_reads>();
  auto aut = spawn(job_store, kv_store_actor{spawn(holding_kv_store, held)},
                   job_store_config{});
  auto list = ask(aut, list_atom_v);
  auto answered = 0;
  auto answer = [&](auto what) {
    auto read = held->reads.front();
    held->reads.pop_front();
    read.deliver(what);
    run();
    ++answered;
  };
  SUBCASE("and all in the end") {
    while (!held->reads.empty())
      answer(kv_entry{encode_job(job(1)), 1, {}});
    CHECK(answered == 100);
    REQUIRE(list->value);
    CHECK(list->value->size() == 100);
  }
  SUBCASE("and no more after an error") {
    answer(kv_entry{encode_job(job(1)), 1, {}});
    while (!held->reads.empty())
      answer(make_error(ec::timeout, "late"));
    CHECK(answered == 9);
    CHECK(list->code() == ec::timeout);
  }
  CHECK(held->most == 8);
}

TEST_CASE_FIXTURE(fixture, "what the world was told is remembered") {
  CHECK(ask(handle, get_atom_v, hooks_atom_v)->value == 0);
  CHECK(ask(handle, put_atom_v, hooks_atom_v, uint64_t{7})->value);
  CHECK(ask(handle, get_atom_v, hooks_atom_v)->value == 7);
  CHECK(*memory->value(gateway_bucket, "training.hooks") == R"({"told":7})");
  store("training.hooks", "rubbish");
  CHECK(ask(handle, get_atom_v, hooks_atom_v)->value == 0);
  memory->down = make_error(ec::timeout, "late");
  CHECK(ask(handle, get_atom_v, hooks_atom_v)->code() == ec::timeout);
  CHECK(ask(handle, put_atom_v, hooks_atom_v, uint64_t{8})->code()
        == ec::timeout);
}

TEST_CASE_FIXTURE(fixture, "a store that dies does not leave anybody waiting") {
  kill(kv);
  CHECK(ask(handle, get_atom_v)->done());
  CHECK(put(1, 0)->done());
  CHECK(archive(1)->done());
  CHECK(ask(handle, list_atom_v)->done());
}
