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
};

using kv_script_ptr = std::shared_ptr<kv_script>;

kv_store_actor::behavior_type scripted_kv_store(kv_store_actor::pointer self,
                                                kv_script_ptr script) {
  return {
    [=](get_atom, const std::string& bucket, const std::string& key) {
      return script->get(self, bucket, key);
    },
    [=](put_atom, const kv_write& write) { return script->put(self, write); },
    [](delete_atom, const std::string&, const std::string&) {
      return uint64_t{0};
    },
    [](list_atom, const std::string&, const std::string&) {
      return std::vector<std::string>{};
    },
    [](subscribe_atom, const std::string&, const std::string&,
       const kv_listener_actor&) { /* nop */ },
  };
}

struct fixture : deterministic {
  fixture() {
    handle = spawn(store, kv, store_config{});
    run();
  }

  kv_script_ptr script = std::make_shared<kv_script>();
  kv_store_actor kv = spawn(scripted_kv_store, script);
  store_actor handle;
};

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
