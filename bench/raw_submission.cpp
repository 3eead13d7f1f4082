#include <nats/nats.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

/// @file
/// The lower bound for a submission: its three round trips in a row by one
/// client, one submission after another. A conditional write stores the job, a
/// request goes to the backend, and a conditional write stores the outcome.
/// Prints the median and the 99th percentile in microseconds.

namespace {

using clock_type = std::chrono::steady_clock;

const std::string workloads = R"({"c":{"n":["d"]}})";

/// Owns an object of the library.
template <class T>
using owned = std::unique_ptr<T, void (*)(T*)>;

owned<natsConnection> connect(const char* url) {
  natsOptions* options = nullptr;
  natsOptions_Create(&options);
  natsOptions_SetURL(options, url);
  natsOptions_SetSendAsap(options, true);
  natsConnection* result = nullptr;
  auto status = natsConnection_Connect(&result, options);
  natsOptions_Destroy(options);
  return {status == NATS_OK ? result : nullptr, natsConnection_Destroy};
}

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

bool request(natsConnection* conn) {
  natsMsg* reply = nullptr;
  auto status = natsConnection_Request(
    &reply, conn, "train_model", workloads.data(),
    static_cast<int>(workloads.size()), 5'000);
  natsMsg_Destroy(reply);
  return status == NATS_OK;
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
  auto conn = connect(argv[1]);
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
  auto count = std::stoul(argv[2]);
  std::vector<double> micros;
  for (size_t i = 0; i < count + count / 10; ++i) {
    auto begin = clock_type::now();
    if (!compare_and_set(store.get(), book, revision) || !request(conn.get())
        || !compare_and_set(store.get(), book, revision)) {
      std::cerr << "a round trip failed\n";
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
