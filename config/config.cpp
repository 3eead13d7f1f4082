#include "config/config.hpp"

#include "config/config_options.hpp"
#include "config/config_values.hpp"

#include <CLI/CLI.hpp>

#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <map>

namespace aiops {

namespace {

constexpr auto wrong_command_line = 2;
constexpr auto wrong_configuration = 78;

/// The options that are set in one place, for example in the file: name to
/// value.
using settings = std::map<std::string, std::string>;

struct failure {
  int exit_code;
  std::string problem;
};

std::optional<std::string> environment(const std::string& name) {
  // An empty variable counts as not set: manifests and unit files cannot always
  // omit one.
  if (auto value = std::getenv(name.c_str()); value && *value)
    return value;
  return std::nullopt;
}

// -- command line -------------------------------------------------------------

struct switches {
  bool help = false;
  bool help_markdown = false;
  bool version = false;
  bool check_config = false;
  bool print_config = false;
  std::string file;
  std::string completion;
};

/// A flag that is not a setting: it exists on the command line only.
struct switch_info {
  std::string_view flag;
  std::string_view help;
};

constexpr switch_info all_switches[] = {
  {"--help", "Print the options."},
  {"--help-markdown", "Print the options as the table of docs/operations.md."},
  {"--version", "Print the version."},
  {"--config FILE", "Read this file of lines 'key = value'; the keys are the "
                    "flags of the settings without dashes."},
  {"--check-config", "Check the configuration and exit with 0 or 78."},
  {"--print-config", "Print the effective configuration, as a file for "
                     "--config, and exit."},
  {"--completion bash", "Print completions for the shell, for eval."},
};

settings read_flags(int argc, const char* const* argv, switches& asked) {
  CLI::App app{"", "aiops-gateway"};
  app.set_help_flag();
  app.add_flag("-h,--help", asked.help);
  app.add_flag("--help-markdown", asked.help_markdown);
  app.add_flag("--version", asked.version);
  app.add_flag("--check-config", asked.check_config);
  app.add_flag("--print-config", asked.print_config);
  app.add_option("--config", asked.file);
  app.add_option("--completion", asked.completion)
    ->check(CLI::IsMember({"bash"}));
  std::map<std::string, CLI::Option*> flags;
  for (auto& x : all_options())
    flags[x.name] = x.placeholder.empty()
                      ? app.add_flag("--" + x.name)
                      : app.add_option("--" + x.name)->expected(1);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    throw failure{wrong_command_line,
                  std::string{e.what()} + "; --help lists the options"};
  }
  settings result;
  for (auto& [name, flag] : flags)
    if (flag->count() > 0)
      result[name] = flag->results().back();
  return result;
}

// -- configuration file -------------------------------------------------------

std::vector<CLI::ConfigItem> read_items(const std::string& file) {
  // A '#' starts a comment at the front of a line only: it may be part of a
  // value, which would be cut off there without an error.
  CLI::ConfigTOML parser;
  parser.comment('\0');
  try {
    return parser.from_file(file);
  } catch (const CLI::Error&) {
    throw failure{wrong_configuration, "--config: cannot read '" + file
                                         + "'; correct the path or its "
                                           "permissions"};
  }
}

settings read_config_file(const std::string& file) {
  settings result;
  for (auto& item : read_items(file)) {
    auto complain = [&](const std::string& what) {
      throw failure{wrong_configuration,
                    file + ": '" + item.fullname() + "' " + what};
    };
    auto known = [&](auto& x) { return x.name == item.fullname(); };
    auto& options = all_options();
    auto x = std::find_if(options.begin(), options.end(), known);
    if (x == options.end())
      complain("is not an option; the keys are the long flags without dashes, "
               "--help lists them");
    if (item.inputs.size() != 1 && !x->holds_passwords)
      complain("takes one value; put it in quotes, and comments on separate "
               "lines");
    if (!result.emplace(x->name, CLI::detail::join(item.inputs)).second)
      complain("is given twice; remove one");
  }
  return result;
}

// -- values -------------------------------------------------------------------

/// The value as it may be shown.
std::string shown(const option& x, const std::string& value) {
  if (x.secret_path) {
    auto end = std::min(value.find('/', value.find("://") + 3),
                        value.find('?'));
    return end < value.size() ? value.substr(0, end) + "/***" : value;
  }
  if (!x.holds_passwords)
    return value;
  std::string result;
  for (auto& url : read_list(value))
    result += (result.empty() ? "" : ",") + hide_password(url);
  return result;
}

void set(gateway_config& cfg, const option& x, const std::string& value,
         const std::string& origin, int exit_code) {
  if (!x.set(cfg, value))
    throw failure{exit_code, origin + ": '" + shown(x, value)
                               + "' cannot be used; give " + x.expected};
}

std::filesystem::path default_state_dir() {
  if (auto state = environment("XDG_STATE_HOME"))
    return std::filesystem::path{*state} / "aiops-gateway";
  if (auto home = environment("HOME"))
    return std::filesystem::path{*home} / ".local/state/aiops-gateway";
  return {};
}

/// Whether standard error is the journal. The variable alone is not enough: it
/// is inherited by programs whose output goes elsewhere.
bool writes_to_journal() {
  struct stat err {};
  auto journal = environment("JOURNAL_STREAM");
  return journal && fstat(STDERR_FILENO, &err) == 0
         && *journal
              == std::to_string(err.st_dev) + ":" + std::to_string(err.st_ino);
}

/// Sets every option from the place of the highest precedence that has it.
/// Returns these places.
settings resolve(gateway_config& cfg, const settings& flags,
                 const std::string& file) {
  auto from_file = file.empty() ? settings{} : read_config_file(file);
  cfg.state_dir = default_state_dir();
  if (writes_to_journal())
    cfg.logging.format = log::format::journal;
  cfg.gpu.kubernetes.service_host
    = environment("KUBERNETES_SERVICE_HOST").value_or("");
  cfg.gpu.kubernetes.service_port
    = environment("KUBERNETES_SERVICE_PORT").value_or("");
  settings origins;
  for (auto& x : all_options()) {
    auto& origin = origins[x.name];
    auto use = [&](const std::string& value, const std::string& place,
                   const std::string& subject, int exit_code) {
      origin = place;
      set(cfg, x, value, subject, exit_code);
    };
    if (auto flag = flags.find(x.name); flag != flags.end()) {
      use(flag->second, "command line", "--" + x.name, wrong_command_line);
    } else if (auto own = environment(x.environment())) {
      use(*own, x.environment(), x.environment(), wrong_configuration);
    } else if (auto known = environment(x.known_as)) {
      // Systemd separates several state directories with colons.
      auto value = x.name == "state-dir" ? known->substr(0, known->find(':'))
                                         : *known;
      use(value, x.known_as, x.known_as, wrong_configuration);
    } else if (auto key = from_file.find(x.name); key != from_file.end()) {
      use(key->second, file, file + ": " + x.name, wrong_configuration);
    } else {
      origin = "default";
    }
  }
  return origins;
}

// -- what is printed ----------------------------------------------------------

std::string help() {
  std::string result
    = "aiops-gateway: a REST front end for training services on NATS\n\n"
      "Usage: aiops-gateway [OPTION]...\n\n"
      "Flags override environment variables, which override the file, which "
      "overrides\nthe defaults.\n\n";
  for (auto& [flag, text] : all_switches)
    result += "  " + std::string{flag == "--help" ? "-h, " : ""}
              + std::string{flag} + "\n      " + std::string{text} + "\n";
  std::string group;
  for (auto& x : all_options()) {
    if (x.group != group)
      result += "\n" + x.group + ":\n";
    group = x.group;
    result += "  " + x.flag() + "\n      " + x.help + "\n      ["
              + x.environment();
    if (!x.known_as.empty())
      result += " or " + x.known_as;
    if (auto value = x.default_value(); !value.empty())
      result += ", default " + value;
    result += "]\n";
  }
  return result;
}

std::string help_markdown() {
  auto code = [](std::string_view text) {
    return "`" + std::string{text} + "`";
  };
  std::string result = "| flag | environment | default | meaning |\n"
                       "|---|---|---|---|\n";
  for (auto& [flag, text] : all_switches)
    result += "| " + code(flag) + " | | | " + std::string{text} + " |\n";
  for (auto& x : all_options()) {
    result += "| " + code(x.flag()) + " | " + code(x.environment());
    if (!x.known_as.empty())
      result += ", " + code(x.known_as);
    auto value = x.default_value();
    result += " | " + (value.empty() ? "none" : code(value)) + " | " + x.help
              + " |\n";
  }
  return result;
}

std::string completion() {
  std::string words;
  for (auto& [flag, text] : all_switches)
    words += std::string{flag.substr(0, flag.find(' '))} + " ";
  for (auto& x : all_options())
    words += "--" + x.name + " ";
  words.pop_back();
  return "complete -o default -W '" + words + "' aiops-gateway\n";
}

std::string print_config(const gateway_config& cfg, settings& origins) {
  std::string result;
  for (auto& x : all_options()) {
    auto value = shown(x, x.get(cfg));
    auto quote = value.find('"') == std::string::npos ? '"' : '\'';
    result += "# from: " + origins[x.name] + "\n" + x.name + " = " + quote
              + value + quote + "\n";
  }
  return result;
}

void run(int argc, const char* const* argv,
         std::string (*check_content)(const gateway_config&),
         command_line& result) {
  switches asked;
  auto flags = read_flags(argc, argv, asked);
  if (asked.help)
    result.print = help();
  else if (asked.help_markdown)
    result.print = help_markdown();
  else if (asked.version)
    result.print = "aiops-gateway " AIOPS_GATEWAY_VERSION "\n";
  else if (!asked.completion.empty())
    result.print = completion();
  if (result.print)
    return;
  auto origins = resolve(result.config, flags, asked.file);
  if (auto problem = validate(result.config); !problem.empty())
    throw failure{wrong_configuration, problem};
  if (check_content)
    if (auto problem = check_content(result.config); !problem.empty())
      throw failure{wrong_configuration, problem};
  if (asked.print_config)
    result.print = print_config(result.config, origins);
  else if (asked.check_config)
    result.print = "configuration is fine\n";
}

// -- combinations -------------------------------------------------------------

std::string check_nats(const nats_config& nats, bool demo) {
  auto user = !nats.user.empty();
  auto ways = int{user} + int{!nats.creds_file.empty()}
              + int{!nats.nkey_seed_file.empty()};
  if (user != !nats.password_file.empty())
    return "--nats-user and --nats-password-file belong together; give both "
           "or neither";
  if (nats.cert_file.empty() != nats.key_file.empty())
    return "--nats-cert and --nats-key belong together; give both or neither";
  if (ways > 1)
    return "--nats-user, --nats-creds and --nats-nkey-seed exclude one "
           "another; give one of them";
  auto tls = !nats.ca_file.empty() || !nats.cert_file.empty();
  if (nats.embedded() && (ways > 0 || tls))
    return "--nats-url embedded takes no credentials and no certificates: it "
           "creates its own; remove "
           + std::string{tls    ? "--nats-ca, --nats-cert and --nats-key"
                         : user ? "--nats-user and --nats-password-file"
                                : "--nats-creds and --nats-nkey-seed"}
           + ", or give the URL of a server";
  if (nats.embedded() && nats.replicas > 1)
    return "--nats-replicas: the embedded server is a single node, which "
           "keeps one copy; remove the option, or give the URLs of a cluster";
  if (demo && (ways > 0 || tls))
    return "--demo cannot use files of credentials and certificates: its "
           "programs get the URL only; put user and password into --nats-url, "
           "or remove --demo";
  return {};
}

std::string check_opensearch(const aggregation_config& aggregation) {
  auto& config = aggregation.opensearch;
  if (config.user.empty() != config.password_file.empty())
    return "--opensearch-user and --opensearch-password-file belong together; "
           "give both or neither";
  if (aggregation.source == log_source::opensearch && config.urls.empty())
    return "--log-source opensearch needs --opensearch-url; give the URL of a "
           "node, for example https://opensearch.example.org:9200";
  return {};
}

std::string check_kubernetes(const gpu_config& gpu) {
  auto& config = gpu.kubernetes;
  auto bare = config.token_file.empty() && config.ca_file.empty()
              && config.client_cert_file.empty();
  if (config.client_cert_file.empty() != config.client_key_file.empty())
    return "--kube-client-cert and --kube-client-key belong together; give "
           "both or neither";
  if (!config.kubeconfig.empty() && (!config.url.empty() || !bare))
    return "--kubeconfig replaces --kube-url and the other --kube options; "
           "give either";
  if (config.url.empty() && !bare)
    return "the --kube options need --kube-url; give the URL of the API "
           "server, for example https://10.0.0.1:6443";
  if (!config.url.empty() && !config.url.starts_with("https://")
      && !config.url.starts_with("http://"))
    return "--kube-url: '" + config.url
           + "' is not a URL; give for example https://10.0.0.1:6443";
  if (gpu.source == gpu_config::kind::kubernetes && config.url.empty()
      && config.kubeconfig.empty() && !config.in_cluster())
    return "--gpu-source kubernetes outside of a cluster needs --kubeconfig or "
           "--kube-url";
  return {};
}

} // namespace

std::string_view to_string(log_source source) {
  switch (source) {
    case log_source::jetstream:
      return "jetstream";
    case log_source::opensearch:
      return "opensearch";
    case log_source::none:
      break;
  }
  return "none";
}

std::string validate(const gateway_config& config) {
  for (auto& x : all_options())
    if (auto problem = x.check ? x.check(config) : ""; !problem.empty())
      return "--" + x.name + ": " + problem;
  if (auto problem = check_nats(config.nats, config.demo); !problem.empty())
    return problem;
  if (config.lifecycle.webhook_url.empty()
      && (!config.lifecycle.webhook_secret_file.empty()
          || !config.lifecycle.webhook_ca_file.empty()))
    return "--training-webhook-secret-file and --training-webhook-ca belong to "
           "--training-webhook; give the URL too, or none of them";
  if (auto problem = check_opensearch(config.aggregation); !problem.empty())
    return problem;
  if (auto problem = check_kubernetes(config.gpu); !problem.empty())
    return problem;
  if (config.state_dir.empty() && (config.nats.embedded() || config.demo))
    return "--state-dir: there is no default, since neither STATE_DIRECTORY "
           "nor XDG_STATE_HOME nor HOME is set; give a directory";
  return {};
}

command_line
parse_command_line(int argc, const char* const* argv,
                   std::string (*check_content)(const gateway_config&)) {
  command_line result;
  try {
    run(argc, argv, check_content, result);
  } catch (const failure& e) {
    result.exit_code = e.exit_code;
    result.problem = e.problem;
  }
  return result;
}

} // namespace aiops
