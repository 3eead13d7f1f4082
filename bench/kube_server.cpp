/// A fake API server of a large Kubernetes cluster, over TLS.
///
/// Usage: bench_kube_server CERT KEY NODES PODS
/// Serves lists of nodes with 8 GPUs each and of pods, with objects of
/// realistic size. Prints the start and the end of each list, one per line.

#include <httplib.h>

#include <algorithm>
#include <cstdio>
#include <mutex>
#include <string>

namespace {

/// Fields of a real object that the gateway does not read.
std::string padding(size_t bytes) {
  std::string result;
  for (size_t i = 0; result.size() < bytes; ++i)
    result += (i == 0 ? "\"a" : ",\"a") + std::to_string(i)
              + R"(":{"names":["registry.example.org/some/image@sha256:0123"],)"
                R"("sizeBytes":123456789,"more":{"f:a":{},"f:b":{}}})";
  return '{' + result + '}';
}

std::string node(size_t i, const std::string& more) {
  static const std::string resources
    = R"({"cpu":"128","ephemeral-storage":"1843Gi","memory":"2113413848Ki",)"
      R"("nvidia.com/gpu":"8","pods":"110"})";
  return R"({"metadata":{"name":"node-)" + std::to_string(i)
         + R"(","managedFields":)" + more
         + R"(,"labels":{"nvidia.com/gpu.product":"NVIDIA-H100-80GB-HBM3",)"
           R"("nvidia.com/gpu.memory":"81559"}},"spec":{},"status":{)"
           R"("capacity":)"
         + resources + R"(,"allocatable":)" + resources
         + R"(,"conditions":[{"type":"Ready","status":"True"}]}})";
}

std::string pod(size_t i, size_t nodes, const std::string& more) {
  return R"({"metadata":{"name":"pod-)" + std::to_string(i)
         + R"(","managedFields":)" + more + R"(},"spec":{"nodeName":"node-)"
         + std::to_string(i % nodes)
         + R"(","containers":[{"name":"a","resources":{"requests":{"cpu":"4",)"
         + (i % 4 == 0 ? R"("nvidia.com/gpu":"1",)" : "")
         + R"("memory":"16Gi"}}}]},"status":{"phase":"Running"}})";
}

} // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: bench_kube_server CERT KEY NODES PODS\n");
    return 2;
  }
  auto nodes = std::stoul(argv[3]);
  auto pods = std::stoul(argv[4]);
  auto node_padding = padding(10'000);
  auto pod_padding = padding(4'000);
  httplib::SSLServer server{argv[1], argv[2]};
  server.set_tcp_nodelay(true);
  server.set_keep_alive_max_count(1'000'000);
  std::mutex mutex;
  server.Get("/api/v1/(nodes|pods)", [&](auto& request, auto& response) {
    auto of_nodes = request.path == "/api/v1/nodes";
    auto size = of_nodes ? nodes : pods;
    auto next = request.get_param_value("continue");
    auto i = next.empty() ? 0 : std::stoul(next);
    auto end = std::min(size, i + std::stoul(request.get_param_value("limit")));
    auto first = next.empty();
    std::string body = R"({"kind":"List","items":[)";
    body.reserve((end - i) * (of_nodes ? 12'000 : 5'000));
    for (auto begin = i; i < end; ++i) {
      body += i == begin ? "" : ",";
      body += of_nodes ? node(i, node_padding) : pod(i, nodes, pod_padding);
    }
    body += R"(],"metadata":{"resourceVersion":"1")";
    if (end < size)
      body += R"(,"continue":")" + std::to_string(end) + '"';
    body += "}}";
    response.set_content(std::move(body), "application/json");
    std::lock_guard guard{mutex};
    if (first)
      std::printf("%s begin\n", of_nodes ? "nodes" : "pods");
    if (end == size)
      std::printf("%s end\n", of_nodes ? "nodes" : "pods");
    std::fflush(stdout);
  });
  auto port = server.bind_to_any_port("127.0.0.1");
  std::printf("listening on https://127.0.0.1:%d\n", port);
  std::fflush(stdout);
  return server.listen_after_bind() ? 0 : 1;
}
