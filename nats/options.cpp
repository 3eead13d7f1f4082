#include "nats/options.hpp"

#include "base/secret_file.hpp"
#include "nats/nkey.hpp"

#include <nlohmann/json.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace aiops::nats {

namespace {

/// How long one server may take to accept a connection, in ms.
constexpr int64_t connect_timeout = 2'000;

/// Interval of pings, in ms. A peer is dead after two pings without an answer.
constexpr int64_t ping_interval = 10'000;

/// Signs the server's nonce with the seed that is in the file (the closure) at
/// this moment.
natsStatus sign_nonce(char** error_text, unsigned char** signature, int* size,
                      const char* nonce, void* closure) {
  auto path = static_cast<const std::string*>(closure);
  auto text = read_secret(*path);
  auto seed = find_nkey_seed(text ? *text : std::string{});
  auto status = nats_Sign(seed.c_str(), nonce, signature, size);
  // The library sends an empty signature when the first byte is zero, and two
  // refused logins close a connection for good; so fail here and try again.
  if (status == NATS_OK && (*signature)[0] == 0) {
    free(*signature);
    *signature = nullptr;
    *error_text = strdup("this nonce cannot be signed, retry");
    return NATS_ERR;
  }
  return status;
}

/// Closures must outlive every connection made with them; there is one per
/// distinct seed file.
void* immortal_path(const std::filesystem::path& path) {
  static auto paths = std::vector<std::unique_ptr<std::string>>{};
  static std::mutex mutex;
  std::lock_guard guard{mutex};
  for (auto& known : paths)
    if (*known == path.string())
      return known.get();
  return paths.emplace_back(std::make_unique<std::string>(path.string())).get();
}

natsStatus set_nkey(natsOptions* opts, const std::filesystem::path& seed_file,
                    std::string& problem) {
  auto text = read_secret(seed_file);
  if (!text) {
    problem = "cannot read the NKey seed file " + seed_file.string() + ": "
              + text_of(text.error());
    return NATS_ERR;
  }
  auto key = nkey_public_key(find_nkey_seed(*text));
  if (!key) {
    problem = "there is no valid NKey seed in " + seed_file.string();
    return NATS_ERR;
  }
  return natsOptions_SetNKey(opts, key->c_str(), sign_nonce,
                             immortal_path(seed_file));
}

natsStatus set_password(natsOptions* opts, const nats_config& config,
                        std::string& problem) {
  std::string password;
  if (!config.password_file.empty()) {
    auto text = read_secret(config.password_file);
    if (!text) {
      problem = "cannot read the password file " + config.password_file.string()
                + ": " + text_of(text.error());
      return NATS_ERR;
    }
    password = std::move(*text);
  }
  return natsOptions_SetUserInfo(opts, config.user.c_str(), password.c_str());
}

natsStatus set_tls(natsOptions* opts, const nats_config& config) {
  auto status = natsOptions_SetSecure(opts, true);
  if (status == NATS_OK && !config.ca_file.empty())
    status = natsOptions_LoadCATrustedCertificates(opts,
                                                   config.ca_file.c_str());
  if (status == NATS_OK && !config.cert_file.empty())
    status = natsOptions_LoadCertificatesChain(opts, config.cert_file.c_str(),
                                               config.key_file.c_str());
  return status;
}

} // namespace

caf::expected<nats_options_ptr> make_options(const nats_config& config) {
  natsOptions* raw = nullptr;
  auto status = natsOptions_Create(&raw);
  auto result = nats_options_ptr{raw};
  std::string problem;
  auto apply = [&](auto&& set, auto&&... args) {
    if (status == NATS_OK)
      status = set(raw, args...);
  };
  std::vector<const char*> servers;
  for (auto& url : config.urls)
    servers.push_back(url.c_str());
  apply(natsOptions_SetServers, servers.data(),
        static_cast<int>(servers.size()));
  apply(natsOptions_SetName, "aiops-gateway");
  // The bus reconnects instead of the library. The library stops for good after
  // two identical authentication errors, and it buffers messages that are
  // published meanwhile, so that a write that timed out may still happen later.
  apply(natsOptions_SetAllowReconnect, false);
  apply(natsOptions_SetTimeout, connect_timeout);
  apply(natsOptions_SetPingInterval, ping_interval);
  apply(natsOptions_SetMaxPingsOut, 2);
  apply(natsOptions_SetWriteDeadline, write_deadline.count());
  apply(natsOptions_SetSendAsap, true);
  if (!config.token.empty())
    apply(natsOptions_SetToken, config.token.c_str());
  if (!config.user.empty())
    apply(set_password, config, problem);
  if (!config.creds_file.empty())
    apply(natsOptions_SetUserCredentialsFromFiles, config.creds_file.c_str(),
          nullptr);
  if (!config.nkey_seed_file.empty())
    apply(set_nkey, config.nkey_seed_file, problem);
  if (wants_tls(config))
    apply(set_tls, config);
  if (status != NATS_OK)
    return make_error(ec::invalid_configuration,
                      problem.empty() ? nats_error_text(status) : problem);
  return result;
}

bool wants_tls(const nats_config& config) {
  auto tls_url = [](const std::string& url) { return url.starts_with("tls:"); };
  return !config.ca_file.empty() || !config.cert_file.empty()
         || std::any_of(config.urls.begin(), config.urls.end(), tls_url);
}

std::string nats_error_text(natsStatus status) {
  natsStatus last = NATS_OK;
  auto text = nats_GetLastError(&last);
  return text != nullptr && last == status ? text : natsStatus_GetText(status);
}

std::string without_credentials(std::string_view url) {
  auto scheme = url.find("://");
  auto start = scheme == std::string_view::npos ? 0 : scheme + 3;
  auto at = url.rfind('@');
  if (at == std::string_view::npos || at < start)
    return std::string{url};
  return std::string{url.substr(0, start)} + std::string{url.substr(at + 1)};
}

std::filesystem::path connection_file(const std::filesystem::path& state_dir) {
  return state_dir / "nats" / "connection.json";
}

std::optional<nats_config>
read_connection_file(const std::filesystem::path& state_dir) {
  auto text = read_secret(connection_file(state_dir));
  auto json = nlohmann::json::parse(text ? *text : std::string{}, nullptr,
                                    false);
  auto member = [&](const char* key) {
    auto found = json.is_object() ? json.find(key) : json.end();
    return found != json.end() && found->is_string() ? found->get<std::string>()
                                                     : std::string{};
  };
  nats_config result;
  result.urls = {member("url")};
  result.token = member("token");
  if (result.urls.front().empty())
    return std::nullopt;
  return result;
}

std::string write_connection_file(const std::filesystem::path& state_dir,
                                  const nats_config& config) {
  auto path = connection_file(state_dir);
  auto fresh = path.string() + ".new";
  auto text = nlohmann::json{{"url", config.urls.front()},
                             {"token", config.token}}
                .dump()
              + '\n';
  auto fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
                   0600);
  auto written = fd >= 0 ? ::write(fd, text.data(), text.size()) : -1;
  if (fd >= 0)
    ::close(fd);
  if (written != static_cast<ssize_t>(text.size())
      || ::rename(fresh.c_str(), path.c_str()) != 0)
    return "cannot write " + path.string() + ": " + std::strerror(errno);
  return {};
}

} // namespace aiops::nats
