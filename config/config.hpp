#pragma once

#include "base/deadlines.hpp"
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
/// Every setting, as plain structs with their defaults: one per component. A
/// default is written here only; `config_options.cpp` has the meaning of each
/// option, and everything that shows options is made from these two.

namespace aiops {

/// Where the REST front end listens, and its limits.
struct http_config {
  std::string host = "127.0.0.1";
  /// 0 takes any free port.
  uint16_t port = 11080;
  /// A part of these threads is reserved for requests that are answered from
  /// memory, so that a silent backend cannot occupy all.
  size_t workers = 80;
  size_t max_connections = 1024;
  /// In bytes.
  size_t max_body = 1024 * 1024;
  milliseconds client_timeout{10'000};
  milliseconds keep_alive_timeout{60'000};
  size_t max_event_clients = 256;
  milliseconds event_heartbeat{15'000};
  /// Empty: the dashboard is shown no settings.
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
  int replicas = 1;
  /// Token of the embedded server; never set by a user.
  std::string token;

  bool embedded() const noexcept {
    return urls.empty();
  }
};

/// Protocol of the training backend.
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
  /// Nodes, `http://` or `https://`.
  std::vector<std::string> urls;
  std::string user;
  std::filesystem::path password_file;
  /// CA certificates (PEM) instead of the system's.
  std::filesystem::path ca_file;
  std::string index = "logs";
  std::string log_type_field = "log_type";
  /// Empty: all documents are counted.
  std::string log_type = "workload";
  std::string cluster_field = "cluster_id";
  std::string namespace_field = "namespace_name.keyword";
  std::string deployment_field = "deployment.keyword";
  std::string time_field = "time";
  /// Only documents newer than this are counted; 0: all.
  milliseconds since{0};
  /// Workloads per page. OpenSearch refuses more than 65,535.
  size_t page_size = 10'000;
  size_t concurrency = 5;
  /// Limits per count: pages, and bytes of all their bodies.
  size_t max_pages = 10'000;
  int64_t max_bytes = int64_t{4} * 1024 * 1024 * 1024;
};

struct aggregation_config {
  log_source source = log_source::jetstream;
  milliseconds interval{30'000};
  /// If the replica that counts is silent for this long, another one takes
  /// over.
  milliseconds lease{10'000};
  opensearch_config opensearch;
  /// Stream and first subject token of the log messages (source `jetstream`).
  std::string stream = "logs";
  /// Limits of the stream if the gateway creates it; an existing stream is not
  /// changed.
  milliseconds stream_max_age{std::chrono::hours{7 * 24}};
  int64_t stream_max_bytes = 1024 * 1024 * 1024;
};

/// How to reach a Kubernetes API server. All empty: with the service account
/// of the pod.
struct kubernetes_config {
  /// `https://` (or `http://` for a local proxy).
  std::string url;
  std::filesystem::path token_file;
  std::filesystem::path ca_file;
  std::filesystem::path client_cert_file;
  std::filesystem::path client_key_file;
  /// Its current context is used instead of the members above.
  std::filesystem::path kubeconfig;
  /// The API server according to the environment of a pod; both empty outside
  /// of a cluster.
  std::string service_host;
  std::string service_port;
  /// Directory of `token` and `ca.crt` in a pod.
  std::filesystem::path service_account
    = "/var/run/secrets/kubernetes.io/serviceaccount";

  bool in_cluster() const noexcept {
    return !service_host.empty() && !service_port.empty();
  }
};

/// Where GPUs are scanned.
struct gpu_config {
  enum class kind { automatic, kubernetes, nvml, file, none };
  kind source = kind::automatic;
  /// The file of source `file`.
  std::filesystem::path file;
  /// Interval of the scans; `file` is read upon a request.
  milliseconds refresh{30'000};
  kubernetes_config kubernetes;
};

/// How trainings are monitored, and who is notified when one ends.
struct lifecycle_config {
  /// If the backend is silent for this long, a training has stalled.
  milliseconds stall_after{10 * 60'000};
  milliseconds poll_interval{5'000};
  /// `http://` or `https://`; empty: there is no webhook.
  std::string webhook_url;
  /// File with the key of the signature; empty: unsigned.
  std::filesystem::path webhook_secret_file;
  /// CA certificates (PEM) instead of the system's.
  std::filesystem::path webhook_ca_file;
  milliseconds webhook_give_up{60 * 60'000};
};

/// The deadlines that the user sets; `deadlines` has all others.
struct deadline_config {
  milliseconds request{5'000};
  milliseconds train{60'000};

  deadlines all() const {
    return deadlines::of(request, train);
  }
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
  bool demo = false;
};

/// What a command line asks for.
struct command_line {
  gateway_config config;
  /// Text to print on standard output instead of running, for example the
  /// help; nothing if the gateway has to run.
  std::optional<std::string> print;
  /// Sentence to print on standard error before the exit; empty if there is
  /// no problem.
  std::string problem;
  /// Exit code if there is something to print or a problem: 0, 2 for an
  /// invalid command line, 78 for an invalid configuration.
  int exit_code = 0;
};

/// Reads command line, environment, configuration file, in this order of
/// precedence, and checks the result.
/// @param check_content Checks files whose content this folder cannot read;
///        returns the same as `validate`. May be null.
command_line parse_command_line(
  int argc, const char* const* argv,
  std::string (*check_content)(const gateway_config&) = nullptr);

/// Checks without network access that values are in range and part of this
/// version, that combinations make sense, and that named files can be read.
/// Returns a sentence with the option, the value and the remedy; empty if there
/// is no problem.
std::string validate(const gateway_config& config);

} // namespace aiops
