#include <nats/nats.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

/// @file
/// How long a bare NATS request to the training backend takes, one after
/// another on one connection. Prints the median and the 99th percentile in
/// microseconds.

namespace {

using clock_type = std::chrono::steady_clock;

constexpr std::string_view workloads = R"({"c":{"n":["d"]}})";

bool submit(natsConnection* conn) {
  natsMsg* reply = nullptr;
  auto status = natsConnection_Request(
    &reply, conn, "train_model", workloads.data(),
    static_cast<int>(workloads.size()), 5'000);
  natsMsg_Destroy(reply);
  return status == NATS_OK;
}

} // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: bench_raw_request nats://… COUNT\n";
    return 2;
  }
  natsConnection* conn = nullptr;
  natsConnection_ConnectTo(&conn, argv[1]);
  auto count = std::stoul(argv[2]);
  std::vector<double> micros;
  for (size_t i = 0; i < count + count / 10; ++i) {
    auto begin = clock_type::now();
    if (!submit(conn)) {
      std::cerr << "a request failed\n";
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
