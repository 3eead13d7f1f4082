#include "gpu/kubernetes_access.hpp"

#include <doctest/doctest.h>

#include <fstream>
#include <sstream>

using namespace aiops;

namespace {

std::string kubeconfig(const std::string& cluster, const std::string& user) {
  return "current-context: x\n"
         "contexts: [{name: x, context: {cluster: c, user: u}}]\n"
         "clusters: [{name: c, cluster: {"
         + cluster + "}}]\nusers: [{name: u, user: {" + user + "}}]\n";
}

const std::string server = "server: 'https://10.0.0.1:6443'";

std::string why(const std::string& text) {
  auto access = gpu::parse_kubeconfig(text, "/etc/k");
  REQUIRE(!access);
  CHECK(code_of(access.error()) == ec::invalid_configuration);
  return text_of(access.error());
}

std::string content(const std::filesystem::path& file) {
  std::ostringstream result;
  result << std::ifstream{file, std::ios::binary}.rdbuf();
  return result.str();
}

} // namespace

TEST_CASE("files in a kubeconfig are relative to it") {
  auto access = gpu::parse_kubeconfig(
    kubeconfig(server + ", certificate-authority: ca.crt",
               "tokenFile: /run/token"),
    "/etc/k");
  REQUIRE(access);
  CHECK(access->url == "https://10.0.0.1:6443");
  CHECK(access->ca_file == "/etc/k/ca.crt");
  CHECK(access->token_file == "/run/token");
  CHECK(access->token.empty());
}

TEST_CASE("a kubeconfig may hold certificates, key and token") {
  std::filesystem::path gone;
  {
    auto access = gpu::parse_kubeconfig(
      kubeconfig(server + ", certificate-authority-data: Y2E=",
                 "token: t, client-certificate-data: Y2VydA==, "
                 "client-key-data: a2V5"),
      "/etc/k");
    REQUIRE(access);
    CHECK(access->token == "t");
    CHECK(content(access->ca_file) == "ca");
    CHECK(content(access->cert_file) == "cert");
    CHECK(content(access->key_file) == "key");
    CHECK(access->files.empty());
    gone = access->key_file;
  }
  CHECK(content(gone).empty());
}

TEST_CASE("unsupported fields of a kubeconfig are errors") {
  CHECK(why(kubeconfig(server + ", insecure-skip-tls-verify: true", ""))
          .find("insecure-skip-tls-verify")
        != std::string::npos);
  for (std::string way :
       {"exec: {command: aws}", "auth-provider: {name: gcp}", "username: u"})
    CHECK(why(kubeconfig(server, way)).find("not supported")
          != std::string::npos);
  CHECK(
    why(kubeconfig(server + ", proxy-url: 'http://p'", "")).find("proxy-url")
    != std::string::npos);
  CHECK(why(kubeconfig(server, "client-certificate: a")).find("belong together")
        != std::string::npos);
  CHECK(why(kubeconfig(server + ", certificate-authority-data: '%'", ""))
        == "its certificate-authority-data is not Base64");
  CHECK(
    why(kubeconfig("server: 'http://proxy'", "token: t")).find("unencrypted")
    != std::string::npos);
}

TEST_CASE("an unusable kubeconfig is an error that says why") {
  CHECK(why("") == "it is not a kubeconfig");
  CHECK(why("- a") == "it is not a kubeconfig");
  CHECK(why("{") == "it is not valid YAML (line 1)");
  CHECK(why("a: b") == "it has no current-context");
  CHECK(why("current-context: x") == "it has no context 'x'");
  CHECK(why("current-context: x\ncontexts: [{name: x, context: {cluster: c}}]")
        == "it has no cluster 'c'");
  CHECK(why("current-context: x\n"
            "contexts: [{name: x, context: {cluster: c, user: u}}]\n"
            "clusters: [{name: c, cluster: {server: 'https://h'}}]")
        == "it has no user 'u'");
  CHECK(why(kubeconfig("", "")).find("is not the URL") != std::string::npos);
  CHECK(why(kubeconfig("server: h", "")).find("'h' is not the URL")
        != std::string::npos);
}

TEST_CASE("a pod finds its API server, also by an IPv6 address") {
  kubernetes_config config;
  config.service_host = "10.96.0.1";
  config.service_port = "443";
  config.service_account = "/var/sa";
  auto access = gpu::find_kubernetes_access(config);
  REQUIRE(access);
  CHECK(access->url == "https://10.96.0.1:443");
  CHECK(access->ca_file == "/var/sa/ca.crt");
  CHECK(access->token_file == "/var/sa/token");
  config.service_host = "fd00::1";
  CHECK(gpu::find_kubernetes_access(config)->url == "https://[fd00::1]:443");
  // What the operator configures has priority.
  config.url = "https://elsewhere:6443";
  access = gpu::find_kubernetes_access(config);
  CHECK(access->url == "https://elsewhere:6443");
  CHECK(access->token_file.empty());
}
