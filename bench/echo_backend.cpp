#include <nats/nats.h>

#include <atomic>
#include <iostream>
#include <string>
#include <string_view>

#include <unistd.h>

/// @file
/// A training backend that answers immediately and counts the requests for its
/// status. Its watchlist is always empty, so every submission is a training.

namespace {

std::atomic<uint64_t> status_requests;

std::string reply_to(std::string_view subject) {
  if (subject == "bench.status_requests")
    return std::to_string(status_requests);
  if (subject == "train_model")
    return "training job submitted";
  if (subject == "workload_parameters")
    return "{}";
  ++status_requests;
  return "training";
}

void on_message(natsConnection* conn, natsSubscription*, natsMsg* msg, void*) {
  auto reply = reply_to(natsMsg_GetSubject(msg));
  natsConnection_Publish(conn, natsMsg_GetReply(msg), reply.data(),
                         static_cast<int>(reply.size()));
  natsMsg_Destroy(msg);
}

} // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "usage: bench_echo_backend NATS_URL [--send-asap]\n";
    return 2;
  }
  natsOptions* options = nullptr;
  natsOptions_Create(&options);
  natsOptions_SetURL(options, argv[1]);
  natsOptions_SetSendAsap(options,
                          argc > 2 && argv[2] == std::string{"--send-asap"});
  natsConnection* conn = nullptr;
  auto status = natsConnection_Connect(&conn, options);
  for (auto subject : {"train_model", "workload_parameters", "model_status",
                       "bench.status_requests"}) {
    natsSubscription* sub = nullptr;
    if (status == NATS_OK)
      status = natsConnection_Subscribe(&sub, conn, subject, on_message,
                                        nullptr);
  }
  if (status == NATS_OK)
    status = natsConnection_Flush(conn);
  if (status != NATS_OK) {
    std::cerr << "cannot connect: " << natsStatus_GetText(status) << '\n';
    return 1;
  }
  std::cerr << "ready" << std::endl;
  for (;;)
    pause();
}
