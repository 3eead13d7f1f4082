#include <httplib.h>
#include <nats/nats.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <iostream>
#include <string>
#include <vector>

/// @file
/// How long a submission takes, one after another on one connection: by POST to
/// a gateway, or by a bare NATS request to the backend. Prints the median and
/// the 99th percentile in microseconds.

namespace {

using clock_type = std::chrono::steady_clock;

constexpr auto items
  = R"({"items":[{"clusterId":"c","namespace":"n","deployment":"d"}]})";

constexpr std::string_view workloads = R"({"c":{"n":["d"]}})";

/// Submits once; false when that failed.
using submit_function = std::function<bool()>;

submit_function http_submit(const std::string& url) {
  auto client = std::make_shared<httplib::Client>(url);
  client->set_keep_alive(true);
  client->set_tcp_nodelay(true);
  return [client] {
    auto response = client->Post("/ModelTraining/model/train", items,
                                 "application/json");
    return response && response->status == 200;
  };
}

submit_function nats_submit(const std::string& url) {
  natsConnection* conn = nullptr;
  natsConnection_ConnectTo(&conn, url.c_str());
  return [conn] {
    natsMsg* reply = nullptr;
    auto status = natsConnection_Request(
      &reply, conn, "train_model", workloads.data(),
      static_cast<int>(workloads.size()), 5'000);
    natsMsg_Destroy(reply);
    return status == NATS_OK;
  };
}

} // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: bench_submit_latency http://…|nats://… COUNT\n";
    return 2;
  }
  const std::string url = argv[1];
  auto submit = url.starts_with("http") ? http_submit(url) : nats_submit(url);
  auto count = std::stoul(argv[2]);
  std::vector<double> micros;
  for (size_t i = 0; i < count + count / 10; ++i) {
    auto begin = clock_type::now();
    if (!submit()) {
      std::cerr << "a submission failed\n";
      return 1;
    }
    // The first tenth warms up.
    std::chrono::duration<double, std::micro> taken = clock_type::now() - begin;
    if (i >= count / 10)
      micros.push_back(taken.count());
  }
  std::sort(micros.begin(), micros.end());
  std::cout << micros[micros.size() / 2] << ' '
            << micros[micros.size() * 99 / 100] << '\n';
  return 0;
}
