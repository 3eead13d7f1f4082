#include "bench/nats_client.hpp"

#include <httplib.h>
#include <nlohmann/json.hpp>

#include <iostream>
#include <limits>
#include <optional>
#include <string>

/// @file
/// The reference for a submission: a gateway that passes the watchlist to the
/// backend and the reply to the caller, and stores nothing.

namespace {

using nlohmann::json;

/// With httplib's backlog of 5, most of many clients that connect at once wait
/// for a second or more, which is not what we measure.
class plain_server : public httplib::Server {
public:
  void raise_backlog() {
    ::listen(svr_sock_, 512);
  }
};

/// The watchlist as the backend expects it; nothing when it is unreadable.
std::optional<std::string> workloads(const std::string& body) {
  auto submitted = json::parse(body, nullptr, false);
  if (!submitted.is_object() || !submitted["items"].is_array())
    return std::nullopt;
  auto result = json::object();
  for (auto& item : submitted["items"]) {
    auto cluster = item.value("clusterId", "");
    auto space = item.value("namespace", "");
    auto deployment = item.value("deployment", "");
    if (cluster.empty() || space.empty() || deployment.empty())
      return std::nullopt;
    result[cluster][space].push_back(deployment);
  }
  return result.dump();
}

} // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: bench_plain_gateway NATS_URL\n";
    return 2;
  }
  auto conn = bench::connect(argv[1], bench::sending::at_once);
  if (!conn) {
    std::cerr << "cannot connect to " << argv[1] << '\n';
    return 1;
  }
  plain_server server;
  server.new_task_queue = [] { return new httplib::ThreadPool{80}; };
  server.set_tcp_nodelay(true);
  server.set_keep_alive_max_count(std::numeric_limits<size_t>::max());
  server.set_keep_alive_timeout(60);
  server.Post("/ModelTraining/model/train",
              [&](const httplib::Request& req, httplib::Response& res) {
                auto watchlist = workloads(req.body);
                auto answer = watchlist ? bench::submit(conn.get(), *watchlist)
                                        : std::nullopt;
                if (answer)
                  res.set_content(json{{"response", *answer}}.dump(),
                                  "application/json; charset=utf-8");
                else
                  res.status = watchlist ? 504 : 400;
              });
  auto port = server.bind_to_any_port("127.0.0.1");
  server.raise_backlog();
  std::cerr << "listening on http://127.0.0.1:" << port << std::endl;
  return server.listen_after_bind() ? 0 : 1;
}
