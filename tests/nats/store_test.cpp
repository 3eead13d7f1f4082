#include "nats/store.hpp"
#include "tests/support/deterministic.hpp"
#include "tests/support/fakes.hpp"

#include <doctest/doctest.h>

using namespace aiops;
using namespace aiops::test;

namespace {

struct kv_script {
  script<kv_entry, std::string, std::string> get{kv_entry{}};
  script<uint64_t, kv_write> put{1};
  std::vector<kv_listener_actor> listeners;
};

using kv_script_ptr = std::shared_ptr<kv_script>;

kv_store_actor::behavior_type fake_kv_store(kv_store_actor::pointer self,
                                            kv_script_ptr script) {
  return {
    [=](get_atom, const std::string& bucket, const std::string& key) {
      return script->get(self, bucket, key);
    },
    [=](put_atom, const kv_write& write) { return script->put(self, write); },
    [=](subscribe_atom, const std::string&, const std::string&,
        const kv_listener_actor& listener) {
      script->listeners.push_back(listener);
    },
  };
}

using updates = std::shared_ptr<std::vector<stored_breakdown>>;

breakdown_listener_actor::behavior_type
listener(breakdown_listener_actor::pointer, updates seen) {
  return {
    [seen](update_atom, const stored_breakdown& x) { seen->push_back(x); },
  };
}

struct fixture : deterministic {
  fixture() {
    handle = spawn(store, kv, store_config{});
    run();
  }

  ~fixture() {
    script->listeners.clear();
  }

  void update(kv_entry entry) {
    REQUIRE(script->listeners.size() == 1);
    caf::anon_send(script->listeners.front(), update_atom_v, std::move(entry));
    run();
  }

  kv_script_ptr script = std::make_shared<kv_script>();
  kv_store_actor kv = spawn(fake_kv_store, script);
  store_actor handle;
};

const auto counts = std::string{
  R"({"ByCluster":{"c":{"ByNamespace":{"n":{"ByDeployment":{"d":)"
  R"({"deployment_name":"d","doc_count":5}}}}}}})"};

} // namespace

TEST_CASE_FIXTURE(fixture, "statistics live under the original's key") {
  script->get.answer({R"({"percentageCompleted":"42"})", 9, {}});
  auto answer = ask(handle, get_atom_v);
  REQUIRE(answer->value);
  CHECK(answer->value->revision == 9);
  CHECK(answer->value->value.percentage_completed == 42);
  CHECK(script->get.last()
        == std::tuple{std::string{"os-workload-aggregation"},
                      std::string{"modelTrainingStatus"}});
}

TEST_CASE_FIXTURE(fixture, "no or unreadable statistics are zeros") {
  CHECK(ask(handle, get_atom_v)->value->revision == 0);
  script->get.answer({"rubbish", 4, {}});
  auto answer = ask(handle, get_atom_v);
  CHECK(answer->value->revision == 4);
  CHECK(answer->value->value == training_statistics{});
  script->get.fail(ec::timeout);
  CHECK(ask(handle, get_atom_v)->code() == ec::timeout);
}

TEST_CASE_FIXTURE(fixture, "statistics are written, guarded or not") {
  training_statistics x;
  x.percentage_completed = 7;
  CHECK(ask(handle, put_atom_v, x)->value == 1);
  auto& plain = std::get<0>(script->put.last());
  CHECK(plain.key == "modelTrainingStatus");
  CHECK(plain.value.find(R"("percentageCompleted":"7")") != std::string::npos);
  CHECK(!plain.expected);
  ask(handle, put_atom_v, x, uint64_t{3});
  CHECK(std::get<0>(script->put.last()).expected == 3);
  script->put.fail(ec::conflict);
  CHECK(ask(handle, put_atom_v, x, uint64_t{3})->code() == ec::conflict);
}

TEST_CASE_FIXTURE(fixture, "listeners learn the counts and their changes") {
  auto seen = std::make_shared<std::vector<stored_breakdown>>();
  ask(handle, subscribe_atom_v,
      breakdown_listener_actor{spawn(listener, seen)});
  CHECK(seen->empty());
  update({});
  REQUIRE(seen->size() == 1);
  CHECK(!seen->back().value);
  update({counts, 2, {}});
  REQUIRE(seen->size() == 2);
  CHECK(summarize(*seen->back().value)
        == std::vector<cluster_summary>{{"c", 1, 1, 5}});
  // Unreadable counts do not replace good ones.
  update({"rubbish", 3, {}});
  CHECK(seen->size() == 2);
  auto late = std::make_shared<std::vector<stored_breakdown>>();
  ask(handle, subscribe_atom_v,
      breakdown_listener_actor{spawn(listener, late)});
  REQUIRE(late->size() == 1);
  CHECK(late->back().revision == 2);
}

TEST_CASE_FIXTURE(fixture, "counts live under the original's key") {
  breakdown_builder builder;
  builder.add({"c", "n", "d"}, 5);
  CHECK(ask(handle, put_atom_v, builder.finish())->value == 1);
  auto& write = std::get<0>(script->put.last());
  CHECK(write.bucket == "os-workload-aggregation");
  CHECK(write.key == "aggregation");
  CHECK(write.value == counts);
}
