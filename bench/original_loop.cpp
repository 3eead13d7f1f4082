#include <httplib.h>
#include <nats/nats.h>
#include <nlohmann/json.hpp>

#include <chrono>
#include <iostream>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>

/// @file
/// The reference for counting and serving: a plain loop like that of the
/// gateway that this one replaces. It reads pages of 1,000 workloads into
/// nested maps and stores them as one value, even if the NATS server refuses
/// it; every GET reads and decodes the whole value.

namespace {

using json = nlohmann::json;

constexpr auto bucket_name = "os-workload-aggregation";
constexpr auto key_name = "aggregation";

/// With httplib's backlog of 5, most of 64 clients that connect at once wait
/// for a second or more, which is not what we measure.
class loop_server : public httplib::Server {
public:
  void raise_backlog() {
    ::listen(svr_sock_, 512);
  }
};

kvStore* open_bucket(natsConnection* conn) {
  jsCtx* context = nullptr;
  kvStore* store = nullptr;
  natsConnection_JetStream(&context, conn, nullptr);
  if (js_KeyValue(&store, context, bucket_name) == NATS_OK)
    return store;
  kvConfig config;
  kvConfig_Init(&config);
  config.Bucket = bucket_name;
  config.History = 1;
  js_CreateKeyValue(&store, context, &config);
  return store;
}

json source(const char* label, const char* field) {
  return {{label, {{"terms", {{"field", field}}}}}};
}

/// Reads all pages; throws when a request fails.
json count(httplib::Client& opensearch) {
  json sources = {source("cluster_id", "cluster_id"),
                  source("namespace_name", "namespace_name.keyword"),
                  source("deployment_name", "deployment.keyword")};
  json request = {{"size", 0}, {"track_total_hits", true}};
  auto& composite = request["aggs"]["bucket"]["composite"];
  composite = {{"size", 1'000}, {"sources", sources}};
  json result = {{"ByCluster", json::object()}};
  for (;;) {
    auto answer = opensearch.Post("/logs/_search", request.dump(),
                                  "application/json");
    if (!answer || answer->status != 200)
      throw std::runtime_error{"a search failed"};
    auto page = json::parse(answer->body);
    auto& bucket = page["aggregations"]["bucket"];
    for (auto& item : bucket["buckets"]) {
      auto& key = item["key"];
      auto& deployment = key["deployment_name"].get_ref<const std::string&>();
      auto& by_namespace
        = result["ByCluster"][key["cluster_id"].get_ref<const std::string&>()]
                ["ByNamespace"];
      by_namespace[key["namespace_name"].get_ref<const std::string&>()]
                  ["ByDeployment"][deployment]
        = {{"deployment_name", deployment}, {"doc_count", item["doc_count"]}};
    }
    if (!bucket.contains("after_key"))
      return result;
    composite["after"] = bucket["after_key"];
  }
}

/// Counts without end.
void run_loop(const std::string& url, kvStore* store,
              std::chrono::seconds interval) {
  httplib::Client opensearch{url};
  opensearch.set_keep_alive(true);
  opensearch.set_tcp_nodelay(true);
  for (uint64_t cycle = 1;; ++cycle) {
    try {
      auto value = count(opensearch).dump();
      auto status = kvStore_PutString(nullptr, store, key_name, value.c_str());
      std::cerr << "cycle " << cycle << ": " << value.size() << " bytes, "
                << natsStatus_GetText(status) << std::endl;
    } catch (const std::exception& problem) {
      std::cerr << "cycle " << cycle << " failed: " << problem.what()
                << std::endl;
    }
    std::this_thread::sleep_for(interval);
  }
}

/// The items of one cluster; nothing when there is no value.
std::optional<std::string> items(kvStore* store, const std::string& id) {
  kvEntry* entry = nullptr;
  if (kvStore_Get(&entry, store, key_name) != NATS_OK)
    return std::nullopt;
  auto size = static_cast<size_t>(kvEntry_ValueLen(entry));
  std::string text{static_cast<const char*>(kvEntry_Value(entry)), size};
  kvEntry_Destroy(entry);
  auto all = json::parse(text);
  auto list = json::array();
  auto& clusters = all["ByCluster"];
  if (auto cluster = clusters.find(id); cluster != clusters.end())
    for (auto& [ns, deployments] : (*cluster)["ByNamespace"].items())
      for (auto& [name, found] : deployments["ByDeployment"].items())
        list.push_back(
          {{"clusterId", id},
           {"namespace", ns},
           {"deployment", name},
           {"logCount", std::to_string(found["doc_count"].get<int64_t>())}});
  return json{{"items", std::move(list)}}.dump();
}

} // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: bench_original_loop NATS_URL OPENSEARCH_URL SECONDS\n";
    return 2;
  }
  natsConnection* conn = nullptr;
  if (natsConnection_ConnectTo(&conn, argv[1]) != NATS_OK) {
    std::cerr << "cannot connect to " << argv[1] << '\n';
    return 1;
  }
  auto store = open_bucket(conn);
  if (store == nullptr) {
    std::cerr << "there is no bucket\n";
    return 1;
  }
  std::chrono::seconds interval{std::stoi(argv[3])};
  std::thread{run_loop, std::string{argv[2]}, store, interval}.detach();
  loop_server server;
  server.new_task_queue = [] { return new httplib::ThreadPool{80}; };
  server.set_tcp_nodelay(true);
  server.set_keep_alive_max_count(std::numeric_limits<size_t>::max());
  server.set_keep_alive_timeout(60);
  server.Get("/workload_aggregation/(.+)",
             [store](const httplib::Request& req, httplib::Response& res) {
               if (auto body = items(store, req.matches[1]))
                 res.set_content(*body, "application/json; charset=utf-8");
               else
                 res.status = 404;
             });
  auto port = server.bind_to_any_port("127.0.0.1");
  server.raise_backlog();
  std::cerr << "listening on http://127.0.0.1:" << port << std::endl;
  return server.listen_after_bind() ? 0 : 1;
}
