#include "config/config_options.hpp"

#include "config/config_kinds.hpp"

#include <cctype>

namespace aiops {

namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr auto kibibyte = int64_t{1024};
constexpr auto mebibyte = 1024 * kibibyte;
constexpr auto gibibyte = 1024 * mebibyte;

// -- options with a special form ----------------------------------------------

bool set_listen(gateway_config& cfg, const std::string& value) {
  auto address = read_endpoint(value);
  if (address) {
    cfg.http.host = address->host;
    cfg.http.port = address->port;
  }
  return address.has_value();
}

bool set_nats_url(gateway_config& cfg, const std::string& value) {
  auto urls = read_list(value);
  if (urls == std::vector<std::string>{"embedded"}) {
    cfg.nats.urls.clear();
    return true;
  }
  if (urls.empty() || !std::all_of(urls.begin(), urls.end(), valid_nats_url))
    return false;
  cfg.nats.urls = std::move(urls);
  return true;
}

std::string get_nats_url(const gateway_config& cfg) {
  std::string result;
  for (auto& url : cfg.nats.urls)
    result += (result.empty() ? "" : ",") + url;
  return result.empty() ? "embedded" : result;
}

bool set_opensearch_url(gateway_config& cfg, const std::string& value) {
  auto urls = read_list(value);
  cfg.aggregation.opensearch.urls = urls;
  return value.empty()
         || (!urls.empty()
             && std::all_of(urls.begin(), urls.end(), valid_opensearch_url));
}

std::string get_opensearch_url(const gateway_config& cfg) {
  std::string result;
  for (auto& url : cfg.aggregation.opensearch.urls)
    result += (result.empty() ? "" : ",") + url;
  return result;
}

bool set_log_stream(gateway_config& cfg, const std::string& value) {
  auto allowed = [](unsigned char c) {
    return std::isalnum(c) || c == '_' || c == '-';
  };
  cfg.aggregation.stream = value;
  return !value.empty() && std::all_of(value.begin(), value.end(), allowed);
}

const choices<gpu_config::kind> gpu_kinds = {
  {"auto", gpu_config::kind::automatic},
  {"kubernetes", gpu_config::kind::kubernetes},
  {"nvml", gpu_config::kind::nvml},
  {"none", gpu_config::kind::none},
};

option gpu_source(option x) {
  auto field = [](auto& cfg) -> auto& {
    return cfg.gpu.source;
  };
  auto words = choice(std::move(x), field, gpu_kinds, 4);
  auto result = words;
  result.placeholder = "SOURCE";
  result.expected = "auto, kubernetes, nvml, none or file:PATH";
  result.set = [words](gateway_config& cfg, const std::string& value) {
    auto names_file = value.starts_with("file:") && value.size() > 5;
    cfg.gpu.file = names_file ? value.substr(5) : std::string{};
    if (names_file)
      cfg.gpu.source = gpu_config::kind::file;
    return names_file || words.set(cfg, value);
  };
  result.get = [words](const gateway_config& cfg) {
    return cfg.gpu.source == gpu_config::kind::file
             ? "file:" + cfg.gpu.file.string()
             : words.get(cfg);
  };
  result.check = [words,
                  expected = result.expected](const gateway_config& cfg) {
    if (cfg.gpu.source == gpu_config::kind::file)
      return file_problem(cfg.gpu.file);
    return words.check(cfg).empty() ? std::string{}
                                    : "'" + words.get(cfg)
                                        + "' is not built into this version; "
                                          "use "
                                        + expected;
  };
  return result;
}

// -- the table ----------------------------------------------------------------

#define AIOPS_FIELD(name)                                                      \
  [](auto& cfg) -> auto& {                                                     \
    return cfg.name;                                                           \
  }

void add_http(std::vector<option>& to) {
  auto add = [&](option x) {
    x.group = "HTTP";
    to.push_back(std::move(x));
  };
  option listen;
  listen.name = "listen";
  listen.placeholder = "HOST:PORT";
  listen.help = "Where to listen; port 0 takes any free one.";
  listen.expected = "HOST:PORT, for example 127.0.0.1:11080 or [::1]:11080";
  listen.set = set_listen;
  listen.get = [](const gateway_config& cfg) {
    return write_endpoint(cfg.http.host, cfg.http.port);
  };
  add(std::move(listen));
  add(count({.name = "http-workers", .help = "Threads that serve requests."},
            AIOPS_FIELD(http.workers), 2, 4096));
  add(count(
    {.name = "http-max-connections",
     .help = "Maximum open connections; further ones are answered with 503."},
    AIOPS_FIELD(http.max_connections), 1, 100'000));
  add(size(
    {.name = "max-body",
     .help
     = "Maximum size of a request body; a larger one is answered with 413."},
    AIOPS_FIELD(http.max_body), 1, gibibyte));
  add(duration(
    {.name = "client-timeout",
     .help
     = "How long a client may take to send a request, and to read its answer."},
    AIOPS_FIELD(http.client_timeout), milliseconds{10}, hours{1}));
  add(duration(
    {.name = "keep-alive-timeout",
     .help = "How long a connection may be idle between two requests."},
    AIOPS_FIELD(http.keep_alive_timeout), milliseconds{10}, hours{1}));
  add(count({.name = "events-max-clients",
             .help = "Maximum clients of /api/v1/events; further ones are "
                     "answered with 503."},
            AIOPS_FIELD(http.max_event_clients), 1, 100'000));
  add(duration({.name = "events-heartbeat",
                .help = "Interval of the comments that keep such a connection "
                        "open when there are no events."},
               AIOPS_FIELD(http.event_heartbeat), milliseconds{100}, hours{1}));
  add(
    file({.name = "ai-settings",
          .help = "File with the JSON object that /AIAdmin/ai/settings shows, "
                  "without its secretKey; read again when it changes."},
         AIOPS_FIELD(http.ai_settings)));
}

void add_nats(std::vector<option>& to) {
  auto add = [&](option x) {
    x.group = "NATS";
    to.push_back(std::move(x));
  };
  option url;
  url.name = "nats-url";
  url.placeholder = "URL[,URL…]";
  url.help = "NATS servers, or 'embedded': the gateway then runs its own.";
  url.expected = "'embedded', or URLs such as nats://10.0.0.1:4222 or "
                 "tls://nats.example.org, separated by commas";
  url.known_as = "NATS_SERVER_URL";
  url.holds_passwords = true;
  url.set = set_nats_url;
  url.get = get_nats_url;
  add(std::move(url));
  add(file({.name = "nats-nkey-seed",
            .help = "File with an NKey seed; the public key is derived "
                    "from it.",
            .known_as = "NKEY_SEED_FILENAME"},
           AIOPS_FIELD(nats.nkey_seed_file)));
  add(file({.name = "nats-creds",
            .help = "File with NATS credentials (JWT and seed)."},
           AIOPS_FIELD(nats.creds_file)));
  add(text({.name = "nats-user",
            .placeholder = "NAME",
            .help = "User name; --nats-password-file has the password."},
           AIOPS_FIELD(nats.user)));
  add(file(
    {.name = "nats-password-file", .help = "File with the user's password."},
    AIOPS_FIELD(nats.password_file)));
  add(file({.name = "nats-ca",
            .help = "CA certificates (PEM) for verifying the servers."},
           AIOPS_FIELD(nats.ca_file)));
  add(file({.name = "nats-cert", .help = "Client certificate (PEM)."},
           AIOPS_FIELD(nats.cert_file)));
  add(file({.name = "nats-key", .help = "Key of the client certificate (PEM)."},
           AIOPS_FIELD(nats.key_file)));
  add(count(
    {.name = "nats-replicas",
     .help = "Number of copies of each bucket and stream that the gateway "
             "creates in a cluster; existing ones are not changed."},
    AIOPS_FIELD(nats.replicas), 1, 5));
  add(text({.name = "nats-server",
            .placeholder = "PROGRAM",
            .help = "Program that runs as the embedded server; looked up in "
                    "PATH and the sbin directories."},
           AIOPS_FIELD(nats_server_program)));
}

void add_domain(std::vector<option>& to) {
  auto add = [&](option x) {
    x.group = "Training, logs and GPUs";
    to.push_back(std::move(x));
  };
  add(choice({.name = "backend-protocol",
              .placeholder = "PROTOCOL",
              .help = "Protocol of the training backend: request-reply (Opni "
                      "0.7 to 0.8) or kv (0.9.2 to 0.12)."},
             AIOPS_FIELD(protocol),
             choices<backend_protocol>{
               {"request-reply", backend_protocol::request_reply},
               {"kv", backend_protocol::kv}},
             2));
  add(duration({.name = "training-stall-after",
                .help = "If the backend is silent for this long, a training "
                        "counts as stalled and is shown as failed."},
               AIOPS_FIELD(lifecycle.stall_after), seconds{1}, hours{24 * 30}));
  add(duration({.name = "status-poll-interval",
                .help = "Interval at which the backend is asked for its "
                        "status, in addition to the requests of clients."},
               AIOPS_FIELD(lifecycle.poll_interval), milliseconds{100},
               hours{1}));
  option webhook;
  webhook.name = "training-webhook";
  webhook.placeholder = "URL";
  webhook.help = "URL that is notified by POST when a training ends.";
  webhook.expected = "a URL such as https://hooks.example.org/training, or "
                     "nothing";
  webhook.secret_path = true;
  webhook.set = [](gateway_config& cfg, const std::string& value) {
    cfg.lifecycle.webhook_url = value;
    return value.empty() || valid_webhook_url(value);
  };
  webhook.get = [](const gateway_config& cfg) {
    return cfg.lifecycle.webhook_url;
  };
  add(std::move(webhook));
  add(file(
    {.name = "training-webhook-secret-file",
     .help = "File with the key that signs these notifications (HMAC-SHA256)."},
    AIOPS_FIELD(lifecycle.webhook_secret_file)));
  add(file({.name = "training-webhook-ca",
            .help = "CA certificates (PEM) for verifying the receiver, instead "
                    "of those of the system."},
           AIOPS_FIELD(lifecycle.webhook_ca_file)));
  add(duration({.name = "training-webhook-give-up",
                .help = "How long a failed notification is retried."},
               AIOPS_FIELD(lifecycle.webhook_give_up), seconds{1},
               hours{24 * 7}));
  add(choice({.name = "log-source",
              .placeholder = "SOURCE",
              .help = "Where log messages are counted: jetstream, opensearch, "
                      "or none when another replica or program writes the "
                      "counts."},
             AIOPS_FIELD(aggregation.source),
             choices<log_source>{{"jetstream", log_source::jetstream},
                                 {"opensearch", log_source::opensearch},
                                 {"none", log_source::none}},
             3));
  add(duration({.name = "aggregation-interval",
                .help = "Interval between two counts of the log messages."},
               AIOPS_FIELD(aggregation.interval), milliseconds{100},
               hours{24}));
  add(duration({.name = "aggregation-lease",
                .help = "How long the replica that counts may be silent "
                        "before another one takes over."},
               AIOPS_FIELD(aggregation.lease), milliseconds{500}, minutes{10}));
  option stream;
  stream.name = "log-stream";
  stream.placeholder = "NAME";
  stream.help
    = "Stream with the log messages, and first token of their subjects.";
  stream.expected = "letters, digits, '_' and '-'";
  stream.set = set_log_stream;
  stream.get = [](const gateway_config& cfg) { return cfg.aggregation.stream; };
  add(std::move(stream));
  add(duration(
    {.name = "log-stream-max-age",
     .help
     = "How long log messages are kept, if the gateway creates the stream."},
    AIOPS_FIELD(aggregation.stream_max_age), minutes{1}, hours{24 * 3660}));
  add(size({.name = "log-stream-max-bytes",
            .help = "Maximum size of the kept log messages, if the gateway "
                    "creates the stream."},
           AIOPS_FIELD(aggregation.stream_max_bytes), mebibyte,
           1024 * 1024 * gibibyte));
  add(gpu_source(
    {.name = "gpu-source",
     .help = "Where GPUs are scanned: kubernetes, nvml (the local driver), "
             "file:PATH or none; auto is kubernetes in a cluster, else nvml if "
             "there is a driver, else none."}));
  add(duration(
    {.name = "gpu-refresh", .help = "Interval between two scans of the GPUs."},
    AIOPS_FIELD(gpu.refresh), seconds{1}, hours{1}));
  add(text(
    {.name = "kube-url",
     .placeholder = "URL",
     .help = "Kubernetes API server, for a gateway outside of the cluster."},
    AIOPS_FIELD(gpu.kubernetes.url)));
  add(file({.name = "kube-token-file",
            .help = "File with the token for the API server."},
           AIOPS_FIELD(gpu.kubernetes.token_file)));
  add(file({.name = "kube-ca-file",
            .help = "CA certificates (PEM) for verifying the API server."},
           AIOPS_FIELD(gpu.kubernetes.ca_file)));
  add(file({.name = "kube-client-cert",
            .help = "Client certificate (PEM) for the API server."},
           AIOPS_FIELD(gpu.kubernetes.client_cert_file)));
  add(
    file({.name = "kube-client-key", .help = "Key of that certificate (PEM)."},
         AIOPS_FIELD(gpu.kubernetes.client_key_file)));
  add(file({.name = "kubeconfig",
            .help = "Kubeconfig whose current context is used, instead of the "
                    "other --kube options."},
           AIOPS_FIELD(gpu.kubernetes.kubeconfig)));
  add(duration(
    {.name = "request-timeout",
     .help = "Deadline of reads and writes in the backend and the store."},
    AIOPS_FIELD(deadlines.request), milliseconds{10}, minutes{10}));
  add(duration(
    {.name = "train-timeout", .help = "Deadline of a whole submission."},
    AIOPS_FIELD(deadlines.train), milliseconds{10}, hours{1}));
}

void add_opensearch(std::vector<option>& to) {
  auto add = [&](option x) {
    x.group = "OpenSearch";
    to.push_back(std::move(x));
  };
  // Part of a query or a path, where an empty name has another meaning.
  auto name = [](option x, auto field) {
    x.placeholder = "NAME";
    x = text(std::move(x), field);
    x.expected = "a name";
    x.set = [field](gateway_config& cfg, const std::string& value) {
      field(cfg) = value;
      return !value.empty();
    };
    return x;
  };
  option url;
  url.name = "opensearch-url";
  url.placeholder = "URL[,URL…]";
  url.help = "OpenSearch nodes; when one fails, the next one is used.";
  url.expected = "URLs such as https://opensearch.example.org:9200, separated "
                 "by commas and without user and password (--opensearch-user "
                 "and --opensearch-password-file give those)";
  url.holds_passwords = true;
  url.set = set_opensearch_url;
  url.get = get_opensearch_url;
  add(std::move(url));
  add(text({.name = "opensearch-user",
            .placeholder = "NAME",
            .help = "User name; --opensearch-password-file has the password."},
           AIOPS_FIELD(aggregation.opensearch.user)));
  add(file({.name = "opensearch-password-file",
            .help = "File with the user's password; read again when the "
                    "password is refused."},
           AIOPS_FIELD(aggregation.opensearch.password_file)));
  add(file({.name = "opensearch-ca",
            .help = "CA certificates (PEM) for verifying the nodes, instead of "
                    "those of the system."},
           AIOPS_FIELD(aggregation.opensearch.ca_file)));
  add(name({.name = "opensearch-index",
            .help = "Index, alias, pattern or list of these with the log "
                    "messages."},
           AIOPS_FIELD(aggregation.opensearch.index)));
  add(text({.name = "opensearch-log-type",
            .placeholder = "VALUE",
            .help = "Count only documents of this type; an empty value on the "
                    "command line or in a file counts all."},
           AIOPS_FIELD(aggregation.opensearch.log_type)));
  add(name({.name = "opensearch-log-type-field", .help = "Field of the type."},
           AIOPS_FIELD(aggregation.opensearch.log_type_field)));
  add(name(
    {.name = "opensearch-cluster-field", .help = "Field of the cluster's id."},
    AIOPS_FIELD(aggregation.opensearch.cluster_field)));
  add(name({.name = "opensearch-namespace-field",
            .help = "Field of the namespace; kubernetes.namespace_name.keyword "
                    "in indices of Opni 0.8 and before."},
           AIOPS_FIELD(aggregation.opensearch.namespace_field)));
  add(name(
    {.name = "opensearch-deployment-field", .help = "Field of the deployment."},
    AIOPS_FIELD(aggregation.opensearch.deployment_field)));
  add(name({.name = "opensearch-time-field",
            .help = "Field of the time, for --opensearch-since."},
           AIOPS_FIELD(aggregation.opensearch.time_field)));
  add(duration({.name = "opensearch-since",
                .help = "Count only documents newer than this; 0s counts all.",
                .default_words = "0s"},
               AIOPS_FIELD(aggregation.opensearch.since), milliseconds{0},
               hours{24 * 3660}));
  add(count({.name = "opensearch-page-size",
             .help = "Workloads per page; at most search.max_buckets of the "
                     "OpenSearch cluster."},
            AIOPS_FIELD(aggregation.opensearch.page_size), 1, 65'535));
  add(count({.name = "opensearch-concurrency",
             .help = "Shards that a node searches in parallel for one page."},
            AIOPS_FIELD(aggregation.opensearch.concurrency), 1, 1000));
  add(count({.name = "opensearch-max-pages",
             .help = "Maximum pages per count; a count that needs more fails."},
            AIOPS_FIELD(aggregation.opensearch.max_pages), 1, 1'000'000));
  add(size({.name = "opensearch-max-bytes",
            .help = "Maximum bytes of the answers per count; a count that "
                    "needs more fails."},
           AIOPS_FIELD(aggregation.opensearch.max_bytes), mebibyte,
           1024 * gibibyte));
}

void add_program(std::vector<option>& to) {
  auto add = [&](option x) {
    x.group = "Program";
    to.push_back(std::move(x));
  };
  option state;
  state.name = "state-dir";
  state.placeholder = "DIR";
  state.help = "Where the embedded server and the demo keep their data.";
  state.known_as = "STATE_DIRECTORY";
  state.default_words = "$XDG_STATE_HOME/aiops-gateway";
  state.expected = "the path of a directory";
  state.set = [](gateway_config& cfg, const std::string& value) {
    cfg.state_dir = value;
    return !value.empty();
  };
  state.get = [](const gateway_config& cfg) { return cfg.state_dir.string(); };
  add(std::move(state));
  option demo;
  demo.name = "demo";
  demo.help = "Also run a simulated training backend and a feed of sample "
              "logs.";
  demo.expected = "true or false";
  demo.set = [](gateway_config& cfg, const std::string& value) {
    auto on = read_bool(value);
    cfg.demo = on.value_or(false);
    return on.has_value();
  };
  demo.get = [](const gateway_config& cfg) {
    return std::string{cfg.demo ? "true" : "false"};
  };
  add(std::move(demo));
  add(choice(
    {.name = "log-level",
     .placeholder = "LEVEL",
     .help = "Minimum level that is logged: debug, info, warning or error."},
    AIOPS_FIELD(logging.level),
    choices<log::level>{{"debug", log::level::debug},
                        {"info", log::level::info},
                        {"warning", log::level::warning},
                        {"error", log::level::error}},
    4));
  add(choice({.name = "log-format",
              .placeholder = "FORMAT",
              .help = "text, json or journal.",
              .default_words = "text, journal under systemd"},
             AIOPS_FIELD(logging.format),
             choices<log::format>{{"text", log::format::text},
                                  {"json", log::format::json},
                                  {"journal", log::format::journal}},
             3));
}

#undef AIOPS_FIELD

} // namespace

std::string option::environment() const {
  auto result = "AIOPS_GATEWAY_" + name;
  for (auto& c : result)
    c = c == '-' ? '_' : static_cast<char>(std::toupper(c));
  return result;
}

std::string option::flag() const {
  return "--" + name + (placeholder.empty() ? "" : " ") + placeholder;
}

std::string option::default_value() const {
  return default_words.empty() ? get(gateway_config{}) : default_words;
}

const std::vector<option>& all_options() {
  static const auto instance = [] {
    std::vector<option> result;
    for (auto add :
         {add_http, add_nats, add_domain, add_opensearch, add_program})
      add(result);
    return result;
  }();
  return instance;
}

} // namespace aiops
