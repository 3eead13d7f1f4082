#pragma once

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/time.hpp"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

/// @file
/// Every setting, as plain structs with their defaults: one a component.
/// `docs/operations.md` lists the options; a test holds the two together.

namespace aiops {

/// Where the REST front end listens and what it takes.
struct http_config {
  std::string host = "127.0.0.1";
  /// 0 takes any free port.
  uint16_t port = 11080;
  /// Threads that serve requests. A part of them is kept for requests that
  /// wait for nobody, so that a mute backend cannot occupy all.
  size_t workers = 80;
  /// Open connections; further ones are told 503 and closed.
  size_t max_connections = 1024;
  /// Largest request body in bytes; above it 413.
  size_t max_body = 1024 * 1024;
  /// How long a client may take to send one request, and to take its answer.
  milliseconds client_timeout{10'000};
  /// How long a connection may idle between two requests.
  milliseconds keep_alive_timeout{60'000};
  /// Clients that follow the events; further ones are told 503.
  size_t max_event_clients = 256;
  /// How often such a client hears from us when nothing happens.
  milliseconds event_heartbeat{15'000};
  /// JSON object that the dashboard is shown as the settings of AI services;
  /// empty: none.
  std::filesystem::path ai_settings;
};

/// How to reach NATS.
struct nats_config {
  /// Servers; empty means the embedded one.
  std::vector<std::string> urls;
  std::string user;
  std::filesystem::path password_file;
  std::filesystem::path creds_file;
  std::filesystem::path nkey_seed_file;
  std::filesystem::path ca_file;
  std::filesystem::path cert_file;
  std::filesystem::path key_file;
  /// Nodes of a cluster that keep a copy of each bucket and stream that the
  /// gateway makes.
  int replicas = 1;
  /// Token of the embedded server; never set by a user.
  std::string token;

  bool embedded() const noexcept {
    return urls.empty();
  }
};

/// Which generation of training backends is spoken to.
enum class backend_protocol {
  /// Opni 0.7 to 0.8.
  request_reply,
  /// Opni 0.9.2 to 0.12.
  kv,
};

/// Where log messages are counted.
enum class log_source { jetstream, opensearch, none };

std::string_view to_string(log_source source);

/// Where and how log messages are counted by OpenSearch.
struct opensearch_config {
  /// Nodes, `http://` or `https://`; the next one is asked when one fails.
  std::vector<std::string> urls;
  std::string user;
  std::filesystem::path password_file;
  /// CA certificates (PEM) instead of the system's.
  std::filesystem::path ca_file;
  std::string index = "logs";
  std::string log_type_field = "log_type";
  /// Only documents with this value are counted; empty: all.
  std::string log_type = "workload";
  std::string cluster_field = "cluster_id";
  std::string namespace_field = "namespace_name.keyword";
  std::string deployment_field = "deployment.keyword";
  std::string time_field = "time";
  /// Only documents of the last so long are counted; 0: all.
  milliseconds since{0};
  /// Workloads a page. OpenSearch refuses more than 65,535.
  size_t page_size = 10'000;
  /// Shards that a node searches at the same time for one page.
  size_t concurrency = 5;
  /// Caps on one aggregation: pages, and bytes of all their bodies.
  size_t max_pages = 10'000;
  int64_t max_bytes = int64_t{4} * 1024 * 1024 * 1024;
};

struct aggregation_config {
  log_source source = log_source::jetstream;
  /// How often to count.
  milliseconds interval{30'000};
  /// Without word from the replica that counts for so long, another one takes
  /// over.
  milliseconds lease{10'000};
  opensearch_config opensearch;
  /// Stream and first subject token of the log messages (source `jetstream`).
  std::string stream = "logs";
  /// Limits given to the stream when it has to be made; an existing stream is
  /// left as it is.
  milliseconds stream_max_age{std::chrono::hours{7 * 24}};
  int64_t stream_max_bytes = 1024 * 1024 * 1024;
};

/// How to reach a Kubernetes API server. All empty: by the service account of
/// the pod that we run in.
struct kubernetes_config {
  /// `https://` (or `http://` for a local proxy).
  std::string url;
  std::filesystem::path token_file;
  std::filesystem::path ca_file;
  std::filesystem::path client_cert_file;
  std::filesystem::path client_key_file;
  /// Its current context; instead of the above.
  std::filesystem::path kubeconfig;
  /// The API server as a pod is told of it, by its environment; both empty
  /// outside a cluster.
  std::string service_host;
  std::string service_port;
  /// Where a pod finds its `token` and `ca.crt`.
  std::filesystem::path service_account
    = "/var/run/secrets/kubernetes.io/serviceaccount";

  bool in_cluster() const noexcept {
    return !service_host.empty() && !service_port.empty();
  }
};

/// Where GPUs are looked for.
struct gpu_config {
  enum class kind { automatic, kubernetes, nvml, file, none };
  kind source = kind::automatic;
  /// The file of source `file`.
  std::filesystem::path file;
  /// How often to look; `file` is read when somebody asks.
  milliseconds refresh{30'000};
  kubernetes_config kubernetes;
};

/// How trainings are watched, and who is told of their end.
struct lifecycle_config {
  /// Without word from the backend for so long, a training has stalled.
  milliseconds stall_after{10 * 60'000};
  /// How often the backend is asked how it is.
  milliseconds poll_interval{5'000};
  /// `http://` or `https://`; empty: nobody is told by HTTP.
  std::string webhook_url;
  /// File with the key of the signature; empty: unsigned.
  std::filesystem::path webhook_secret_file;
  /// CA certificates (PEM) instead of the system's.
  std::filesystem::path webhook_ca_file;
  /// How long to try.
  milliseconds webhook_give_up{60 * 60'000};
};

/// Deadlines of what the gateway asks of others.
struct deadline_config {
  /// Reads and writes of backend and store.
  milliseconds request{5'000};
  /// A submission, start to end.
  milliseconds train{60'000};
};

struct logging_config {
  log::level level = log::level::info;
  log::format format = log::format::text;
};

/// Everything.
struct gateway_config {
  http_config http;
  nats_config nats;
  backend_protocol protocol = backend_protocol::request_reply;
  lifecycle_config lifecycle;
  aggregation_config aggregation;
  gpu_config gpu;
  deadline_config deadlines;
  logging_config logging;
  /// Where the embedded NATS server and the demo keep their data.
  std::filesystem::path state_dir;
  /// Path of the server program that is embedded; looked up in PATH and sbin.
  std::string nats_server_program = "nats-server";
  /// Also run the training simulator and a feed of sample logs.
  bool demo = false;
};

/// What a command line asks for.
struct command_line {
  gateway_config config;
  /// Text to print on standard output instead of running, for example the
  /// help; nothing when the gateway has to run.
  std::optional<std::string> print;
  /// Sentence to print on standard error before leaving; empty when all is
  /// well.
  std::string problem;
  /// Exit code when there is something to print or a problem: 0, 2 for a wrong
  /// command line, 78 for a wrong configuration.
  int exit_code = 0;
};

/// Reads command line, environment, configuration file, in this order of
/// precedence, and checks the result.
/// @param check_content Checks files whose content this folder cannot read;
///        answers as `validate` does. May be null.
command_line parse_command_line(
  int argc, const char* const* argv,
  std::string (*check_content)(const gateway_config&) = nullptr);

/// Checks what can be checked without asking anybody: that values are in range
/// and part of this version, that combinations make sense, and that named files
/// can be read. Answers a sentence that names the option, the value and the
/// remedy; empty when all is well.
std::string validate(const gateway_config& config);

} // namespace aiops
