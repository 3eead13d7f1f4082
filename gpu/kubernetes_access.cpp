#include "gpu/kubernetes_access.hpp"

#include "base/secret_file.hpp"
#include "base/small_file.hpp"
#include "net/http_client.hpp"

#include <yaml-cpp/yaml.h>

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <utility>

namespace aiops::gpu {

namespace {

caf::error wrong(const std::string& what) {
  return make_error(ec::invalid_configuration, what);
}

std::optional<std::string> decode_base64(std::string_view text) {
  static constexpr std::string_view digits
    = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string result;
  uint32_t bits = 0;
  auto count = 0;
  for (auto c : text) {
    if (c == '\n' || c == '\r' || c == ' ' || c == '=')
      continue;
    auto digit = digits.find(c);
    if (digit == std::string_view::npos)
      return std::nullopt;
    bits = bits << 6 | static_cast<uint32_t>(digit);
    count += 6;
    if (count >= 8) {
      count -= 8;
      result += static_cast<char>(bits >> count & 0xff);
    }
  }
  return result;
}

std::string text_of_field(const YAML::Node& node, const char* key) {
  if (!node || !node.IsMap())
    return {};
  auto value = node[key];
  return value && value.IsScalar() ? value.as<std::string>() : std::string{};
}

/// The body of the entry with this name in a list of the kubeconfig.
YAML::Node entry(const YAML::Node& document, const char* list, const char* body,
                 const std::string& entry_name) {
  auto entries = document[list];
  if (entries && entries.IsSequence())
    for (auto x : entries)
      if (x.IsMap() && text_of_field(x, "name") == entry_name && x[body]
          && x[body].IsMap())
        return x[body];
  return YAML::Node{YAML::NodeType::Undefined};
}

/// Reads the fields that a kubeconfig may have as a path or as Base64.
class kubeconfig_files {
public:
  kubeconfig_files(const std::filesystem::path& folder, kubernetes_access& to)
    : folder_(folder), access_(to) {
    // nop
  }

  caf::error take(const YAML::Node& from, const std::string& key,
                  std::filesystem::path& to) {
    auto data = text_of_field(from, (key + "-data").c_str());
    if (data.empty())
      return take_path(from, key, to);
    auto content = decode_base64(data);
    if (!content)
      return wrong("its " + key + "-data is not Base64");
    auto file = std::make_shared<const memory_file>(*content);
    to = file->path();
    access_.held.push_back(std::move(file));
    if (to.empty())
      return make_error(ec::internal,
                        "there is no memory for its " + key + "-data");
    return {};
  }

  caf::error take_path(const YAML::Node& from, const std::string& key,
                       std::filesystem::path& to) {
    if (auto path = text_of_field(from, key.c_str()); !path.empty()) {
      to = folder_ / path;
      access_.files.push_back(to);
    }
    return {};
  }

private:
  const std::filesystem::path& folder_;
  kubernetes_access& access_;
};

caf::error take_cluster(const YAML::Node& cluster, kubeconfig_files& files,
                        kubernetes_access& to) {
  if (text_of_field(cluster, "insecure-skip-tls-verify") == "true")
    return wrong(
      "insecure-skip-tls-verify accepts any server as the API server; "
      "use certificate-authority instead");
  for (auto key : {"proxy-url", "tls-server-name"})
    if (!text_of_field(cluster, key).empty())
      return wrong(std::string{key} + " is not supported; use --kube-url");
  to.url = text_of_field(cluster, "server");
  return files.take(cluster, "certificate-authority", to.ca_file);
}

caf::error take_user(const YAML::Node& user, kubeconfig_files& files,
                     kubernetes_access& to) {
  for (auto key : {"exec", "auth-provider", "username", "as"})
    if (user[key])
      return wrong("its user logs in by '" + std::string{key}
                   + "', which is not supported; use a token or a client "
                     "certificate, for example of a service account");
  to.token = text_of_field(user, "token");
  if (auto problem = files.take_path(user, "tokenFile", to.token_file))
    return problem;
  if (auto problem = files.take(user, "client-certificate", to.cert_file))
    return problem;
  if (auto problem = files.take(user, "client-key", to.key_file))
    return problem;
  if (to.cert_file.empty() != to.key_file.empty())
    return wrong("client-certificate and client-key belong together");
  return {};
}

caf::expected<kubernetes_access> read_context(const YAML::Node& document,
                                              const std::filesystem::path& at) {
  if (!document.IsMap())
    return wrong("it is not a kubeconfig");
  auto current = text_of_field(document, "current-context");
  if (current.empty())
    return wrong("it has no current-context");
  auto context = entry(document, "contexts", "context", current);
  if (!context)
    return wrong("it has no context '" + current + "'");
  auto cluster_name = text_of_field(context, "cluster");
  auto cluster = entry(document, "clusters", "cluster", cluster_name);
  if (!cluster)
    return wrong("it has no cluster '" + cluster_name + "'");
  kubernetes_access result;
  result.ca_option = "certificate-authority of the kubeconfig";
  kubeconfig_files files{at, result};
  if (auto problem = take_cluster(cluster, files, result))
    return problem;
  auto user_name = text_of_field(context, "user");
  if (auto user = entry(document, "users", "user", user_name)) {
    if (auto problem = take_user(user, files, result))
      return problem;
  } else if (!user_name.empty()) {
    return wrong("it has no user '" + user_name + "'");
  }
  return result;
}

/// Checks the rules for every kind of access to the server.
caf::expected<kubernetes_access> checked(kubernetes_access access) {
  auto known = access.url.starts_with("https://")
               || access.url.starts_with("http://");
  if (!known || net::split_http_url(access.url).host.empty())
    return wrong("'" + access.url
                 + "' is not the URL of a Kubernetes API server; give "
                   "https://HOST:PORT");
  auto secret = !access.token.empty() || !access.token_file.empty();
  if (secret && access.url.starts_with("http://"))
    return wrong("a token would be sent to " + access.url
                 + " unencrypted; give an https URL, or no token");
  return access;
}

kubernetes_access pod_access(const kubernetes_config& config) {
  auto v6 = config.service_host.find(':') != std::string::npos
            && !config.service_host.starts_with('[');
  kubernetes_access result;
  result.url = std::string{"https://"} + (v6 ? "[" : "") + config.service_host
               + (v6 ? "]:" : ":") + config.service_port;
  result.ca_file = config.service_account / "ca.crt";
  result.token_file = config.service_account / "token";
  result.files = {result.ca_file};
  result.ca_option = "ca.crt of the service account";
  return result;
}

} // namespace

// -- memory_file --------------------------------------------------------------

memory_file::memory_file(std::string_view content)
  : fd_(::memfd_create("kubernetes", MFD_CLOEXEC)) {
  while (fd_ >= 0 && !content.empty()) {
    auto size = ::write(fd_, content.data(), content.size());
    if (size <= 0) {
      ::close(fd_);
      fd_ = -1;
    } else {
      content.remove_prefix(static_cast<size_t>(size));
    }
  }
}

memory_file::~memory_file() {
  if (fd_ >= 0)
    ::close(fd_);
}

std::filesystem::path memory_file::path() const {
  return fd_ < 0 ? "" : "/proc/self/fd/" + std::to_string(fd_);
}

// -- access -------------------------------------------------------------------

caf::expected<kubernetes_access>
parse_kubeconfig(const std::string& text, const std::filesystem::path& folder) {
  try {
    auto access = read_context(YAML::Load(text), folder);
    if (!access)
      return access;
    return checked(std::move(*access));
  } catch (const YAML::Exception& e) {
    return wrong("it is not valid YAML (line " + std::to_string(e.mark.line + 1)
                 + ")");
  }
}

caf::expected<kubernetes_access>
find_kubernetes_access(const kubernetes_config& config) {
  if (!config.kubeconfig.empty()) {
    auto fail = [&](const std::string& why) {
      return wrong("the kubeconfig " + config.kubeconfig.string()
                   + " cannot be used: " + why);
    };
    auto text = read_small_file(config.kubeconfig);
    if (!text)
      return fail(text_of(text.error()));
    auto result = parse_kubeconfig(*text, config.kubeconfig.parent_path());
    if (!result)
      return fail(text_of(result.error()));
    result->files.push_back(config.kubeconfig);
    return result;
  }
  if (config.url.empty()) {
    if (config.in_cluster())
      return checked(pod_access(config));
    return wrong("no Kubernetes API server is known: the gateway does "
                 "not run in a pod; give --kubeconfig or --kube-url");
  }
  kubernetes_access result;
  result.url = config.url;
  result.ca_file = config.ca_file;
  result.cert_file = config.client_cert_file;
  result.key_file = config.client_key_file;
  result.token_file = config.token_file;
  result.ca_option = "--kube-ca-file";
  for (auto& file : {result.ca_file, result.cert_file, result.key_file})
    if (!file.empty())
      result.files.push_back(file);
  if (result.cert_file.empty() != result.key_file.empty())
    return wrong("--kube-client-cert and --kube-client-key belong together; "
                 "give both or neither");
  return checked(std::move(result));
}

caf::expected<std::string>
read_kubernetes_token(const std::filesystem::path& file) {
  auto result = read_secret(file);
  if (!result)
    return wrong("cannot read the token file " + file.string() + ": "
                 + text_of(result.error()));
  auto printable = [](unsigned char c) { return c > ' ' && c < 127; };
  if (result->empty()
      || !std::all_of(result->begin(), result->end(), printable))
    return wrong("the token file " + file.string() + " holds no token");
  return *result;
}

} // namespace aiops::gpu
