#include "config/config.hpp"

#include "config/config_options.hpp"
#include "config/config_values.hpp"

#include <doctest/doctest.h>

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

using namespace aiops;
using namespace std::chrono_literals;

namespace {

struct config_fixture {
  std::filesystem::path dir;

  config_fixture() {
    auto name
      = (std::filesystem::temp_directory_path() / "config-XXXXXX").string();
    dir = mkdtemp(name.data());
    for (auto& x : all_options()) {
      unsetenv(x.environment().c_str());
      if (!x.known_as.empty())
        unsetenv(x.known_as.c_str());
    }
    for (auto unset :
         {"XDG_STATE_HOME", "CREDENTIALS_DIRECTORY", "JOURNAL_STREAM"})
      unsetenv(unset);
    env("HOME", "/home/user");
  }

  ~config_fixture() {
    std::filesystem::remove_all(dir);
  }

  void env(const char* name, const std::string& value) {
    setenv(name, value.c_str(), 1);
  }

  std::string file(const std::string& name, const std::string& text = "x") {
    std::ofstream{dir / name} << text;
    return (dir / name).string();
  }

  command_line parse(std::vector<std::string> args) {
    std::vector<const char*> argv{"aiops-gateway"};
    for (auto& arg : args)
      argv.push_back(arg.c_str());
    return parse_command_line(static_cast<int>(argv.size()), argv.data());
  }

  /// Parses a valid command line.
  gateway_config read(std::vector<std::string> args) {
    auto result = parse(std::move(args));
    CHECK(result.problem == "");
    CHECK(result.exit_code == 0);
    return result.config;
  }

  /// Parses an invalid command line; the message must contain all `parts`.
  void fails(int code, std::vector<std::string> args,
             std::vector<std::string> parts) {
    auto result = parse(std::move(args));
    CAPTURE(result.problem);
    CHECK(result.exit_code == code);
    CHECK(!result.print);
    for (auto& part : parts) {
      CAPTURE(part);
      CHECK(result.problem.find(part) != std::string::npos);
    }
  }
};

} // namespace

TEST_CASE("durations need a unit") {
  CHECK(read_duration("250ms") == 250ms);
  CHECK(read_duration("30s") == 30s);
  CHECK(read_duration("5m") == 5min);
  CHECK(read_duration("2h") == 2h);
  for (auto text : {"", "30", "s", "-1s", "1.5s", "1m30s", "1 s", "1d",
                    "9223372036854775807h"})
    CHECK_MESSAGE(!read_duration(text), text);
  CHECK(write_duration(90s) == "90s");
  CHECK(write_duration(2h) == "2h");
  CHECK(write_duration(0ms) == "0ms");
}

TEST_CASE("sizes take binary units") {
  CHECK(read_size("1048576") == 1048576);
  CHECK(read_size("512KiB") == 524288);
  CHECK(read_size("2GiB") == 2147483648);
  CHECK(!read_size("1MB"));
  CHECK(!read_size(""));
  CHECK(write_size(1048576) == "1MiB");
  CHECK(write_size(1000) == "1000");
}

TEST_CASE("endpoints have a host and a port") {
  CHECK(read_endpoint("127.0.0.1:80")->port == 80);
  CHECK(read_endpoint("[::1]:0")->host == "::1");
  for (auto text : {"", "80", ":80", "host", "host:", "host:65536", "::1:80",
                    "host:-1", "http://host:80", "host:8x"})
    CHECK_MESSAGE(!read_endpoint(text), text);
  CHECK(write_endpoint("::1", 80) == "[::1]:80");
}

TEST_CASE("NATS URLs are checked and shown without passwords") {
  for (auto url : {"nats://h", "nats://h:4222", "tls://u:p@h:4222/", "h",
                   "[::1]:4222", "nats://token@h"})
    CHECK_MESSAGE(valid_nats_url(url), url);
  for (auto url :
       {"", "http://h", "nats://", "nats://h:0", "nats://h:x", "nats://a b"})
    CHECK_MESSAGE(!valid_nats_url(url), url);
  CHECK(hide_password("nats://u:p@ss@h:1") == "nats://u:***@h:1");
  CHECK(hide_password("nats://token@h") == "nats://***@h");
  CHECK(hide_password("u:p@h") == "u:***@h");
  CHECK(hide_password("nats://h:4222") == "nats://h:4222");
}

TEST_CASE_FIXTURE(config_fixture, "the defaults are valid") {
  auto cfg = read({});
  CHECK(cfg.http.host == "127.0.0.1");
  CHECK(cfg.http.port == 11080);
  CHECK(cfg.nats.embedded());
  CHECK(cfg.deadlines.train == 60s);
  CHECK(cfg.state_dir == "/home/user/.local/state/aiops-gateway");
  CHECK(cfg.logging.format == log::format::text);
  CHECK(!cfg.demo);
}

TEST_CASE_FIXTURE(config_fixture, "content is checked after the values") {
  auto parse = [](std::vector<const char*> args) {
    args.insert(args.begin(), "aiops-gateway");
    return parse_command_line(
      static_cast<int>(args.size()), args.data(),
      [](const gateway_config&) { return std::string{"the content is bad"}; });
  };
  for (auto flag : {"--check-config", "--demo"}) {
    auto line = parse({flag});
    CHECK(line.exit_code == 78);
    CHECK(line.problem == "the content is bad");
    CHECK(!line.print);
  }
  CHECK(parse({"--help"}).exit_code == 0);
  CHECK(parse({"--listen", "x"}).problem != "the content is bad");
}

TEST_CASE_FIXTURE(config_fixture,
                  "every option accepts its default as a value") {
  for (auto& x : all_options()) {
    CAPTURE(x.name);
    gateway_config cfg;
    cfg.state_dir = "/x";
    CHECK(x.set(cfg, x.get(cfg)));
    CHECK(!x.expected.empty());
    CHECK(!x.help.empty());
  }
}

TEST_CASE_FIXTURE(config_fixture,
                  "flags override environment, file and defaults") {
  auto path = file("a.conf", "# a comment\nlisten = \"file:1\"\n"
                             "http-workers = 7\nmax-body = 2KiB\n");
  env("AIOPS_GATEWAY_LISTEN", "env:2");
  env("AIOPS_GATEWAY_HTTP_WORKERS", "9");
  auto cfg = read({"--config", path, "--listen=flag:3"});
  CHECK(cfg.http.host == "flag");
  CHECK(cfg.http.workers == 9);
  CHECK(cfg.http.max_body == 2048);
  CHECK(cfg.http.max_connections == 1024);
}

TEST_CASE_FIXTURE(config_fixture, "some variables have a second name") {
  auto seed = file("seed");
  env("NATS_SERVER_URL", "nats://a, nats://b:1");
  env("NKEY_SEED_FILENAME", seed);
  env("STATE_DIRECTORY", "/var/lib/a:/var/lib/b");
  auto cfg = read({});
  CHECK(cfg.nats.urls == std::vector<std::string>{"nats://a", "nats://b:1"});
  CHECK(cfg.nats.nkey_seed_file == seed);
  CHECK(cfg.state_dir == "/var/lib/a");
  env("AIOPS_GATEWAY_NATS_URL", "nats://c");
  CHECK(read({}).nats.urls == std::vector<std::string>{"nats://c"});
}

TEST_CASE_FIXTURE(config_fixture, "an empty variable counts as not set") {
  env("AIOPS_GATEWAY_LISTEN", "");
  CHECK(read({}).http.port == 11080);
}

TEST_CASE_FIXTURE(config_fixture, "the state directory follows XDG") {
  env("XDG_STATE_HOME", "/state");
  CHECK(read({}).state_dir == "/state/aiops-gateway");
  CHECK(read({"--state-dir", "/other"}).state_dir == "/other");
  unsetenv("XDG_STATE_HOME");
  unsetenv("HOME");
  fails(78, {}, {"--state-dir", "give a directory"});
  CHECK(read({"--nats-url", "nats://h"}).state_dir.empty());
}

TEST_CASE_FIXTURE(config_fixture, "an invalid command line exits with 2") {
  fails(2, {"--nonsense"}, {"--nonsense", "--help"});
  fails(2, {"surplus"}, {"surplus"});
  fails(2, {"--listen"}, {"--listen"});
  fails(2, {"--listen", "nowhere"}, {"--listen", "'nowhere'", "HOST:PORT"});
  fails(2, {"--request-timeout", "5"}, {"--request-timeout", "'5'", "unit"});
  fails(2, {"--log-level=loud"}, {"'loud'", "debug, info, warning or error"});
  fails(2, {"--completion", "tcl"}, {"tcl"});
}

TEST_CASE_FIXTURE(config_fixture, "an invalid environment exits with 78") {
  env("AIOPS_GATEWAY_LISTEN", "nowhere");
  fails(78, {}, {"AIOPS_GATEWAY_LISTEN", "'nowhere'", "HOST:PORT"});
}

TEST_CASE_FIXTURE(config_fixture, "an invalid file exits with 78") {
  auto bad = [&](const std::string& text, std::vector<std::string> parts) {
    fails(78, {"--config", file("bad.conf", text)}, std::move(parts));
  };
  bad("lisen = \"h:1\"\n", {"bad.conf", "'lisen'", "--help"});
  bad("[http]\nlisten = \"h:1\"\n", {"http"});
  bad("listen = nowhere\n", {"bad.conf: listen", "'nowhere'"});
  bad("demo = true # yes\n", {"'demo'", "comments"});
  bad("listen = a:1\nlisten = b:2\n", {"'listen'"});
  bad("listen = a:1\ndemo = true\nlisten = b:2\n", {"'listen'", "twice"});
  bad("config = other\n", {"'config'"});
  fails(78, {"--config", "/nowhere/x"}, {"--config", "/nowhere/x", "path"});
}

TEST_CASE_FIXTURE(config_fixture, "files take quotes, lists and switches") {
  auto cfg = read({"--config", file("a.conf", "nats-url = [\"nats://a\", "
                                              "\"nats://b\"]\n\ndemo\n"
                                              "state-dir = \"/a b#c,d\"\n")});
  CHECK(cfg.nats.urls == std::vector<std::string>{"nats://a", "nats://b"});
  CHECK(cfg.demo);
  CHECK(cfg.state_dir == "/a b#c,d");
}

TEST_CASE_FIXTURE(config_fixture, "values out of range exit with 78") {
  fails(78, {"--http-workers", "1"}, {"--http-workers", "'1'", "2 to"});
  fails(78, {"--aggregation-interval", "1ms"}, {"100ms to 24h"});
  fails(78, {"--max-body", "0"}, {"--max-body", "out of range"});
}

TEST_CASE_FIXTURE(config_fixture, "replicas need a cluster") {
  auto replicas = [&](std::vector<std::string> args) {
    args.insert(args.end(), {"--nats-url", "nats://h"});
    return read(std::move(args)).nats.replicas;
  };
  CHECK(replicas({}) == 1);
  CHECK(replicas({"--nats-replicas", "5"}) == 5);
  env("AIOPS_GATEWAY_NATS_REPLICAS", "3");
  CHECK(replicas({}) == 3);
  unsetenv("AIOPS_GATEWAY_NATS_REPLICAS");
  CHECK(replicas({"--config", file("a.conf", "nats-replicas = 2\n")}) == 2);
  for (auto bad : {"0", "6"})
    fails(78, {"--nats-url", "nats://h", "--nats-replicas", bad},
          {"--nats-replicas", "1 to 5"});
  CHECK(read({"--nats-replicas", "1"}).nats.embedded());
  fails(78, {"--nats-replicas", "2"}, {"--nats-replicas", "single node"});
}

TEST_CASE_FIXTURE(config_fixture, "a file of GPUs needs a path") {
  fails(2, {"--gpu-source", "file:"}, {"file:PATH"});
}

TEST_CASE_FIXTURE(config_fixture, "both backend protocols are accepted") {
  CHECK(read({}).protocol == backend_protocol::request_reply);
  CHECK(read({"--backend-protocol", "kv"}).protocol == backend_protocol::kv);
  fails(2, {"--backend-protocol", "morse"}, {"request-reply", "kv"});
}

TEST_CASE_FIXTURE(config_fixture,
                  "a webhook is a URL, and its options need it") {
  auto secret = file("secret", "key");
  auto url = std::string{"https://hooks.example.org/a?token=b%20c"};
  auto cfg = read(
    {"--training-webhook", url, "--training-webhook-secret-file", secret});
  CHECK(cfg.lifecycle.webhook_url == url);
  CHECK(cfg.lifecycle.webhook_secret_file == secret);
  for (auto bad : {"hooks.example.org", "ftp://a/b", "http://u:p@a/b",
                   "http://a/b c", "http://a/#b", "http://"})
    fails(2, {"--training-webhook", bad}, {"--training-webhook"});
  fails(78, {"--training-webhook-secret-file", secret}, {"--training-webhook"});
  auto shown = parse({"--print-config", "--training-webhook", url});
  REQUIRE(shown.print);
  CHECK(shown.print->find("b%20c") == std::string::npos);
  CHECK(shown.print->find("https://hooks.example.org/***")
        != std::string::npos);
}

TEST_CASE_FIXTURE(config_fixture,
                  "an API server is configured in one way only") {
  auto pem = file("x.pem");
  auto url = std::string{"https://10.0.0.1:6443"};
  fails(78, {"--gpu-source", "kubernetes"}, {"--kubeconfig", "--kube-url"});
  CHECK(
    read({"--gpu-source", "kubernetes", "--kube-url", url}).gpu.kubernetes.url
    == url);
  read({"--gpu-source", "kubernetes", "--kubeconfig", pem});
  fails(78, {"--kubeconfig", pem, "--kube-url", url}, {"give either"});
  fails(78, {"--kubeconfig", pem, "--kube-token-file", pem}, {"give either"});
  fails(78, {"--kube-token-file", pem}, {"--kube-url"});
  fails(78, {"--kube-url", "10.0.0.1"}, {"is not a URL"});
  fails(78, {"--kube-url", url, "--kube-client-cert", pem},
        {"belong together"});
  fails(78, {"--gpu-refresh", "1ms"}, {"1s to 1h"});
  CHECK(read({"--gpu-source", "nvml"}).gpu.source == gpu_config::kind::nvml);
}

TEST_CASE_FIXTURE(config_fixture, "GPUs may come from a file") {
  auto gpus = file("gpus.json");
  auto cfg = read({"--gpu-source", "file:" + gpus});
  CHECK(cfg.gpu.source == gpu_config::kind::file);
  CHECK(cfg.gpu.file == gpus);
  fails(78, {"--gpu-source", "file:/nowhere"}, {"/nowhere", "cannot read"});
}

TEST_CASE_FIXTURE(config_fixture, "contradicting credentials are refused") {
  auto secret = file("secret");
  auto url = std::string{"--nats-url=nats://h"};
  fails(78, {url, "--nats-user=u"}, {"--nats-password-file"});
  fails(78, {url, "--nats-password-file", secret}, {"--nats-user"});
  fails(78, {url, "--nats-cert", secret}, {"--nats-key"});
  fails(78, {url, "--nats-creds", secret, "--nats-nkey-seed", secret},
        {"exclude"});
  fails(78, {"--nats-creds", secret}, {"embedded", "--nats-creds"});
  fails(78, {"--nats-ca", secret}, {"embedded", "--nats-ca"});
  fails(78, {url, "--demo", "--nats-ca", secret}, {"--demo", "--nats-url"});
  fails(78, {url, "--nats-ca", "/nowhere"}, {"--nats-ca", "/nowhere"});
  fails(78, {url, "--nats-ca", dir}, {"--nats-ca", "directory"});
  CHECK(read({url, "--nats-user=u", "--nats-password-file", secret}).nats.user
        == "u");
}

TEST_CASE_FIXTURE(config_fixture, "an OpenSearch URL contains no secrets") {
  auto source = std::string{"--log-source=opensearch"};
  auto url = std::string{"--opensearch-url=https://a:9200, http://[::1]/os/"};
  fails(78, {source}, {"--log-source opensearch", "--opensearch-url"});
  auto config = read({source, url}).aggregation;
  CHECK(config.source == log_source::opensearch);
  CHECK(config.opensearch.urls
        == std::vector<std::string>{"https://a:9200", "http://[::1]/os/"});
  auto secret = parse({"--opensearch-url=https://u:geheim@h"});
  CHECK(secret.exit_code == 2);
  CHECK(secret.problem.find("geheim") == std::string::npos);
  CHECK(secret.problem.find("without user and password") != std::string::npos);
  for (auto bad : {"h", "h:9200", "ftp://h", "https://", "https://h:0",
                   "https://h?x=1", "https://h/a b", "http://h,x", ","})
    fails(2, {std::string{"--opensearch-url="} + bad}, {"--opensearch-url"});
}

TEST_CASE_FIXTURE(config_fixture, "options of OpenSearch are checked") {
  auto password = file("password");
  fails(78, {"--opensearch-user=u"}, {"--opensearch-password-file"});
  fails(78, {"--opensearch-password-file", password}, {"--opensearch-user"});
  fails(78, {"--opensearch-ca=/nowhere"}, {"--opensearch-ca", "/nowhere"});
  fails(78, {"--opensearch-page-size=0"}, {"1 to 65535"});
  fails(78, {"--opensearch-page-size=65536"}, {"1 to 65535"});
  fails(78, {"--opensearch-max-bytes=1"}, {"1MiB"});
  fails(2, {"--opensearch-index", ""}, {"--opensearch-index", "a name"});
  fails(78, {"--aggregation-lease=499ms"}, {"500ms to 10m"});
  auto config = read({"--opensearch-since=36h", "--opensearch-log-type", "",
                      "--opensearch-user=u", "--opensearch-password-file",
                      password, "--aggregation-lease=2s"})
                  .aggregation;
  CHECK(config.lease == 2s);
  CHECK(config.opensearch.since == 36h);
  CHECK(config.opensearch.log_type.empty());
  CHECK(config.opensearch.password_file == password);
}

TEST_CASE_FIXTURE(config_fixture,
                  "names without a slash are systemd credentials") {
  auto path = file("seed");
  env("CREDENTIALS_DIRECTORY", dir);
  auto cfg = read({"--nats-url=nats://h", "--nats-nkey-seed=seed"});
  CHECK(cfg.nats.nkey_seed_file == path);
  fails(78, {"--nats-url=nats://h", "--nats-nkey-seed=other"}, {"'other'"});
}

TEST_CASE_FIXTURE(config_fixture, "the journal is recognised") {
  env("JOURNAL_STREAM", "1:1");
  CHECK(read({}).logging.format == log::format::text);
  struct stat err {};
  REQUIRE(fstat(STDERR_FILENO, &err) == 0);
  env("JOURNAL_STREAM",
      std::to_string(err.st_dev) + ":" + std::to_string(err.st_ino));
  CHECK(read({}).logging.format == log::format::journal);
  CHECK(read({"--log-format=json"}).logging.format == log::format::json);
}

TEST_CASE_FIXTURE(config_fixture,
                  "an invalid URL is reported without its password") {
  auto result = parse({"--nats-url", "http://user:geheim@h"});
  CHECK(result.exit_code == 2);
  CHECK(result.problem.find("geheim") == std::string::npos);
  CHECK(result.problem.find("user:***@h") != std::string::npos);
}

TEST_CASE_FIXTURE(config_fixture,
                  "the printed configuration can be read again") {
  env("AIOPS_GATEWAY_HTTP_WORKERS", "9");
  auto result = parse({"--print-config", "--listen=[::1]:1",
                       "--nats-url=nats://u:geheim@a,tls://b",
                       "--state-dir=/a \"b\""});
  REQUIRE(result.print);
  CAPTURE(*result.print);
  CHECK(result.print->find("geheim") == std::string::npos);
  CHECK(result.print->find("# from: AIOPS_GATEWAY_HTTP_WORKERS\n"
                           "http-workers = \"9\"\n")
        != std::string::npos);
  unsetenv("AIOPS_GATEWAY_HTTP_WORKERS");
  auto cfg = read({"--config", file("again.conf", *result.print)});
  CHECK(cfg.http.host == "::1");
  CHECK(cfg.http.workers == 9);
  CHECK(cfg.state_dir == "/a \"b\"");
  CHECK(cfg.nats.urls == std::vector<std::string>{"nats://u:***@a", "tls://b"});
}

TEST_CASE_FIXTURE(config_fixture, "some flags print and exit") {
  CHECK(parse({"--check-config"}).print == "configuration is fine\n");
  CHECK(parse({"--version"}).print->starts_with("aiops-gateway "));
  auto help = parse({"--help"}).print.value_or("");
  auto words = parse({"--completion", "bash"}).print.value_or("");
  for (auto& x : all_options()) {
    CAPTURE(x.name);
    CHECK(help.find("  --" + x.name) != std::string::npos);
    CHECK(words.find(" --" + x.name) != std::string::npos);
  }
  fails(78, {"--check-config", "--http-workers=0"}, {"--http-workers"});
}
