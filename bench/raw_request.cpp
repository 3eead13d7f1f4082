#include "bench/nats_client.hpp"

/// @file
/// How long a bare NATS request to the training backend takes, one after
/// another on one connection. Prints the median and the 99th percentile in
/// microseconds.

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: bench_raw_request nats://… COUNT\n";
    return 2;
  }
  auto conn = bench::connect(argv[1], bench::sending::by_flusher);
  auto good = bench::measure(std::stoul(argv[2]), [&] {
    return bench::submit(conn.get(), R"({"c":{"n":["d"]}})").has_value();
  });
  if (!good)
    std::cerr << "a request failed\n";
  return good ? 0 : 1;
}
