#include "bench/nats_client.hpp"

#include <cstdint>

/// @file
/// The lower bound for a submission: its three round trips in a row by one
/// client, one submission after another. A conditional write stores the job, a
/// request goes to the backend, and a conditional write stores the outcome.
/// Prints the median and the 99th percentile in microseconds.

namespace {

using bench::owned;

owned<jsCtx> jetstream(natsConnection* conn) {
  jsCtx* result = nullptr;
  natsConnection_JetStream(&result, conn, nullptr);
  return {result, jsCtx_Destroy};
}

owned<kvStore> bucket(jsCtx* context) {
  kvConfig config;
  kvConfig_Init(&config);
  config.Bucket = "bench-floor";
  kvStore* result = nullptr;
  if (js_CreateKeyValue(&result, context, &config) != NATS_OK)
    js_KeyValue(&result, context, config.Bucket);
  return {result, kvStore_Destroy};
}

/// Replaces `revision`, which is set to the new one.
bool compare_and_set(kvStore* store, const std::string& book,
                     uint64_t& revision) {
  return kvStore_UpdateString(&revision, store, "book", book.c_str(), revision)
         == NATS_OK;
}

} // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: bench_raw_submission NATS_URL COUNT BOOK_BYTES\n";
    return 2;
  }
  auto conn = bench::connect(argv[1], bench::sending::at_once);
  auto context = jetstream(conn.get());
  auto store = bucket(context.get());
  uint64_t revision = 0;
  std::string book(std::stoul(argv[3]), 'x');
  if (!store
      || kvStore_PutString(&revision, store.get(), "book", book.c_str())
           != NATS_OK) {
    std::cerr << "cannot connect or create the bucket\n";
    return 1;
  }
  auto good = bench::measure(std::stoul(argv[2]), [&] {
    return compare_and_set(store.get(), book, revision)
           && bench::submit(conn.get(), R"({"c":{"n":["d"]}})")
           && compare_and_set(store.get(), book, revision);
  });
  if (!good)
    std::cerr << "a round trip failed\n";
  return good ? 0 : 1;
}
