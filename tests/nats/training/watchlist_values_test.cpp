#include "nats/training/watchlist_values.hpp"

#include "base/error.hpp"

#include <doctest/doctest.h>

using namespace aiops;
using namespace aiops::nats;

namespace {

using strings = std::vector<std::string>;

const shared_workloads d{{"c", "n", "d"}};
const shared_workloads e{{"c", "n", "e"}};

/// A store that answers at once.
struct fixture {
  std::map<std::string, std::string> stored;
  strings reads;
  strings writes;
  /// Fails everything while it is set.
  caf::error down;
  watchlist_values aut{
    [this](const std::string& key, watchlist_values::on_value then) {
      reads.push_back(key);
      auto i = stored.find(key);
      using value = std::optional<std::string>;
      if (down)
        then(down);
      else
        then(i == stored.end() ? value{} : value{i->second});
    },
    [this](const std::string& key, std::string value,
           watchlist_values::on_done then) {
      writes.push_back(key);
      if (!down)
        stored[key] = std::move(value);
      then(down);
    }};

  caf::error store(const std::string& id, const shared_workloads& list) {
    auto result = make_error(ec::internal, "no answer");
    aut.store(id, list, [&](const caf::error& err) { result = err; });
    return result;
  }

  caf::error load(strings ids) {
    auto result = make_error(ec::internal, "no answer");
    aut.load(std::move(ids), [&](const caf::error& err) { result = err; });
    return result;
  }
};

} // namespace

TEST_CASE_FIXTURE(fixture, "a list is stored once") {
  CHECK(!store("1", d));
  CHECK(!store("1", d));
  CHECK(writes == strings{"training.watchlist.1"});
  CHECK(stored["training.watchlist.1"] == R"({"c":{"n":["d"]}})");
  CHECK(aut.list("1") == d);
  // The empty list needs no value.
  CHECK(!store("", {}));
  CHECK(writes.size() == 1);
}

TEST_CASE_FIXTURE(fixture, "a list that could not be stored is stored again") {
  down = make_error(ec::disconnected, "down");
  CHECK(code_of(store("1", d)) == ec::disconnected);
  CHECK(aut.list("1").empty());
  down = {};
  CHECK(!store("1", d));
  CHECK(writes.size() == 2);
  CHECK(aut.list("1") == d);
}

TEST_CASE_FIXTURE(fixture, "a list is read once") {
  stored["training.watchlist.1"] = R"({"c":{"n":["d"]}})";
  stored["training.watchlist.2"] = R"({"c":{"n":["e","d","e"]}})";
  CHECK(!load({"1", "", "2", "1"}));
  CHECK(reads.size() == 2);
  CHECK(aut.list("1") == d);
  CHECK(aut.list("2") == shared_workloads{{"c", "n", "d"}, {"c", "n", "e"}});
  CHECK(aut.list("3").empty());
  CHECK(!load({"2", "1"}));
  CHECK(reads.size() == 2);
  // A list that was read need not be stored.
  CHECK(!store("1", d));
  CHECK(writes.empty());
}

TEST_CASE_FIXTURE(fixture, "an error of the store is not a lost list") {
  stored["training.watchlist.1"] = R"({"c":{"n":["d"]}})";
  down = make_error(ec::timeout, "late");
  CHECK(code_of(load({"1"})) == ec::timeout);
  down = {};
  CHECK(!load({"1"}));
  CHECK(aut.list("1") == d);
}

TEST_CASE_FIXTURE(fixture, "a list that is lost or unreadable is empty") {
  stored["training.watchlist.2"] = "rubbish";
  stored["training.watchlist.3"] = R"({"c":{"n":["d"]}})";
  CHECK(!load({"1", "2", "3"}));
  CHECK(aut.list("1").empty());
  CHECK(aut.list("2").empty());
  CHECK(aut.list("3") == d);
}

TEST_CASE_FIXTURE(
  fixture, "the difference of two lists is computed from the current lists") {
  CHECK(!store("1", d));
  CHECK(!store("2", e));
  CHECK(aut.changes("1", "2") == workload_diff{e, d});
  CHECK(aut.changes("", "2") == workload_diff{e, {}});
  CHECK(aut.changes("2", "") == workload_diff{{}, e});
  // The same one, so that copies share it.
  CHECK(&aut.changes("1", "2").added.get()
        == &aut.changes("1", "2").added.get());
  aut.keep({"2"});
  CHECK(aut.changes("", "2") == workload_diff{e, {}});
  CHECK(!load({"1"}));
  CHECK(aut.changes("1", "2") == workload_diff{e, d});
}

TEST_CASE_FIXTURE(fixture, "a list that is not kept is read again") {
  CHECK(!store("1", d));
  CHECK(!store("2", e));
  aut.keep({"2", ""});
  CHECK(aut.list("1").empty());
  CHECK(aut.list("2") == e);
  CHECK(!load({"1", "2"}));
  CHECK(reads == strings{"training.watchlist.1"});
  CHECK(aut.list("1") == d);
}

TEST_CASE_FIXTURE(fixture, "a list that was removed is stored again") {
  CHECK(!store("1", d));
  aut.removed("1");
  CHECK(aut.list("1").empty());
  CHECK(!store("1", d));
  CHECK(writes.size() == 2);
}

TEST_CASE_FIXTURE(fixture, "lists that the store lost are stored again") {
  CHECK(!store("1", d));
  CHECK(!store("2", e));
  stored.erase("training.watchlist.2");
  aut.store_missing({"1"});
  CHECK(writes.size() == 3);
  CHECK(stored.contains("training.watchlist.2"));
  // A list that could not be stored is read when it is needed.
  down = make_error(ec::timeout, "later");
  aut.store_missing({"1"});
  CHECK(aut.knows("1"));
  CHECK_FALSE(aut.knows("2"));
}
