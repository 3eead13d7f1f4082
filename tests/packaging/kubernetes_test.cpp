#include <doctest/doctest.h>
#include <yaml-cpp/yaml.h>

#include <set>
#include <string>

namespace {

constexpr auto file = AIOPS_GATEWAY_SOURCE_DIR
  "/packaging/kubernetes/rbac.yaml";

/// The only object of a kind.
YAML::Node object(const std::string& kind) {
  YAML::Node result;
  for (auto& document : YAML::LoadAllFromFile(file))
    if (document["kind"].as<std::string>() == kind) {
      REQUIRE(result.IsNull());
      result = document;
    }
  REQUIRE(result.IsMap());
  return result;
}

std::string text(const YAML::Node& node) {
  return node.as<std::string>();
}

} // namespace

TEST_CASE("the cluster role allows exactly what the gateway lists") {
  CHECK(YAML::LoadAllFromFile(file).size() == 3);
  std::multiset<std::string> allowed;
  for (auto rule : object("ClusterRole")["rules"]) {
    CHECK(rule.size() == 3);
    for (auto group : rule["apiGroups"])
      for (auto resource : rule["resources"])
        for (auto verb : rule["verbs"])
          allowed.insert(text(group) + '/' + text(resource) + ' ' + text(verb));
  }
  CHECK(allowed
        == std::multiset<std::string>{"/nodes list", "/pods list",
                                      "node.k8s.io/runtimeclasses list"});
}

TEST_CASE("the binding gives the role to the service account") {
  auto binding = object("ClusterRoleBinding");
  auto account = object("ServiceAccount")["metadata"];
  auto role = object("ClusterRole")["metadata"];
  CHECK(text(binding["roleRef"]["kind"]) == "ClusterRole");
  CHECK(text(binding["roleRef"]["name"]) == text(role["name"]));
  REQUIRE(binding["subjects"].size() == 1);
  auto subject = binding["subjects"][0];
  CHECK(text(subject["kind"]) == "ServiceAccount");
  CHECK(text(subject["name"]) == text(account["name"]));
  CHECK(text(subject["namespace"]) == text(account["namespace"]));
}
