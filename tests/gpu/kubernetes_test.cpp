#include "gpu/kubernetes.hpp"

#include "tests/gpu/api_server.hpp"
#include "tests/support/live_system.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>

using namespace aiops;
using namespace aiops::test;
using namespace std::chrono_literals;

namespace {

const std::string one_gpu = R"("nvidia.com/gpu":"2","cpu":"64")";

std::string number(size_t i) {
  auto digits = std::to_string(i);
  return std::string(5 - digits.size(), '0') + digits;
}

std::string some_node(size_t i) {
  return node_json("node-" + number(i), one_gpu);
}

kubernetes_config by_url(const api_server& server) {
  kubernetes_config result;
  result.url = server.url();
  result.ca_file = certificates() / "ca.pem";
  return result;
}

struct probing : live_system {
  explicit probing(kubernetes_config server, caf::timespan deadline = 20s,
                   size_t max_page = 64 * 1024 * 1024) {
    // As the gateway does.
    std::signal(SIGPIPE, SIG_IGN);
    probe = spawn_detached(
      gpu::kubernetes,
      gpu::kubernetes_probe_config{std::move(server), deadline, 500, max_page});
  }

  gpu_list scan() {
    auto result = ask<gpu_list>(probe, get_atom_v);
    CHECK_MESSAGE(result, text_of(result.error()));
    return result ? *result : gpu_list{};
  }

  /// Scans, which has to fail with `part` in the error.
  void fails(ec code, const std::string& part) {
    auto result = ask<gpu_list>(probe, get_atom_v);
    REQUIRE(!result);
    CAPTURE(text_of(result.error()));
    CHECK(code_of(result.error()) == code);
    CHECK(text_of(result.error()).find(part) != std::string::npos);
  }

  gpu_probe_actor probe;
};

void refuse(httplib::Response& response, int status, const char* message) {
  response.status = status;
  response.set_content(std::string{R"({"kind":"Status","message":")"} + message
                         + "\"}",
                       "application/json");
}

bool of_pods(const httplib::Request& request) {
  return request.path == "/api/v1/pods";
}

} // namespace

// -- lists --------------------------------------------------------------------

TEST_CASE("nodes and pods are listed page by page") {
  api_server server;
  server.serve(1200, some_node, 1001, [](size_t i) {
    return pod_json("p", "node-" + number(i % 1000), "nvidia.com/gpu", 1);
  });
  probing p{by_url(server)};
  for (auto i = 0; i < 2; ++i) {
    auto gpus = p.scan();
    REQUIRE(gpus.size() == 1200);
    CHECK(gpus[0].node == "node-00000");
    CHECK(gpus[0].name == "nvidia.com/gpu");
    CHECK(gpus[0].capacity == 2);
    CHECK(gpus[0].allocatable == 2);
    CHECK(gpus[0].allocated == 2);
    CHECK(gpus[1].allocated == 1);
    CHECK(gpus[1199].node == "node-01199");
    CHECK(gpus[1199].allocated == 0);
  }
  auto requests = server.requests();
  REQUIRE(requests.size() == 12);
  CHECK(requests[0] == "/api/v1/nodes?limit=500");
  CHECK(requests[1] == "/api/v1/nodes?limit=500&continue=a%2Bb%3D%2F500");
  CHECK(requests[3]
        == "/api/v1/pods?fieldSelector=status.phase%21%3DSucceeded%2C"
           "status.phase%21%3DFailed&limit=500");
}

TEST_CASE("runtime classes are listed page by page, in order") {
  api_server server;
  std::vector<std::string> served;
  for (size_t i = 600; i > 0; --i)
    served.push_back("class-" + number(i));
  server.serve_runtime_classes(served);
  probing p{by_url(server)};
  auto names = p.ask<std::vector<std::string>>(p.probe, list_atom_v);
  REQUIRE(names);
  std::reverse(served.begin(), served.end());
  CHECK(*names == served);
  auto requests = server.requests();
  REQUIRE(requests.size() == 2);
  CHECK(requests[0] == "/apis/node.k8s.io/v1/runtimeclasses?limit=500");
  server.on_request(
    [](auto&, auto& response) { refuse(response, 403, "forbidden"); });
  names = p.ask<std::vector<std::string>>(p.probe, list_atom_v);
  REQUIRE(!names);
  CHECK(code_of(names.error()) == ec::refused);
  CHECK(text_of(names.error()).find("refused to list runtime classes (403)")
        != std::string::npos);
  CHECK(text_of(names.error()).find("rbac.yaml") != std::string::npos);
}

TEST_CASE("without GPUs pods are not listed") {
  api_server server;
  server.serve(3, [](size_t i) {
    return node_json("n" + std::to_string(i), R"("cpu":"4")");
  });
  probing p{by_url(server)};
  CHECK(p.scan().empty());
  CHECK(server.requests().size() == 1);
}

TEST_CASE("a list whose continuation expired is started again") {
  api_server server;
  server.serve(1100, some_node, 1100, [](size_t) {
    return pod_json("p", "node-00000", "nvidia.com/gpu", 1);
  });
  std::atomic<int> nodes = 0;
  std::atomic<int> pods = 0;
  server.on_request([&](auto& request, auto& response) {
    // The third page of each.
    if ((of_pods(request) ? pods : nodes)++ == 2)
      refuse(response, 410, "the continue parameter is too old");
    else
      server.list(request, response);
  });
  probing p{by_url(server)};
  auto gpus = p.scan();
  REQUIRE(gpus.size() == 1100);
  CHECK(gpus[0].allocated == 1100);
  CHECK(server.requests().size() == 12);
  server.on_request([&](auto& request, auto& response) {
    if (request.has_param("continue"))
      refuse(response, 410, "the continue parameter is too old");
    else
      server.list(request, response);
  });
  p.fails(ec::bad_reply, "expire");
}

TEST_CASE("without the right to list pods, free GPUs are unknown") {
  api_server server;
  server.serve(2, some_node, 1, [](size_t) {
    return pod_json("p", "node-00000", "nvidia.com/gpu", 1);
  });
  server.on_request([&](auto& request, auto& response) {
    if (of_pods(request))
      refuse(response, 403, "pods is forbidden");
    else
      server.list(request, response);
  });
  probing p{by_url(server)};
  auto gpus = p.scan();
  REQUIRE(gpus.size() == 2);
  CHECK(gpus[0].allocatable == 2);
  CHECK(!gpus[0].allocated);
  server.on_request(
    [&](auto& request, auto& response) { server.list(request, response); });
  gpus = p.scan();
  REQUIRE(gpus.size() == 2);
  CHECK(gpus[0].allocated == 1);
  CHECK(gpus[1].allocated == 0);
  server.on_request(
    [](auto&, auto& response) { refuse(response, 403, "nodes is forbidden"); });
  p.fails(ec::refused, "nodes is forbidden");
  server.on_request([&](auto& request, auto& response) {
    if (of_pods(request))
      refuse(response, 500, "etcd is down");
    else
      server.list(request, response);
  });
  p.fails(ec::refused, "etcd is down");
}

TEST_CASE("5,000 nodes and 100,000 pods are counted") {
  api_server server;
  server.serve(5000, some_node, 100'000, [](size_t i) {
    return pod_json("p", "node-" + number(i % 5000), "nvidia.com/gpu",
                    i < 5000 ? 1 : 0);
  });
  probing p{by_url(server)};
  auto gpus = p.scan();
  REQUIRE(gpus.size() == 5000);
  int64_t allocated = 0;
  for (auto& gpu : gpus)
    allocated += gpu.allocated.value_or(-1000);
  CHECK(allocated == 5000);
  CHECK(server.requests().size() == 210);
}

// -- faults -------------------------------------------------------------------

TEST_CASE("an unreachable server is an error") {
  kubernetes_config config;
  {
    api_server server;
    config = by_url(server);
  }
  probing p{config};
  p.fails(ec::disconnected, "cannot be connected to");
}

TEST_CASE("a server that stalls in the body does not block a scan") {
  api_server server;
  server.serve(1, some_node);
  server.on_request([&](auto&, auto& response) {
    response.set_content_provider(
      1000, "application/json", [&](size_t, size_t, httplib::DataSink& sink) {
        // A byte now and then, for longer than the deadline.
        return sink.write(" ", 1) && server.pause(100ms);
      });
  });
  probing p{by_url(server), 500ms};
  auto start = std::chrono::steady_clock::now();
  p.fails(ec::timeout, "in time");
  CHECK(std::chrono::steady_clock::now() - start < 10s);
  server.on_request(
    [&](auto& request, auto& response) { server.list(request, response); });
  CHECK(p.scan().size() == 1);
}

TEST_CASE("a page above the maximum size is not read") {
  api_server server;
  server.serve(100, some_node);
  probing p{by_url(server), 20s, 10'000};
  p.fails(ec::too_large, "answered more than");
}

TEST_CASE("anything but a list is an error") {
  api_server server;
  probing p{by_url(server)};
  for (auto body : {"", "[]", "{}", "{\"items\":3}", "{\"items\":[{}"}) {
    server.on_request([&](auto&, auto& response) {
      response.set_content(body, "application/json");
    });
    p.fails(ec::bad_reply, "not a list");
  }
  server.on_request([&](auto&, auto& response) {
    response.set_content(list_json("", "x"), "application/json");
  });
  p.fails(ec::bad_reply, "repeats the same page");
}

TEST_CASE("a connection that the server closed is not an error") {
  api_server server;
  server.serve(600, some_node);
  server.on_request([&](auto& request, auto& response) {
    server.list(request, response);
    response.set_header("Connection", "close");
  });
  probing p{by_url(server)};
  CHECK(p.scan().size() == 600);
  CHECK(p.scan().size() == 600);
}

// -- trust --------------------------------------------------------------------

TEST_CASE("a server of another authority is not trusted") {
  api_server server;
  server.serve(1, some_node);
  auto config = by_url(server);
  scratch_dir files;
  config.ca_file = files.write("ca.crt",
                               content_of(certificates() / "other.pem"));
  probing p{config};
  p.fails(ec::disconnected, "--kube-ca-file");
  CHECK(server.requests().empty());
  // A new authority is used without a restart.
  files.write("ca.crt", content_of(certificates() / "ca.pem"));
  CHECK(p.scan().size() == 1);
  files.write("ca.crt", content_of(certificates() / "other.pem"));
  p.fails(ec::disconnected, "--kube-ca-file");
}

TEST_CASE("a token that was rotated is read again") {
  api_server server;
  server.serve(600, some_node);
  scratch_dir files;
  std::mutex mutex;
  std::string good = "old";
  auto during = std::function<void()>{};
  server.on_request([&](auto& request, auto& response) {
    std::lock_guard guard{mutex};
    if (during && request.has_param("continue"))
      std::exchange(during, {})();
    if (request.get_header_value("Authorization") == "Bearer " + good)
      server.list(request, response);
    else
      refuse(response, 401, "Unauthorized");
  });
  auto config = by_url(server);
  config.token_file = files.write("token", "old\n");
  probing p{config};
  CHECK(p.scan().size() == 600);
  {
    std::lock_guard guard{mutex};
    good = "new";
  }
  auto before = server.requests().size();
  p.fails(ec::refused, "Unauthorized");
  // The same token is not sent again.
  CHECK(server.requests().size() == before + 1);
  files.write("token", "new\n");
  CHECK(p.scan().size() == 600);
  {
    // In the middle of a list.
    std::lock_guard guard{mutex};
    during = [&] {
      good = "newer";
      files.write("token", "newer");
    };
  }
  CHECK(p.scan().size() == 600);
  files.write("token", "");
  p.fails(ec::invalid_configuration, "holds no token");
}

TEST_CASE("a client certificate is presented") {
  api_server server{certificates() / "ca.pem"};
  server.serve(1, some_node);
  auto config = by_url(server);
  probing without{config};
  auto refused = without.ask<gpu_list>(without.probe, get_atom_v);
  CHECK(!refused);
  config.client_cert_file = certificates() / "client.pem";
  config.client_key_file = certificates() / "client.key";
  probing with{config};
  CHECK(with.scan().size() == 1);
  config.client_key_file = certificates() / "server.key";
  probing mismatch{config};
  mismatch.fails(ec::invalid_configuration, "server.key");
}

TEST_CASE("a pod uses its service account") {
  api_server server;
  server.serve(1, some_node);
  scratch_dir account;
  account.write("ca.crt", content_of(certificates() / "ca.pem"));
  account.write("token", "secret");
  server.on_request([&](auto& request, auto& response) {
    if (request.get_header_value("Authorization") == "Bearer secret")
      server.list(request, response);
    else
      refuse(response, 401, "Unauthorized");
  });
  kubernetes_config config;
  config.service_host = "127.0.0.1";
  config.service_port = std::to_string(server.port());
  config.service_account = account.path();
  probing p{config};
  CHECK(p.scan().size() == 1);
  probing outside{kubernetes_config{}};
  outside.fails(ec::invalid_configuration, "--kube-url");
}

TEST_CASE("a kubeconfig is read again when it changes") {
  api_server server{certificates() / "ca.pem"};
  server.serve(1, some_node);
  scratch_dir files;
  for (auto file : {"ca.pem", "client.pem", "client.key"})
    files.write(file, content_of(certificates() / file));
  auto kubeconfig = [&](const std::string& authority) {
    return files.write("config", R"(apiVersion: v1
kind: Config
current-context: here
contexts:
- name: elsewhere
  context: {cluster: none, user: none}
- name: here
  context: {cluster: c, user: u}
clusters:
- name: c
  cluster:
    server: )" + server.url() + R"(
    )" + authority + R"(
users:
- name: u
  user:
    client-certificate: client.pem
    client-key: client.key
)");
  };
  kubernetes_config config;
  config.kubeconfig = kubeconfig("certificate-authority: missing.pem");
  probing p{config};
  p.fails(ec::invalid_configuration, "missing.pem");
  kubeconfig("certificate-authority: ca.pem");
  CHECK(p.scan().size() == 1);
  auto data = content_of(certificates() / "ca.b64");
  kubeconfig("certificate-authority-data: " + data);
  CHECK(p.scan().size() == 1);
}
