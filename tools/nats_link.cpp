#include "tools/nats_link.hpp"

#include "base/log.hpp"
#include "base/secret_file.hpp"
#include "nats/options.hpp"

#include <csignal>
#include <cstdlib>
#include <map>

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

namespace aiops::tools {

namespace {

std::filesystem::path default_state_dir() {
  auto variable = [](const char* name) -> std::string {
    auto* value = std::getenv(name);
    return value ? value : "";
  };
  if (auto dir = variable("STATE_DIRECTORY"); !dir.empty())
    return dir;
  if (auto dir = variable("XDG_STATE_HOME"); !dir.empty())
    return std::filesystem::path{dir} / "aiops-gateway";
  return std::filesystem::path{variable("HOME")} / ".local/state/aiops-gateway";
}

/// The NATS servers at this moment; no URL when they are unknown.
nats_config locate(const nats_link_options& options) {
  nats_config result;
  if (options.urls.empty()) {
    const auto& dir = options.state_dir;
    return nats::read_connection_file(dir.empty() ? default_state_dir() : dir)
      .value_or(result);
  }
  result.urls = options.urls;
  if (auto token = read_secret(options.token_file))
    result.token = std::move(*token);
  return result;
}

} // namespace

void nats_link_options::add_to(CLI::App& app) {
  app
    .add_option("--nats-url", urls,
                "NATS servers (default: the embedded server of the "
                "gateway)")
    ->delimiter(',');
  app
    .add_option("--nats-token-file", token_file,
                "File with the token for the servers")
    ->check(CLI::ExistingFile);
  app.add_option("--state-dir", state_dir,
                 "State directory of the gateway that embeds the server "
                 "($STATE_DIRECTORY, $XDG_STATE_HOME/aiops-gateway)");
}

CLI::AsNumberWithUnit duration_units() {
  std::map<std::string, int64_t> units{
    {"ms", 1}, {"s", 1'000}, {"m", 60'000}, {"h", 3'600'000}};
  return CLI::AsNumberWithUnit{
    units,
    CLI::AsNumberWithUnit::Options(CLI::AsNumberWithUnit::CASE_SENSITIVE
                                   | CLI::AsNumberWithUnit::UNIT_REQUIRED)};
}

nats_link::nats_link(nats_link_options options, std::string name)
  : options_(std::move(options)), name_(std::move(name)) {
  // nop
}

nats_link::~nats_link() {
  close();
}

bool nats_link::connected() const {
  return connection_ != nullptr && !natsConnection_IsClosed(connection_);
}

void nats_link::close() {
  natsConnection_Destroy(connection_);
  connection_ = nullptr;
}

bool nats_link::fail(std::string reason) {
  if (reason != last_failure_)
    log::warning(name_, "waits for NATS", {{"reason", reason}});
  last_failure_ = std::move(reason);
  return false;
}

bool nats_link::connect() {
  if (connected())
    return true;
  close();
  auto config = locate(options_);
  if (config.urls.empty())
    return fail("no server is known: no gateway with an embedded server is "
                "running here, and no --nats-url is given");
  auto options = nats::make_options(config);
  if (!options)
    return fail(text_of(options.error()));
  natsOptions_SetName(options->get(), name_.c_str());
  if (auto status = natsConnection_Connect(&connection_, options->get());
      status != NATS_OK)
    return fail(nats::nats_error_text(status));
  last_failure_.clear();
  log::info(name_, "connected to NATS",
            {{"server", nats::without_credentials(config.urls.front())}});
  return true;
}

stop_signal::stop_signal() {
  std::signal(SIGPIPE, SIG_IGN);
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  fd_ = signalfd(-1, &signals, SFD_CLOEXEC);
}

stop_signal::~stop_signal() {
  ::close(fd_);
}

bool stop_signal::wait(std::chrono::milliseconds timeout) const {
  pollfd poller{fd_, POLLIN, 0};
  return poll(&poller, 1, static_cast<int>(timeout.count())) == 1;
}

} // namespace aiops::tools
