#include "nats/training/job_json.hpp"
#include "nats/training/job_store.hpp"
#include "tests/nats/fake_kv_store.hpp"
#include "tests/support/deterministic.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <deque>

using namespace aiops;
using namespace aiops::nats;
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

using strings = std::vector<std::string>;

training_job job(uint64_t number) {
  training_job result;
  result.number = number;
  result.id = "job-" + std::to_string(number);
  return result;
}

training_book book(uint64_t number) {
  training_book result;
  result.training = job(number);
  result.last_number = number;
  return result;
}

const shared_workloads de{{"c", "n", "d"}, {"c", "n", "e"}};
const shared_workloads ef{{"c", "n", "e"}, {"c", "n", "f"}};

/// A job with a watchlist, compared with that of another job.
training_job job(uint64_t number, const shared_workloads& list,
                 const std::string& base_id, const shared_workloads& base) {
  auto result = job(number);
  result.workloads = list;
  result.list_id = result.id;
  result.changes = diff(base, list);
  result.base_id = base_id;
  return result;
}

struct fixture : deterministic {
  fixture() {
    handle = replica();
  }

  ~fixture() {
    memory->listeners.clear();
  }

  /// One more on the same store.
  job_store_actor replica() {
    job_store_config cfg;
    cfg.make_id = [this] { return "write-" + std::to_string(++ids); };
    auto result = spawn(job_store, kv, cfg);
    run();
    return result;
  }

  auto put(uint64_t number, uint64_t expected) {
    return ask(handle, put_atom_v, book(number), expected);
  }

  auto get() {
    return ask(handle, get_atom_v);
  }

  /// The revision of the book in the store.
  uint64_t revision() {
    auto i = memory->entries.find({gateway_bucket, book_key});
    return i == memory->entries.end() ? 0 : i->second.revision;
  }

  /// Lets a new replica read the book from a store that fails just after that.
  auto get_with_fault() {
    memory->when = [] { return kv_memory::timing::late; };
    handle = replica();
    // It reads what the book needs since it follows it, too.
    REQUIRE(memory->held.size() == 1);
    auto answer = get();
    REQUIRE(memory->held.size() == 2);
    auto read = std::move(memory->held.back());
    memory->held.pop_back();
    read();
    run();
    CHECK_FALSE(answer->done());
    memory->down = make_error(ec::timeout, "late");
    for (auto& next : std::exchange(memory->held, {}))
      next();
    run();
    memory->down = {};
    memory->when = nullptr;
    return answer;
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

  /// As another replica would.
  void store_book(const training_book& x, const std::string& write,
                  const std::string& previous, const std::string& origin = "") {
    store(book_key, encode_book(x, write, previous, origin));
    run();
  }

  std::string value(const std::string& key) {
    auto result = memory->value(gateway_bucket, key);
    return result ? *result : "(none)";
  }

  /// How often a key was written.
  auto writes(const std::string& key) {
    return std::count_if(memory->writes.begin(), memory->writes.end(),
                         [&](auto& x) { return x.key == key; });
  }

  /// The store as it is now.
  auto remember() {
    return std::pair{memory->entries, memory->sequence};
  }

  /// The store loses all later writes, and listeners get no message.
  void go_back(const std::pair<std::map<kv_memory::place, kv_entry>, uint64_t>&
                 remembered) {
    memory->entries = remembered.first;
    memory->sequence = remembered.second;
  }

  /// The store sends the book to the listeners.
  void announce() {
    auto i = memory->entries.find({gateway_bucket, book_key});
    auto entry = i == memory->entries.end() ? kv_entry{} : i->second;
    for (auto& [where, listener] : memory->listeners)
      caf::anon_send(listener, update_atom_v, entry);
    run();
  }

  /// Number of the job in a slot of the history; 0 when there is none.
  uint64_t slot(size_t n) {
    auto record = memory->value(gateway_bucket,
                                "training.history." + std::to_string(n));
    return record ? decode_record(*record).value().job.number : 0;
  }

  kv_memory_ptr memory = std::make_shared<kv_memory>();
  kv_store_actor kv = spawn(fake_kv_store, memory);
  job_store_actor handle;
  int ids = 0;
};

} // namespace

// -- the book -----------------------------------------------------------------

TEST_CASE_FIXTURE(fixture,
                  "the book is written only over the expected revision") {
  auto empty = get();
  REQUIRE(empty->value);
  CHECK(empty->value->revision == 0);
  CHECK(empty->value->value == training_book{});
  auto first = put(1, 0)->value;
  REQUIRE(first);
  CHECK(*first == revision());
  CHECK(put(2, 0)->code() == ec::conflict);
  auto second = put(2, *first)->value;
  REQUIRE(second);
  CHECK(*second == revision());
  CHECK(*second > *first);
  auto answer = get();
  CHECK(answer->value->revision == *second);
  CHECK(answer->value->value == book(2));
  CHECK(answer->value->losses == 0);
  memory->down = make_error(ec::timeout, "late");
  CHECK(get()->code() == ec::timeout);
  CHECK(put(3, *second)->code() == ec::timeout);
}

TEST_CASE_FIXTURE(fixture,
                  "each write contains the id of the one that it is based on") {
  auto record = [this] { return decode_book(value(book_key)).value(); };
  put(1, 0);
  CHECK(record().write == "write-1");
  CHECK(record().previous.empty());
  put(2, revision());
  CHECK(record().write == "write-2");
  CHECK(record().previous == "write-1");
  store_book(book(3), "theirs", "write-2");
  put(4, revision());
  CHECK(record().write == "write-3");
  CHECK(record().previous == "theirs");
  // So does a replica that only read it.
  memory->quiet = true;
  auto other = replica();
  ask(other, get_atom_v);
  ask(other, put_atom_v, book(5), revision());
  CHECK(record().previous == "write-3");
}

TEST_CASE_FIXTURE(
  fixture, "each write contains the id of the one with which the book began") {
  auto origin = [this] { return decode_book(value(book_key)).value().origin; };
  put(1, 0);
  CHECK(origin() == "write-1");
  put(2, revision());
  CHECK(origin() == "write-1");
  store_book(book(3), "theirs", "write-2", "write-1");
  put(4, revision());
  CHECK(origin() == "write-1");
  SUBCASE("a removed book starts again") {
    memory->entries.erase({gateway_bucket, book_key});
    put(5, 0);
    CHECK(origin() == "write-4");
  }
  SUBCASE("an unreadable book starts again") {
    store(book_key, "rubbish");
    run();
    put(5, revision());
    CHECK(origin() == "write-4");
  }
  SUBCASE("one of an older version keeps none") {
    store(book_key, R"({"lastNumber":4})");
    run();
    put(5, revision());
    CHECK(origin().empty());
  }
  SUBCASE("after a loss, too, when revisions are lower than before") {
    for (auto n = 5; n < 40; ++n)
      put(n, revision());
    auto old = remember();
    for (auto n = 40; n < 80; ++n)
      put(n, revision());
    go_back(old);
    get();
    put(80, revision());
    put(81, revision());
    CHECK(origin() == "write-1");
  }
}

TEST_CASE_FIXTURE(
  fixture, "an unreadable book is kept under another key and can be replaced") {
  store(book_key, "rubbish");
  run();
  auto answer = get();
  CHECK(answer->value->revision == 1);
  CHECK(answer->value->value == training_book{});
  CHECK(value("training.unreadable.1") == "rubbish");
  CHECK(writes("training.unreadable.1") == 1);
  CHECK(put(1, answer->value->revision)->value);
  CHECK(get()->value->value == book(1));
  CHECK(value("training.unreadable.1") == "rubbish");
  // Numbers of jobs continue.
  auto later = std::string{
    R"({"training":{"state":"from the future"},"lastNumber":41})"};
  store(book_key, later);
  run();
  answer = get();
  CHECK(!answer->value->value.training);
  CHECK(answer->value->value.last_number == 41);
  CHECK(value("training.unreadable." + std::to_string(answer->value->revision))
        == later);
}

TEST_CASE_FIXTURE(fixture,
                  "an unreadable book instead of a known one is a loss, once") {
  put(1, 0);
  auto seen = follow();
  store(book_key, "rubbish");
  run();
  CHECK(seen->back().losses == 1);
  CHECK(get()->value->losses == 1);
  CHECK(put(2, revision())->value);
  CHECK(put(3, revision())->value);
  CHECK(get()->value->losses == 1);
}

TEST_CASE_FIXTURE(fixture,
                  "an unreadable book that cannot be kept can be replaced") {
  memory->refuse = [](const kv_write& x) {
    return x.key == book_key ? caf::error{} : make_error(ec::refused, "full");
  };
  store(book_key, "rubbish");
  run();
  CHECK(get()->value->revision == 1);
  CHECK(put(1, 1)->value);
}

TEST_CASE_FIXTURE(fixture, "a book of an older version is read and replaced") {
  store(book_key,
        R"({"job":{"id":"job-7","number":7,"state":"training",)"
        R"("action":"train","workloads":{"c":{"n":["d","e"]}},)"
        R"("added":{"c":{"n":["d","e"]}},"response":"ok"},"lastNumber":7})");
  run();
  auto read = get();
  REQUIRE(read->value);
  auto old = read->value->value;
  REQUIRE(old.training);
  CHECK(old.training->workloads == de);
  CHECK(old.watchlist.workloads == de);
  CHECK(read->value->losses == 0);
  // The list is stored in a separate value.
  old.training->statistics.percentage_completed = 7;
  auto stored = ask(handle, put_atom_v, old, read->value->revision);
  CHECK(stored->value);
  CHECK(value("training.watchlist.job-7") == R"({"c":{"n":["d","e"]}})");
  auto again = ask(replica(), get_atom_v);
  REQUIRE(again->value);
  CHECK(again->value->value == old);
  CHECK(again->value->losses == 0);
}

TEST_CASE_FIXTURE(fixture, "listeners get the changes of all replicas") {
  auto seen = follow();
  REQUIRE(seen->size() == 1);
  CHECK(seen->back().revision == 0);
  put(1, 0);
  REQUIRE(seen->size() == 2);
  CHECK(seen->back().revision == revision());
  CHECK(seen->back().value == book(1));
  store_book(book(2), "theirs", "write-1");
  REQUIRE(seen->size() == 3);
  CHECK(seen->back().value == book(2));
  // Later listeners are notified at once.
  auto late = follow();
  REQUIRE(late->size() == 1);
  CHECK(late->back().value == book(2));
}

// -- numbers ------------------------------------------------------------------

TEST_CASE_FIXTURE(
  fixture,
  "without a book the last number is read from the history or the hooks") {
  archive(41);
  archive(7);
  uint64_t expected = 41;
  SUBCASE("in the history") {
    ask(handle, put_atom_v, hooks_atom_v, uint64_t{40});
  }
  SUBCASE("with the hooks") {
    ask(handle, put_atom_v, hooks_atom_v, uint64_t{43});
    expected = 43;
  }
  SUBCASE("in spite of an unreadable book") {
    store(book_key, R"({"training":7,"lastNumber":12})");
    run();
  }
  auto answer = ask(replica(), get_atom_v);
  REQUIRE(answer->value);
  CHECK(answer->value->value.last_number == expected);
  CHECK(!answer->value->value.training);
}

TEST_CASE_FIXTURE(
  fixture, "the last number is read again when the book is removed later") {
  put(41, 0);
  archive(40);
  ask(handle, put_atom_v, hooks_atom_v, uint64_t{39});
  memory->entries.erase({gateway_bucket, book_key});
  auto answer = get();
  REQUIRE(answer->value);
  CHECK(answer->value->revision == 0);
  CHECK(answer->value->value.last_number == 41);
}

TEST_CASE_FIXTURE(fixture,
                  "numbers do not start again while the last one is unknown") {
  archive(41);
  CHECK(get_with_fault()->code() == ec::timeout);
  CHECK(ask(handle, get_atom_v)->value->value.last_number == 41);
}

TEST_CASE_FIXTURE(
  fixture,
  "no book starts with a number that was read before another book existed") {
  auto remove_book = [this] {
    kv_write what{gateway_bucket, book_key, "", {}};
    what.removal = true;
    memory->quiet = true;
    memory->store(what);
  };
  // Another replica's numbers go up to 41, then its book is removed.
  auto other = replica();
  REQUIRE(get()->value->value.last_number == 0);
  memory->quiet = true;
  ask(other, put_atom_v, book(41), uint64_t{0});
  remove_book();
  CHECK(put(1, 0)->code() == ec::conflict);
  // The other replica had stored its number.
  CHECK(get()->value->value.last_number == 41);
  // A replica with the earlier answer does not know it.
  CHECK(put(1, 0)->code() == ec::conflict);
  CHECK(put(42, 0)->value);
}

// -- watchlists ---------------------------------------------------------------

TEST_CASE_FIXTURE(fixture, "a list is stored once, in a separate value") {
  auto x = book(2);
  x.training = job(1, de, "", {});
  x.submission = job(2, ef, "job-1", de);
  x.watchlist = {"job-1", 1, training_action::train, {}, de, "job-1", false};
  CHECK(ask(handle, put_atom_v, backend_submission{"job-2", ef})->value);
  CHECK(value("training.watchlist.job-2") == R"({"c":{"n":["e","f"]}})");
  uint64_t revision = 0;
  for (auto percentage : {1, 2, 3}) {
    x.training->statistics.percentage_completed = percentage;
    auto stored = ask(handle, put_atom_v, x, revision);
    REQUIRE(stored->value);
    revision = *stored->value;
  }
  CHECK(writes("training.watchlist.job-1") == 1);
  CHECK(writes("training.watchlist.job-2") == 1);
  CHECK(writes(book_key) == 3);
  CHECK(value("training.watchlist.job-1") == R"({"c":{"n":["d","e"]}})");
  CHECK(value(book_key).find(R"("workloads")") == std::string::npos);
  CHECK(value(book_key).size() < max_book_size);
  // The lists are stored first, so that the book never refers to a missing one.
  CHECK(memory->writes.back().key == book_key);
  CHECK(get()->value->value == x);
  // Others read them.
  auto read = ask(replica(), get_atom_v);
  REQUIRE(read->value);
  CHECK(read->value->value == x);
}

TEST_CASE_FIXTURE(
  fixture,
  "a list without a job is stored with the job that was compared with it") {
  auto x = book(1);
  x.submission = job(1, ef, base_list_id("job-1"), de);
  x.training.reset();
  CHECK(ask(handle, put_atom_v, x, uint64_t{0})->value);
  CHECK(value("training.watchlist.job-1.base") == R"({"c":{"n":["d","e"]}})");
  auto read = ask(replica(), get_atom_v);
  REQUIRE(read->value);
  CHECK(read->value->value == x);
}

TEST_CASE_FIXTURE(fixture, "a book is not stored without its lists") {
  memory->refuse = [](const kv_write& x) {
    return x.key == book_key ? caf::error{}
                             : make_error(ec::too_large, "large");
  };
  auto x = book(1);
  x.training = job(1, de, "", {});
  CHECK(ask(handle, put_atom_v, x, uint64_t{0})->code() == ec::too_large);
  CHECK(ask(handle, put_atom_v, backend_submission{"job-1", de})->code()
        == ec::too_large);
  CHECK(memory->writes.empty());
}

TEST_CASE_FIXTURE(fixture, "only the list is missing when a list is lost") {
  auto x = book(1);
  x.training = job(1, de, "", {});
  x.watchlist = {"job-1", 1, training_action::train, {}, de, "job-1", false};
  ask(handle, put_atom_v, x, uint64_t{0});
  SUBCASE("gone") {
    memory->entries.erase({gateway_bucket, "training.watchlist.job-1"});
  }
  SUBCASE("unreadable") {
    store("training.watchlist.job-1", "rubbish");
  }
  auto read = ask(replica(), get_atom_v);
  REQUIRE(read->value);
  auto& found = read->value->value;
  CHECK(found.watchlist.job_id == "job-1");
  CHECK(found.watchlist.workloads.empty());
  REQUIRE(found.training);
  CHECK(found.training->id == "job-1");
  CHECK(found.training->workloads.empty());
  CHECK(found.last_number == 1);
}

TEST_CASE_FIXTURE(fixture, "a book whose list cannot be read now is an error") {
  auto x = book(1);
  x.training = job(1, de, "", {});
  ask(handle, put_atom_v, x, uint64_t{0});
  CHECK(get_with_fault()->code() == ec::timeout);
  CHECK(get()->value->value == x);
}

TEST_CASE_FIXTURE(
  fixture, "a book that could not be read is read again without a message") {
  auto x = book(1);
  x.training = job(1, de, "", {});
  auto other = replica();
  auto seen = follow();
  memory->quiet = true;
  ask(other, put_atom_v, x, uint64_t{0});
  auto fails = true;
  memory->when = [&] {
    if (std::exchange(fails, false))
      memory->down = make_error(ec::bad_reply, "unreadable");
    return kv_memory::timing::at_once;
  };
  // The list cannot be read.
  announce();
  memory->when = nullptr;
  memory->down = {};
  CHECK(seen->back().revision == 0);
  advance(10s);
  CHECK(seen->back().value == x);
}

TEST_CASE_FIXTURE(fixture, "lists are listed and removed by id") {
  auto list = [this] { return ask(handle, list_atom_v, watchlist_atom_v); };
  CHECK(list()->value == strings{});
  ask(handle, put_atom_v, backend_submission{"job-1", de});
  ask(handle, put_atom_v, backend_submission{"job-2.base", ef});
  archive(1);
  CHECK(list()->value == strings{"job-1", "job-2.base"});
  auto remove = [this] {
    return ask(handle, delete_atom_v, std::string{"job-1"});
  };
  CHECK(remove()->value);
  CHECK(list()->value == strings{"job-2.base"});
  CHECK(remove()->value);
  // It is stored again with the next job that has it.
  ask(handle, put_atom_v, backend_submission{"job-1", de});
  CHECK(list()->value->size() == 2);
  memory->down = make_error(ec::timeout, "late");
  CHECK(list()->code() == ec::timeout);
  CHECK(remove()->code() == ec::timeout);
}

// -- losses of the store ------------------------------------------------------

TEST_CASE_FIXTURE(
  fixture,
  "a write over an older revision than the last shows a loss of the store") {
  put(1, 0);
  auto old = remember();
  put(2, revision());
  go_back(old);
  SUBCASE("to other revisions than before") {
    memory->sequence = 70;
  }
  SUBCASE("to the same revisions") {
    // As is.
  }
  auto seen = follow();
  CHECK(seen->back().losses == 0);
  CHECK(put(3, revision())->value);
  CHECK(get()->value->losses == 1);
  CHECK(get()->value->value == book(3));
  REQUIRE(!seen->empty());
  CHECK(seen->back().losses == 1);
  CHECK(seen->back().value == book(3));
  // Once.
  auto revision = get()->value->revision;
  CHECK(put(4, revision)->value);
  CHECK(get()->value->losses == 1);
}

TEST_CASE_FIXTURE(fixture,
                  "a revision with another write shows a loss of the store") {
  put(1, 0);
  auto old = remember();
  put(2, revision());
  auto seen = follow();
  auto lost = revision();
  go_back(old);
  memory->sequence = lost - 1;
  SUBCASE("when it is reported") {
    store_book(book(3), "theirs", "write-1");
    CHECK(seen->back().revision == lost);
    CHECK(seen->back().value == book(3));
    CHECK(seen->back().losses == 1);
  }
  SUBCASE("when it is read") {
    memory->quiet = true;
    store_book(book(3), "theirs", "write-1");
  }
  auto answer = get();
  CHECK(answer->value->revision == lost);
  CHECK(answer->value->value == book(3));
  CHECK(answer->value->losses == 1);
}

TEST_CASE_FIXTURE(fixture,
                  "a write based on an older one shows a loss of the store") {
  put(1, 0);
  auto old = remember();
  put(2, revision());
  go_back(old);
  memory->sequence = 70;
  store_book(book(3), "theirs", "write-1");
  CHECK(get()->value->losses == 1);
  CHECK(get()->value->value == book(3));
}

TEST_CASE_FIXTURE(fixture,
                  "an older book that stays shows a loss of the store") {
  put(1, 0);
  auto old = remember();
  put(2, revision());
  auto seen = follow();
  go_back(old);
  announce();
  advance(9s);
  // It may be an old copy that answers.
  CHECK(seen->size() == 1);
  CHECK(get()->value->losses == 0);
  advance(1s);
  REQUIRE(seen->size() == 2);
  CHECK(seen->back().revision == revision());
  CHECK(seen->back().value == book(1));
  CHECK(seen->back().losses == 1);
  // Once.
  announce();
  advance(1min);
  CHECK(seen->back().losses == 1);
  CHECK(put(3, revision())->value);
  CHECK(get()->value->losses == 1);
  CHECK(seen->back().value == book(3));
}

TEST_CASE_FIXTURE(fixture,
                  "a book that stays removed shows a loss of the store") {
  put(1, 0);
  archive(7);
  auto seen = follow();
  memory->entries.erase({gateway_bucket, book_key});
  announce();
  advance(9s);
  CHECK(seen->size() == 1);
  advance(1s);
  REQUIRE(seen->size() == 2);
  CHECK(seen->back().revision == 0);
  CHECK(seen->back().value.last_number == 7);
  CHECK(seen->back().losses == 1);
  CHECK(put(8, 0)->value);
  CHECK(get()->value->losses == 1);
}

TEST_CASE_FIXTURE(fixture,
                  "an unreadable book that was the first one and stays "
                  "removed shows a loss of the store") {
  store(book_key, "rubbish");
  auto seen = follow();
  REQUIRE(!seen->empty());
  CHECK(seen->back().revision == 1);
  CHECK(seen->back().losses == 0);
  memory->entries.erase({gateway_bucket, book_key});
  announce();
  CHECK(seen->back().revision == 1);
  advance(10s);
  CHECK(seen->back().revision == 0);
  CHECK(seen->back().losses == 1);
}

TEST_CASE_FIXTURE(fixture, "an old copy of the book shows no loss") {
  put(1, 0);
  auto old = remember();
  put(2, revision());
  auto newest = remember();
  auto seen = follow();
  go_back(old);
  announce();
  go_back(newest);
  SUBCASE("when the newest is read again") {
    announce();
  }
  SUBCASE("when a second read finds the newest") {
    // As is.
  }
  advance(1min);
  CHECK(seen->back().value == book(2));
  CHECK(seen->back().losses == 0);
}

TEST_CASE_FIXTURE(
  fixture, "an older book is not accepted while the store is unavailable") {
  put(1, 0);
  auto old = remember();
  put(2, revision());
  auto seen = follow();
  go_back(old);
  announce();
  memory->down = make_error(ec::disconnected, "down");
  advance(1min);
  CHECK(seen->size() == 1);
  memory->down = {};
  advance(10s);
  CHECK(seen->back().losses == 1);
  CHECK(seen->back().value == book(1));
}

TEST_CASE_FIXTURE(
  fixture, "a list that was lost with the book is stored again from memory") {
  put(1, 0);
  auto old = remember();
  auto x = book(2);
  x.training = job(2, de, "", {});
  CHECK(ask(handle, put_atom_v, x, revision())->value);
  go_back(old);
  announce();
  advance(10s);
  CHECK(value("training.watchlist.job-2") == R"({"c":{"n":["d","e"]}})");
}

TEST_CASE_FIXTURE(fixture, "two replicas that write in turn lose nothing") {
  auto other = replica();
  auto seen = follow();
  uint64_t revision = 0;
  for (uint64_t n = 1; n <= 100; ++n) {
    auto stored = ask(n % 3 == 0 ? other : handle, put_atom_v, book(n),
                      revision);
    REQUIRE(stored->value);
    revision = *stored->value;
  }
  CHECK(get()->value->losses == 0);
  CHECK(ask(other, get_atom_v)->value->losses == 0);
  CHECK(seen->back().losses == 0);
  CHECK(seen->back().value == book(100));
}

// -- the history --------------------------------------------------------------

TEST_CASE_FIXTURE(
  fixture, "a slot that this replica wrote is written again without a read") {
  CHECK(archive(7)->value);
  auto reads = memory->reads;
  CHECK(archive(107)->value);
  CHECK(slot(7) == 107);
  CHECK(memory->reads == reads);
  // Another replica wrote the slot.
  CHECK(ask(replica(), put_atom_v, job(307))->value);
  CHECK(archive(207)->value);
  CHECK(slot(7) == 307);
}

TEST_CASE_FIXTURE(fixture,
                  "the history is a ring whose slots only get later jobs") {
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

TEST_CASE_FIXTURE(fixture,
                  "of two concurrent jobs for a slot the later one stays") {
  auto others = 1;
  memory->refuse = [&](const kv_write& x) -> caf::error {
    if (x.expected && others-- > 0)
      store("training.history.7", encode_record(job(207)));
    return {};
  };
  CHECK(archive(107)->value);
  CHECK(slot(7) == 207);
  // Not without end.
  others = 1'000;
  memory->refuse = [&](const kv_write& x) -> caf::error {
    if (x.expected)
      store("training.history.7", encode_record(job(0)));
    return {};
  };
  CHECK(archive(307)->code() == ec::conflict);
}

TEST_CASE_FIXTURE(fixture, "unreadable jobs are omitted from the history") {
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

TEST_CASE_FIXTURE(fixture, "the history contains the lengths of the lists") {
  auto x = job(7, ef, "job-6", de);
  CHECK(ask(handle, put_atom_v, x)->value);
  store("training.history.8", encode_job(job(8, de, "", {})));
  auto answer = ask(handle, list_atom_v);
  REQUIRE(answer->value);
  REQUIRE(answer->value->size() == 2);
  for (auto& found : *answer->value) {
    CAPTURE(found.job.number);
    CHECK(found.job.workloads.empty());
    CHECK(found.job.changes == workload_diff{});
    CHECK(found.workloads == 2);
    CHECK(found.added == (found.job.number == 7 ? 1 : 2));
    CHECK(found.removed == (found.job.number == 7 ? 1 : 0));
  }
}

TEST_CASE_FIXTURE(fixture, "a job of the history is read with its lists") {
  auto find = [&](uint64_t number) { return ask(handle, get_atom_v, number); };
  CHECK(find(7)->code() == ec::not_found);
  auto stored = job(7, ef, "job-6", de);
  CHECK(ask(handle, put_atom_v, backend_submission{"job-6", de})->value);
  CHECK(ask(handle, put_atom_v, backend_submission{"job-7", ef})->value);
  CHECK(ask(handle, put_atom_v, stored)->value);
  CHECK(find(7)->value == stored);
  CHECK(ask(replica(), get_atom_v, uint64_t{7})->value == stored);
  // Older versions kept the lists with the job.
  auto old = job(8, ef, "", de);
  old.list_id.clear();
  store("training.history.8", encode_job(old));
  CHECK(find(8)->value == old);
  // The same slot.
  CHECK(find(107)->code() == ec::not_found);
  store("training.history.7", "rubbish");
  CHECK(find(7)->code() == ec::not_found);
  memory->down = make_error(ec::timeout, "late");
  CHECK(find(7)->code() == ec::timeout);
}

TEST_CASE_FIXTURE(fixture,
                  "lists that are being read are kept when the book changes") {
  auto stored = job(7, ef, "job-6", de);
  ask(handle, put_atom_v, backend_submission{"job-6", de});
  ask(handle, put_atom_v, backend_submission{"job-7", ef});
  ask(handle, put_atom_v, stored);
  auto other = replica();
  memory->when = [] { return kv_memory::timing::late; };
  auto answer = ask(other, get_atom_v, uint64_t{7});
  uint64_t n = 0;
  while (!memory->held.empty()) {
    auto next = std::move(memory->held.front());
    memory->held.pop_front();
    next();
    run();
    // The book changes between any two reads.
    ++n;
    store_book(book(n), "write " + std::to_string(n),
               "write " + std::to_string(n - 1));
  }
  CHECK(answer->value == stored);
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

TEST_CASE_FIXTURE(fixture, "a list of jobs limits its concurrent reads") {
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
  SUBCASE("and reads all in the end") {
    while (!held->reads.empty())
      answer(kv_entry{encode_record(job(1)), 1, {}});
    CHECK(answered == 100);
    REQUIRE(list->value);
    CHECK(list->value->size() == 100);
  }
  SUBCASE("and stops after an error") {
    answer(kv_entry{encode_record(job(1)), 1, {}});
    while (!held->reads.empty())
      answer(make_error(ec::timeout, "late"));
    CHECK(answered == 9);
    CHECK(list->code() == ec::timeout);
  }
  CHECK(held->most == 8);
}

TEST_CASE_FIXTURE(fixture, "the number of the last reported job is stored") {
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

TEST_CASE_FIXTURE(fixture, "requests fail when the store ends") {
  kill(kv);
  CHECK(ask(handle, get_atom_v)->done());
  CHECK(put(1, 0)->done());
  CHECK(archive(1)->done());
  CHECK(ask(handle, list_atom_v)->done());
  CHECK(ask(handle, list_atom_v, watchlist_atom_v)->done());
  CHECK(ask(handle, put_atom_v, backend_submission{"job-1", de})->done());
  CHECK(ask(handle, delete_atom_v, std::string{"job-1"})->done());
}
